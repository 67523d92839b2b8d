"""Mail reaches Postfix over SMTP, and from there a mailbox of Dovecot's: STARTTLS both ways."""

from __future__ import annotations

import smtplib
from base64 import b64encode
from email import message_from_string

from tests.doubles.real_programs import eventually
from tests.interop.mail_site import MAILBOX, PASSWORD, USER, Postfix, Site, message
from tests.interop.stage import complaints

SENDER = "bob@example.net"


class SMTPSite(Site):
    """Postfix in front of a Dovecot without TLS."""

    TLS = False
    RELAY = "reject_unauth_destination"

    def setUp(self) -> None:
        super().setUp()
        self.store = self.dovecot(tls=False)
        self.mta: Postfix = self.postfix(
            f"{self.store.host}:{self.store.ports['lmtp']}", tls=self.TLS, relay=self.RELAY
        )
        self.address = f"127.0.0.1:{self.mta.port}"

    def received(self, subject: str) -> str:
        """How Postfix says it got the message with *subject*, which must arrive."""
        parsed = message_from_string(self.delivered(subject))
        # The topmost line is Dovecot's.
        return str(parsed.get_all("Received", [])[1])

    def swaks(self, port: int, subject: str, *options: str) -> str:
        """Send a message with swaks."""
        return self.run_client(
            "swaks", "--server", f"127.0.0.1:{port}", "--from", SENDER, "--to", MAILBOX,
            "--header", f"Subject: {subject}", "--silent", "2", *options,
        )  # fmt: skip

    def curl(self, port: int, subject: str, scheme: str, *options: str) -> None:
        """Send a message with curl."""
        mail = self.directory / "mail"
        mail.write_bytes(message(subject))
        self.run_client(
            "curl", "-sS", "--noproxy", "*", "--cacert", "ca.pem", "--mail-from", SENDER,
            "--mail-rcpt", MAILBOX, "-T", str(mail), *options, f"{scheme}://127.0.0.1:{port}",
        )  # fmt: skip


class ClientModeTests(SMTPSite):
    """Clients without TLS; Postfix takes no mail without it."""

    TLS = True

    def test_postfix_wants_tls(self) -> None:
        """Without our program between them, Postfix refuses the client."""
        with smtplib.SMTP("127.0.0.1", self.mta.port) as direct:
            direct.ehlo()
            self.assertEqual(direct.mail(SENDER)[0], 530)

    def test_clients(self) -> None:
        """What smtplib, swaks and curl send in plaintext arrives, over TLS."""
        port = self.behind("smtp", self.address)
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.ehlo()
            self.assertFalse(client.has_extn("starttls"))
            self.assertTrue(client.has_extn("enhancedstatuscodes"))
            client.sendmail(SENDER, [MAILBOX], message("smtplib"))
        self.swaks(port, "swaks")
        self.curl(port, "curl", "smtp")
        for subject in ("smtplib", "swaks", "curl"):
            self.assertIn("(using TLSv1.3", self.received(subject))
            self.assertIn("with ESMTPS id", self.received(subject))

    def test_large_mail(self) -> None:
        """A mail of 5 MB is stored as it was sent."""
        port = self.behind("smtp", self.address)
        body = "".join(f"line {number:06} {'x' * 60}\r\n" for number in range(70_000))
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail(SENDER, [MAILBOX], message("large", body))
        stored = self.delivered("large")
        self.assertEqual(stored.partition("\n\n")[2], body.replace("\r\n", "\n"))

    def test_stripped_starttls(self) -> None:
        """A client is told 421 and nothing else where the server has no TLS to offer."""
        plain = self.behind("smtp", f"{self.store.host}:{self.store.ports['lmtp']}")
        with self.assertRaises(smtplib.SMTPConnectError) as caught:
            smtplib.SMTP("127.0.0.1", plain)
        self.assertEqual(caught.exception.smtp_code, 421)


class AuthenticationTests(SMTPSite):
    """Clients that cannot log in; Postfix takes mail only from those that have."""

    TLS = True
    RELAY = "permit_sasl_authenticated, reject"

    def mechanism(self, name: str) -> None:
        """Mail arrives from a client that our program has logged in with *name*."""
        port = self.behind(
            "smtp",
            self.address,
            f"protocolAuthentication = {name}\n"
            f"protocolUsername = {USER}\nprotocolPassword = {PASSWORD}\n",
        )
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail(SENDER, [MAILBOX], message(name))
        self.assertIn(f"(Authenticated sender: {USER})", self.received(name))
        self.mta.said(f"sasl_method={name.upper()}")
        secret = PASSWORD.encode()
        for shape in (secret, b64encode(secret), b64encode(b"\0%b\0%b" % (USER.encode(), secret))):
            self.assertNotIn(shape.decode(), self.ours.log)

    def test_plain(self) -> None:
        """AUTH PLAIN."""
        self.mechanism("plain")

    def test_login(self) -> None:
        """AUTH LOGIN."""
        self.mechanism("login")

    def test_no_credentials(self) -> None:
        """Without credentials in the configuration, Postfix refuses the recipient."""
        port = self.behind("smtp", self.address)
        client = smtplib.SMTP("127.0.0.1", port)
        self.addCleanup(client.quit)
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            client.sendmail(SENDER, [MAILBOX], message("refused"))
        self.assertEqual(self.mails(), [])

    def test_wrong_password(self) -> None:
        """A client hears 421 where the password is wrong, and the log does not show it."""
        port = self.behind(
            "smtp", self.address, f"protocolUsername = {USER}\nprotocolPassword = wrong-one\n"
        )
        with self.assertRaises(smtplib.SMTPConnectError) as caught:
            smtplib.SMTP("127.0.0.1", port)
        self.assertEqual(caught.exception.smtp_code, 421)
        self.ours.said("AUTH refused with 535")
        self.assertNotIn("wrong-one", self.ours.log)


class ServerModeTests(SMTPSite):
    """Clients with TLS; Postfix knows nothing of it."""

    def test_starttls(self) -> None:
        """What smtplib, swaks and curl send after STARTTLS arrives."""
        port = self.before("smtp", self.address)
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.starttls(context=self.trusting())
            client.sendmail(SENDER, [MAILBOX], message("smtplib"))
        self.swaks(port, "swaks", "-tls", "--tls-verify", "--tls-ca-path", "ca.pem")
        self.curl(port, "curl", "smtp", "--ssl-reqd")
        for subject in ("smtplib", "swaks", "curl"):
            self.assertIn("with ESMTP id", self.received(subject))

    def test_implicit_tls(self) -> None:
        """Clients that start TLS unasked are served on the same port."""
        port = self.before("smtp", self.address)
        with smtplib.SMTP_SSL("127.0.0.1", port, context=self.trusting()) as client:
            client.sendmail(SENDER, [MAILBOX], message("smtplib"))
        self.swaks(port, "swaks", "-tlsc")
        self.curl(port, "curl", "smtps")
        for subject in ("smtplib", "swaks", "curl"):
            self.received(subject)

    def test_s_client(self) -> None:
        """A session of openssl s_client delivers a mail."""
        port = self.before("smtp", self.address)
        # Commands one by one: Postfix takes no pipelining before it has announced it.
        said = self.session("smtp", port, "NOOP\nQUIT\n", "-name", "client.example")
        self.assertIn("250 2.0.0 Ok", said)
        self.assertIn("221 2.0.0 Bye", said)

    def test_login_inside_tls(self) -> None:
        """A client logs in inside TLS, and is told to wait before."""
        port = self.before("smtp", self.address)
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.ehlo()
            self.assertEqual(set(client.esmtp_features), {"starttls"})
            self.assertEqual(client.docmd("AUTH PLAIN AGFubgBvcGVuIHNlc2FtZQ==")[0], 530)
            self.assertEqual(client.mail(SENDER)[0], 530)
            client.starttls(context=self.trusting())
            client.login(USER, PASSWORD)
            client.sendmail(SENDER, [MAILBOX], message("login"))
        self.assertIn(f"(Authenticated sender: {USER})", self.received("login"))

    def test_injected_command(self) -> None:
        """Commands sent along with STARTTLS reach nobody."""
        port = self.before("smtp", self.address)
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.ehlo()
            client.send(b"STARTTLS\r\nMAIL FROM:<injected@example.net>\r\nQUIT\r\n")
            with self.assertRaises((smtplib.SMTPServerDisconnected, ConnectionError)):
                while client.getreply()[0] == 220:
                    continue
        eventually(lambda: complaints(self.ours.log), "we complain")
        # The first connection was that of the test itself, when Postfix was started.
        eventually(lambda: self.mta.log.count(" disconnect from ") == 2, "Postfix hears the end")
        self.assertEqual(self.mta.log.count(" commands=0/0"), 2, self.mta.log)
