"""Mail reaches Dovecot over LMTP: from Postfix, smtplib and swaks, STARTTLS both ways."""

from __future__ import annotations

import smtplib

from tests.interop.mail_site import MAILBOX, Site, message

SENDER = "bob@example.net"


class ClientModeTests(Site):
    """Senders without TLS; Dovecot with it."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.dovecot(tls=True)
        self.port = self.behind("lmtp", self.store.address("lmtp"))

    def test_smtplib(self) -> None:
        """What smtplib delivers in plaintext is stored, received over TLS."""
        with smtplib.LMTP("127.0.0.1", self.port) as client:
            client.sendmail(SENDER, [MAILBOX], message("smtplib"))
        stored = self.delivered("smtplib")
        self.assertIn("(using TLSv1.3", stored)
        self.assertIn("with LMTPS", stored)

    def test_postfix(self) -> None:
        """Postfix hands on mail over LMTP in plaintext, and Dovecot receives it over TLS."""
        mta = self.postfix(f"127.0.0.1:{self.port}", tls=False)
        with smtplib.SMTP("127.0.0.1", mta.port) as client:
            client.sendmail(SENDER, [MAILBOX], message("postfix"))
        stored = self.delivered("postfix")
        self.assertIn("with LMTPS", stored)
        self.assertNotIn("TLS connection established", mta.log)


class ServerModeTests(Site):
    """Senders with TLS; Dovecot without it."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.dovecot(tls=False)
        self.port = self.before("lmtp", self.store.address("lmtp"))

    def test_postfix(self) -> None:
        """Postfix, told to deliver over verified TLS alone, delivers."""
        mta = self.postfix(f"127.0.0.1:{self.port}", tls=False, lmtp_tls=True)
        with smtplib.SMTP("127.0.0.1", mta.port) as client:
            client.sendmail(SENDER, [MAILBOX], message("postfix"))
        stored = self.delivered("postfix")
        self.assertIn("with LMTP\n", stored)
        mta.said("Verified TLS connection established")

    def test_clients(self) -> None:
        """What smtplib and swaks deliver after STARTTLS is stored."""
        with smtplib.LMTP("127.0.0.1", self.port) as client:
            client.starttls(context=self.trusting())
            client.sendmail(SENDER, [MAILBOX], message("smtplib"))
        self.run_client(
            "swaks", "--protocol", "LMTP", "--server", f"127.0.0.1:{self.port}", "-tls",
            "--tls-verify", "--tls-ca-path", "ca.pem", "--from", SENDER, "--to", MAILBOX,
            "--header", "Subject: swaks", "--silent", "2",
        )  # fmt: skip
        for subject in ("smtplib", "swaks"):
            self.delivered(subject)

    def test_s_client(self) -> None:
        """A session of openssl s_client is answered inside TLS."""
        said = self.session("lmtp", self.port, "NOOP\nQUIT\n", "-name", "client.example")
        self.assertIn("250 2.0.0 OK", said)
        self.assertIn("221 2.0.0 Bye", said)
