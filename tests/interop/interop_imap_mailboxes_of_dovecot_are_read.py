"""Mail is stored in and read from Dovecot over IMAP: STARTTLS both ways, implicit TLS too."""

from __future__ import annotations

import imaplib

from tests.interop.mail_site import PASSWORD, USER, message
from tests.interop.mailbox_site import MailboxSite


class IMAPSite(MailboxSite):
    """Dovecot, with TLS or without it."""

    def curl(self, port: int, scheme: str, *options: str) -> str:
        """The first message of the mailbox, fetched by curl."""
        return self.run_client(
            "curl", "-sS", "--noproxy", "*", "--cacert", "ca.pem", "-u", f"{USER}:{PASSWORD}",
            *options, f"{scheme}://127.0.0.1:{port}/INBOX;MAILINDEX=1",
        )  # fmt: skip


class ClientModeTests(IMAPSite):
    """Clients without TLS; nobody logs in to Dovecot without it."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.dovecot(tls=True)
        self.port = self.behind("imap", self.store.address("imap"))

    def test_dovecot_wants_tls(self) -> None:
        """Without our program between them, Dovecot lets nobody log in."""
        with imaplib.IMAP4(self.store.host, self.store.ports["imap"]) as direct:
            self.assertIn("LOGINDISABLED", direct.capabilities)
            with self.assertRaises(imaplib.IMAP4.error):
                direct.login(USER, PASSWORD)

    def test_clients(self) -> None:
        """Both imaplib and curl work on a mailbox; the server's own capabilities are seen."""
        with imaplib.IMAP4("127.0.0.1", self.port) as client:
            self.assertNotIn("STARTTLS", client.capabilities)
            self.assertNotIn("LOGINDISABLED", client.capabilities)
            self.assertIn("AUTH=PLAIN", client.capabilities)
            self.check_imap(client, "imaplib")
        self.assertEqual(self.curl(self.port, "imap"), message("imaplib").decode())
        self.store.program.said(f"Login: user=<{USER}>.* TLS,", 2)

    def test_wrong_password(self) -> None:
        """A wrong password is refused by Dovecot, in its own words."""
        client = imaplib.IMAP4("127.0.0.1", self.port)
        self.addCleanup(client.logout)
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            client.login(USER, "wrong")

    def test_no_tls_there(self) -> None:
        """A client hears BYE where what is reached does not speak IMAP."""
        port = self.behind("imap", self.store.address("pop3"))
        with self.assertRaisesRegex(imaplib.IMAP4.error, "BYE"):
            imaplib.IMAP4("127.0.0.1", port)


class ServerModeTests(IMAPSite):
    """Clients with TLS; Dovecot knows nothing of it."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.dovecot(tls=False)
        self.port = self.before("imap", self.store.address("imap"))

    def test_starttls(self) -> None:
        """Both imaplib and curl work on a mailbox after STARTTLS."""
        with imaplib.IMAP4("127.0.0.1", self.port) as client:
            self.assertIn("STARTTLS", client.capabilities)
            self.assertIn("LOGINDISABLED", client.capabilities)
            self.assertNotIn("AUTH=PLAIN", client.capabilities)
            client.starttls(self.trusting())
            self.assertIn("AUTH=PLAIN", client.capabilities)
            self.check_imap(client, "imaplib")
        fetched = self.curl(self.port, "imap", "--ssl-reqd")
        self.assertEqual(fetched, message("imaplib").decode())

    def test_implicit_tls(self) -> None:
        """Clients that start TLS unasked are served on the same port."""
        with imaplib.IMAP4_SSL("127.0.0.1", self.port, ssl_context=self.trusting()) as client:
            self.check_imap(client, "imaplib")
        self.assertEqual(self.curl(self.port, "imaps"), message("imaplib").decode())

    def test_login_has_to_wait(self) -> None:
        """LOGIN before TLS is refused, not echoed, not logged, and possible after STARTTLS."""
        with imaplib.IMAP4("127.0.0.1", self.port) as client:
            with self.assertRaises(imaplib.IMAP4.error) as caught:
                client.login(USER, PASSWORD)
            self.assertIn("PRIVACYREQUIRED", str(caught.exception))
            self.assertNotIn(PASSWORD, str(caught.exception))
            client.starttls(self.trusting())
            self.log_in(client)
        self.assertNotIn(PASSWORD, self.ours.log)

    def test_s_client(self) -> None:
        """A session of openssl s_client logs in and looks at the mailbox."""
        commands = f'a LOGIN {USER} "{PASSWORD}"\nb EXAMINE INBOX\nc LOGOUT\n'
        said = self.session("imap", self.port, commands)
        self.assertRegex(said, r"a OK .*Logged in")
        self.assertIn("* 0 EXISTS", said)
        self.assertIn("b OK [READ-ONLY]", said)
        self.assertIn("c OK Logout completed", said)
