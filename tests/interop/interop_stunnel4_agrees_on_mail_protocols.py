"""How stunnel4 and we agree in the words of mail and news, in front of real servers."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
from typing import TYPE_CHECKING

from tests.doubles.real_programs import PATIENCE
from tests.interop.mail_site import MAILBOX, PASSWORD, USER, Dovecot, message
from tests.interop.news_site import GROUP, NewsSite
from tests.interop.stage import port_of

if TYPE_CHECKING:
    from collections.abc import Callable

#: The client side and the server side of each pair.
PAIRS = (("stunnel-tx", "stunnel4"), ("stunnel4", "stunnel-tx"), ("stunnel-tx", "stunnel-tx"))


class Stunnel4Tests(NewsSite):
    """Clients and servers without TLS; between them, one program of each kind."""

    def through(
        self, protocol: str, address: str, use: Callable[[int], None], pairs: tuple[int, ...]
    ) -> None:
        """Let *use* connect to the port of each of *pairs* in front of *address*."""
        for number in pairs:
            client, server = PAIRS[number]
            near, _ = self.pair(address, f"protocol = {protocol}\n", client, server)
            try:
                use(port_of(near, "client"))
            except Exception as error:
                raise AssertionError(f"{error!r}\n{self.logs()}") from error

    def filled(self) -> Dovecot:
        """Dovecot with one mail in its mailbox."""
        store = self.dovecot(tls=False)
        with smtplib.LMTP(store.host, store.ports["lmtp"]) as client:
            client.sendmail("bob@example.net", [MAILBOX], message("stored"))
        return store

    def test_smtp(self) -> None:
        """Mail goes through to Postfix."""
        store = self.dovecot(tls=False)
        mta = self.postfix(store.address("lmtp"), tls=False)

        def send(port: int) -> None:
            with smtplib.SMTP("127.0.0.1", port) as client:
                client.sendmail("bob@example.net", [MAILBOX], message(f"by{port}"))
            self.delivered(f"by{port}")

        self.through("smtp", f"127.0.0.1:{mta.port}", send, (0, 1, 2))

    def test_imap(self) -> None:
        """A mailbox of Dovecot's is read over IMAP."""
        store = self.filled()

        def read(port: int) -> None:
            with imaplib.IMAP4("127.0.0.1", port) as client:
                client.login(USER, PASSWORD)
                self.assertEqual(client.select("INBOX"), ("OK", [b"1"]))

        self.through("imap", store.address("imap"), read, (0, 1, 2))

    def test_pop3(self) -> None:
        """A mailbox of Dovecot's is read over POP3."""
        store = self.filled()

        def read(port: int) -> None:
            client = poplib.POP3("127.0.0.1", port)
            client.user(USER)
            client.pass_(PASSWORD)
            self.assertEqual(client.stat()[0], 1)
            client.quit()

        self.through("pop3", store.address("pop3"), read, (0, 1, 2))

    def test_nntp(self) -> None:
        """A newsgroup of INN's is looked at; stunnel4 knows the client side alone."""
        port = self.inn(tls=False)

        def look(near: int) -> None:
            with socket.create_connection(("127.0.0.1", near), PATIENCE) as sock:
                file = sock.makefile("rwb")
                self.assertEqual(file.readline()[:3], b"200")
                file.write(f"GROUP {GROUP}\r\n".encode())
                file.flush()
                self.assertEqual(file.readline(), f"211 0 1 0 {GROUP}\r\n".encode())

        self.through("nntp", f"127.0.0.1:{port}", look, (1, 2))
