"""Conversations with a mailbox of Dovecot's, over IMAP and over POP3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop.mail_site import PASSWORD, USER, Site, message

if TYPE_CHECKING:
    import imaplib
    import poplib


class MailboxSite(Site):
    """Checks that use clients of Python's library."""

    def log_in(self, client: imaplib.IMAP4) -> None:
        """Log in; a failure tells what our program has said."""
        try:
            client.login(USER, PASSWORD)
        except client.error as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None

    def check_imap(self, client: imaplib.IMAP4, subject: str) -> None:
        """Log in with *client*, store a message and read it back."""
        self.log_in(client)
        status, _ = client.append("INBOX", "", "", message(subject))
        self.assertEqual(status, "OK")
        status, (count,) = client.select("INBOX")
        self.assertEqual((status, count), ("OK", b"1"))
        _, (found,) = client.search(None, "SUBJECT", subject)
        self.assertEqual(found, b"1")
        _, fetched = client.fetch("1", "(RFC822)")
        self.assertEqual(fetched[0][1], message(subject))  # type: ignore[index]
        self.assertEqual(client.logout()[0], "BYE")

    def check_pop3(self, client: poplib.POP3, subject: str) -> None:
        """Log in with *client* and fetch the only mail, that with *subject*."""
        self.assertTrue(client.user(USER).startswith(b"+OK"))
        self.assertTrue(client.pass_(PASSWORD).startswith(b"+OK"))
        self.assertEqual(client.stat()[0], 1)
        lines = client.retr(1)[1]
        self.assertIn(f"Subject: {subject}".encode(), lines)
        self.assertEqual(lines[-1], b"Hello")
        self.assertTrue(client.quit().startswith(b"+OK"))
