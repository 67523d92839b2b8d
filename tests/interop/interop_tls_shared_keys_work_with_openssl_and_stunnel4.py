"""Pre-shared keys: our two modes with openssl's programs, stunnel4 and GnuTLS, on 1.2 and 1.3."""

from __future__ import annotations

import subprocess

from tests.doubles.backends import echo
from tests.doubles.real_programs import PATIENCE, RealProgram, find_program
from tests.doubles.wire import dial, exchange, is_reset
from tests.interop.stage import Stage, port_of

KEY = "000102030405060708090a0b0c0d0e0f"
VERSIONS = (("TLSv1.2", "-tls1_2"), ("TLSv1.3", "-tls1_3"))


class SharedKeyTests(Stage):
    """One identity, ``test``, whose key everybody has, and a file with a wrong one."""

    def setUp(self) -> None:
        super().setUp()
        for name, key in (("keys", KEY), ("wrong", KEY[::-1])):
            path = self.directory / f"{name}.txt"
            path.write_text(f"another:{'ff' * 16}\ntest:{key}\n", encoding="ascii")
            path.chmod(0o600)

    def server(self, more: str = "", program: str = "stunnel-tx") -> RealProgram:
        """A server service without a certificate, in front of an echo."""
        backend = self.backend(echo)
        return self.tunnels(
            "[server]\naccept = 127.0.0.1:0\n"
            f"connect = 127.0.0.1:{backend.port}\nPSKsecrets = @keys.txt\n{more}",
            name="server",
            program=program,
        )

    def client(self, port: int, more: str = "", program: str = "stunnel-tx") -> RealProgram:
        """A client service that shows the identity ``test``."""
        return self.tunnels(
            "[client]\nclient = yes\naccept = 127.0.0.1:0\nPSKidentity = test\n"
            f"connect = 127.0.0.1:{port}\n{more}",
            name="client",
            program=program,
        )

    def run_client(self, *command: str) -> str:
        """Run a client program that sends one line; what it printed."""
        found = find_program(command[0])
        done = subprocess.run(
            [found, *command[1:]],
            cwd=self.directory,
            input="hello\n",
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
        )
        return done.stdout + done.stderr

    def test_s_client(self) -> None:
        """The command openssl s_client reaches our server with the key, and not with another."""
        server = self.server()
        where = f"127.0.0.1:{port_of(server, 'server')}"
        for version, option in VERSIONS:
            base = ("openssl", "s_client", "-connect", where, option, "-psk_identity", "test")
            printed = self.run_client(*base, "-psk", KEY, "-ign_eof", "-quiet", "-no_ign_eof")
            server.said(rf"{version} ciphersuite: ")
            self.assertNotIn("alert", printed)
            printed = self.run_client(*base, "-psk", KEY[::-1])
            self.assertIn("alert", printed)
        server.said("TLS accepted: PSK", count=2)
        server.said('Key configured for PSK identity "test"', count=2)

    def test_s_server(self) -> None:
        """Our client reaches openssl s_server, which reverses lines."""
        for _, option in VERSIONS:
            command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-nocert", "-rev"]
            s_server = self.start(
                f"s_server{option}", [*command, "-psk", KEY, "-psk_identity", "test", option]
            )
            port = int(s_server.said(r"^ACCEPT \S*:(\d+)$")[1])
            client = self.client(port, "PSKsecrets = @keys.txt\n")
            with dial(port_of(client, "client")) as sock:
                sock.sendall(b"stunnel\n")
                self.assertEqual(sock.recv(100), b"lennuts\n")
            client.said("TLS connected: PSK")

    def test_stunnel4(self) -> None:
        """Each pair of ours and stunnel4, with the right key and with a wrong one."""
        for near, far in (("stunnel-tx", "stunnel4"), ("stunnel4", "stunnel-tx")):
            for version, _ in VERSIONS:
                more = f"sslVersion = {version}\n"
                port = port_of(self.server(more, far), "server")
                client = self.client(port, f"{more}PSKsecrets = @keys.txt\n", near)
                self.assertEqual(exchange(port_of(client, "client"), b"hi\n"), b"hi\n")
                client = self.client(port, f"{more}PSKsecrets = @wrong.txt\n", near)
                self.assertTrue(is_reset(port_of(client, "client")))

    def test_certificate_required_of_others(self) -> None:
        """With requireCert the key is enough, again and again, and nobody else gets in."""
        server = self.server("requireCert = yes\n")
        port = port_of(server, "server")
        client = self.client(port, "PSKsecrets = @keys.txt\n", "stunnel4")
        for _ in range(3):
            self.assertEqual(exchange(port_of(client, "client"), b"hi\n"), b"hi\n")
        server.said("TLS accepted: previous session reused", count=2)
        self.assertIn(
            "alert",
            self.run_client("openssl", "s_client", "-connect", f"127.0.0.1:{port}"),
        )

    def test_gnutls(self) -> None:
        """The command gnutls-cli reaches our server with the key, on TLS 1.2 and 1.3."""
        server = self.server()
        port = port_of(server, "server")
        for number, (version, _) in enumerate(VERSIONS, 1):
            kind = "+ECDHE-PSK" if version == "TLSv1.2" else "+ECDHE-PSK:+PSK"
            name = version.replace("TLSv", "TLS")
            priority = f"NORMAL:-VERS-ALL:+VERS-{name}:-KX-ALL:{kind}:+CHACHA20-POLY1305"
            printed = self.run_client(
                *("gnutls-cli", "--pskusername", "test", "--pskkey", KEY, "--priority", priority),
                *("-p", str(port), "--no-ca-verification", "127.0.0.1"),
            )
            server.said("TLS accepted: PSK", count=number)
            server.said(rf"{version} ciphersuite: ")
            # Some releases crash on TLS 1.2 when they describe what they have agreed on.
            if version == "TLSv1.3":
                self.assertIn("PSK authentication. Connected as 'test'", printed)
