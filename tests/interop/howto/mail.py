"""Mail and news, both directions, with Postfix, Dovecot and INN."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
from typing import ClassVar, Final

from tests.interop.howto.machine import FOLDER, Machine
from tests.interop.mail_site import MAILBOX, USER, message
from tests.interop.mailbox_site import MailboxSite
from tests.interop.news_site import NewsSite
from tests.interop.sieve_site import SieveSite

PAGE: Final = "docs/howto/upgrade-mail.md"

SENDER: Final = "bob@example.net"


class MailMachine(Machine, MailboxSite, SieveSite, NewsSite):
    """A machine with servers of mail and news."""

    def check_sent(self, client: smtplib.SMTP, subject: str) -> str:
        """Send a mail with *client*; what is stored of it."""
        client.sendmail(SENDER, [MAILBOX], message(subject))
        client.quit()
        return self.delivered(subject)


class ServerTests(MailMachine):
    """The servers know no TLS; clients want it, and know who must be there."""

    HOST: Final = "mail.example.org"

    def setUp(self) -> None:
        super().setUp()
        self.host(self.HOST, "127.0.0.3")
        self.certificate(FOLDER / "mail.pem", self.HOST)

    def test_mail(self) -> None:
        """A mailbox is filled and read, and scripts for it stored, in all five ways."""
        ports = {"imap": 10143, "pop3": 10110, "lmtp": 10024, "sieve": 14190}
        store = self.dovecot(tls=False, hosts=["127.0.0.1"], ports=ports)
        self.postfix(store.address("lmtp"), tls=False, address="127.0.0.1:10025")
        ours, trusting = self.run_page(PAGE, 0), self.trusting()
        reader = imaplib.IMAP4(self.HOST)
        reader.starttls(trusting)
        self.check_imap(reader, "imap")
        fetcher = poplib.POP3(self.HOST)
        fetcher.stls(trusting)
        self.check_pop3(fetcher, "imap")
        sender = smtplib.SMTP(self.HOST)
        sender.starttls(context=trusting)
        self.check_sent(sender, "smtp")
        deliverer = smtplib.LMTP(self.HOST, 24)
        deliverer.starttls(context=trusting)
        self.check_sent(deliverer, "lmtp")
        scripter = self.client(4190, self.HOST)
        scripter.start_tls(trusting, self.HOST)
        self.check_scripts(scripter)
        scripter.close()
        self.check_used(ours, "imap", "pop3", "smtp", "lmtp", "sieve")

    def test_news(self) -> None:
        """An article is posted and read."""
        self.inn(tls=False, address="127.0.0.1:10119")
        ours = self.run_page(PAGE, 0)
        client = self.nntplib.NNTP(self.HOST)
        client.starttls(self.trusting())
        self.check_group(client)
        self.check_used(ours, "nntp")


class ClientTests(MailMachine):
    """The servers talk to nobody without TLS; clients know nothing of it."""

    users: ClassVar = {**MailMachine.users, "joe": "correct horse battery staple"}

    ADDRESSES: Final = {
        "smtp.example.org": "127.0.0.11",
        "lmtp.example.org": "127.0.0.12",
        "imap.example.org": "127.0.0.13",
        "pop.example.org": "127.0.0.14",
        "news.example.org": "127.0.0.15",
    }

    def setUp(self) -> None:
        super().setUp()
        for name, address in self.ADDRESSES.items():
            self.host(name, address)
        self.certificate(self.site / "server.pem", *self.ADDRESSES)

    def test_mail(self) -> None:
        """A mailbox is filled and read, and scripts for it stored, in all five ways."""
        hosts = [self.ADDRESSES[f"{name}.example.org"] for name in ("lmtp", "imap", "pop")]
        ports = {"imap": 143, "pop3": 110, "lmtp": 24, "sieve": 4190}
        store = self.dovecot(tls=True, hosts=hosts, ports=ports)
        mta = self.postfix(
            store.address("lmtp"), tls=True, relay="permit_sasl_authenticated, reject",
            address=f"{self.ADDRESSES['smtp.example.org']}:587",
        )  # fmt: skip
        ours = self.run_page(PAGE, 1)
        self.check_imap(imaplib.IMAP4("127.0.0.1", 1143), "imap")
        self.check_pop3(poplib.POP3("127.0.0.1", 1110), "imap")
        received = self.check_sent(smtplib.SMTP("127.0.0.1", 2525), "smtp")
        self.assertIn("(Authenticated sender: joe@example.org)", received)
        mta.said("sasl_method=PLAIN")
        received = self.check_sent(smtplib.LMTP("127.0.0.1", 2424), "lmtp")
        self.assertIn("(using TLSv1.3", received)
        scripter = self.client(4190, "127.0.0.1")
        self.check_scripts(scripter)
        scripter.close()
        store.program.said(f"Login: user=<{USER}>.* TLS,", 3)
        self.check_used(ours, "imap", "pop3", "submission", "delivery", "sieve")

    def test_news(self) -> None:
        """An article is posted and read."""
        self.inn(tls=True, address=f"{self.ADDRESSES['news.example.org']}:119")
        ours = self.run_page(PAGE, 1)
        self.check_group(self.nntplib.NNTP("127.0.0.1", 1119))
        self.check_used(ours, "nntp")
