"""Scripts are stored at Dovecot over ManageSieve, and mail obeys them: STARTTLS both ways."""

from __future__ import annotations

from tests.interop.mail_site import PASSWORD, USER
from tests.interop.sieve_site import LOGIN, SCRIPT, SieveSite


class ClientModeTests(SieveSite):
    """Clients without TLS; nobody logs in to Dovecot without it."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.dovecot(tls=True)

    def test_dovecot_wants_tls(self) -> None:
        """Without our program between them, Dovecot lets nobody log in."""
        direct = self.client(self.store.ports["sieve"], self.store.host)
        self.assertIn(b'"SASL" ""', direct.greeting)
        self.assertTrue(direct.say(b'AUTHENTICATE "PLAIN" "%b"' % LOGIN).startswith(b"NO"))

    def test_scripts(self) -> None:
        """A client stores a script; it is greeted with what Dovecot can do inside TLS."""
        client = self.client(self.behind("sieve", self.store.address("sieve")))
        self.assertIn(b'"IMPLEMENTATION" "Dovecot', client.greeting)
        self.assertIn(b'"SASL" "PLAIN LOGIN"', client.greeting)
        self.assertNotIn(b"STARTTLS", client.greeting)
        self.check_scripts(client)
        self.check_filing(self.store)

    def test_refused(self) -> None:
        """A client hears BYE where what is reached does not speak ManageSieve."""
        client = self.client(self.behind("sieve", self.store.address("pop3")))
        self.assertTrue(client.greeting.startswith(b"BYE"))


class ServerModeTests(SieveSite):
    """Clients with TLS; Dovecot knows nothing of it."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.dovecot(tls=False)
        self.port = self.before("sieve", self.store.address("sieve"))

    def test_scripts(self) -> None:
        """A client has to wait for TLS, hears there what Dovecot can do, and stores a script."""
        client = self.client(self.port)
        self.assertIn(b"STARTTLS", client.greeting)
        self.assertIn(b'"SASL" ""', client.greeting)
        refused = client.say(b'AUTHENTICATE "PLAIN" "%b"' % LOGIN)
        self.assertTrue(refused.startswith(b"NO (ENCRYPT-NEEDED)"), refused)
        inside = client.start_tls(self.trusting())
        self.assertIn(b'"SASL" "PLAIN LOGIN"', inside)
        self.assertNotIn(b"STARTTLS", inside)
        self.check_scripts(client)
        self.check_filing(self.store)

    def test_sieve_connect(self) -> None:
        """sieve-connect stores a script and activates it."""
        script = self.directory / "filing.sieve"
        script.write_bytes(SCRIPT)
        common = (
            "sieve-connect", "--server", "127.0.0.1", "--port", str(self.port),
            "--user", USER, "--passwordfd", "0", "--tlscafile", "ca.pem",
            "--tlshostname", "localhost",
        )  # fmt: skip
        password = f"{PASSWORD}\n".encode()
        self.run_client(
            *common, "--localsieve", str(script), "--remotesieve", "filing", "--upload",
            stdin=password,
        )  # fmt: skip
        self.run_client(*common, "--remotesieve", "filing", "--activate", stdin=password)
        self.check_filing(self.store)

    def test_s_client(self) -> None:
        """A session of openssl s_client lists the scripts, of which there are none."""
        commands = f'AUTHENTICATE "PLAIN" "{LOGIN.decode()}"\nLISTSCRIPTS\nLOGOUT\n'
        said = self.session("sieve", self.port, commands)
        self.assertIn('OK "Logged in."', said)
        self.assertIn('OK "Listscripts completed."', said)
        self.assertIn('OK "Logout completed."', said)
