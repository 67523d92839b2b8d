"""Mail is fetched from Dovecot over POP3: STLS both ways, implicit TLS too."""

from __future__ import annotations

import poplib
import smtplib

from tests.interop.mail_site import MAILBOX, PASSWORD, USER, Dovecot, message
from tests.interop.mailbox_site import MailboxSite

SENDER = "bob@example.net"


class POP3Site(MailboxSite):
    """Dovecot with one mail in its mailbox, with TLS or without it."""

    def filled(self, *, tls: bool) -> Dovecot:
        """Run Dovecot and deliver a mail."""
        store = self.dovecot(tls=tls)
        with smtplib.LMTP(store.host, store.ports["lmtp"]) as client:
            client.sendmail(SENDER, [MAILBOX], message("fetched"))
        return store

    def curl(self, port: int, scheme: str, *options: str) -> str:
        """The mail, fetched by curl."""
        return self.run_client(
            "curl", "-sS", "--noproxy", "*", "--cacert", "ca.pem", "-u", f"{USER}:{PASSWORD}",
            *options, f"{scheme}://127.0.0.1:{port}/1",
        )  # fmt: skip


class ClientModeTests(POP3Site):
    """Clients without TLS; nobody logs in to Dovecot without it."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.filled(tls=True)

    def test_dovecot_wants_tls(self) -> None:
        """Without our program between them, Dovecot lets nobody log in."""
        direct = poplib.POP3(self.store.host, self.store.ports["pop3"])
        self.addCleanup(direct.close)
        with self.assertRaises(poplib.error_proto):
            direct.user(USER)

    def test_clients(self) -> None:
        """Both poplib and curl fetch the mail."""
        port = self.behind("pop3", self.store.address("pop3"))
        client = poplib.POP3("127.0.0.1", port)
        self.assertNotIn("STLS", client.capa())
        self.check_pop3(client, "fetched")
        self.assertIn("Subject: fetched\r\n", self.curl(port, "pop3"))
        self.store.program.said(f"Login: user=<{USER}>.* TLS,", 2)

    def test_refused(self) -> None:
        """A client hears -ERR where what is reached does not speak POP3."""
        port = self.behind("pop3", self.store.address("imap"))
        with self.assertRaisesRegex(poplib.error_proto, "-ERR"):
            poplib.POP3("127.0.0.1", port)


class ServerModeTests(POP3Site):
    """Clients with TLS; Dovecot knows nothing of it."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.filled(tls=False)
        self.port = self.before("pop3", self.store.address("pop3"))

    def test_starttls(self) -> None:
        """Both poplib and curl fetch the mail after STLS, and cannot log in before."""
        client = poplib.POP3("127.0.0.1", self.port)
        self.assertIn("STLS", client.capa())
        self.assertNotIn("USER", client.capa())
        with self.assertRaises(poplib.error_proto):
            client.user(USER)
        client.stls(self.trusting())
        self.assertIn("USER", client.capa())
        self.check_pop3(client, "fetched")
        self.assertIn("Subject: fetched\r\n", self.curl(self.port, "pop3", "--ssl-reqd"))

    def test_implicit_tls(self) -> None:
        """Clients that start TLS unasked are served on the same port."""
        self.check_pop3(poplib.POP3_SSL("127.0.0.1", self.port, context=self.trusting()), "fetched")
        self.assertIn("Subject: fetched\r\n", self.curl(self.port, "pop3s"))

    def test_s_client(self) -> None:
        """A session of openssl s_client logs in and fetches the mail."""
        commands = f"USER {USER}\nPASS {PASSWORD}\nRETR 1\nQUIT\n"
        said = self.session("pop3", self.port, commands)
        self.assertIn("+OK Logged in.", said)
        self.assertIn("Subject: fetched\n", said.replace("\r\n", "\n"))
