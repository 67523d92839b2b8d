"""Dovecot, and a client that manages scripts there."""

from __future__ import annotations

import smtplib
import socket
from base64 import b64encode
from typing import TYPE_CHECKING

from tests.doubles.real_programs import PATIENCE, eventually
from tests.interop.mail_site import MAILBOX, PASSWORD, USER, Dovecot, Site, message

if TYPE_CHECKING:
    import ssl

SCRIPT = b'require ["fileinto", "mailbox"];\r\nfileinto :create "Filed";\r\n'

#: Name and password for AUTHENTICATE PLAIN.
LOGIN = b64encode(f"\0{USER}\0{PASSWORD}".encode())


class SieveClient:
    """A client that reads whole responses; its responses hold no lines that look like an end."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((host, port), PATIENCE)
        self._file = self._socket.makefile("rwb")
        self.greeting = self.response()

    def response(self) -> bytes:
        """All up to OK, NO or BYE, that line included."""
        lines = []
        while line := self._file.readline():
            lines.append(line)
            if line.startswith((b"OK", b"NO", b"BYE")):
                break
        return b"".join(lines)

    def say(self, command: bytes) -> bytes:
        """The response to *command*."""
        self._file.write(command + b"\r\n")
        self._file.flush()
        return self.response()

    def start_tls(self, context: ssl.SSLContext, host: str = "localhost") -> bytes:
        """Go over to TLS with *host*; what the server says there first."""
        answer = self.say(b"STARTTLS")
        if not answer.startswith(b"OK"):
            raise AssertionError(answer)
        self._socket = context.wrap_socket(self._socket, server_hostname=host)
        self._file = self._socket.makefile("rwb")
        return self.response()

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()


class SieveSite(Site):
    """Dovecot, with TLS or without it."""

    def client(self, port: int, host: str = "127.0.0.1") -> SieveClient:
        """A client that ends with the test."""
        made = SieveClient(port, host)
        self.addCleanup(made.close)
        return made

    def check_scripts(self, client: SieveClient) -> None:
        """Log in with *client*, store SCRIPT, activate it and read it back."""
        for command in (
            b'AUTHENTICATE "PLAIN" "%b"' % LOGIN,
            b'PUTSCRIPT "filing" {%d+}\r\n%b' % (len(SCRIPT), SCRIPT),
            b'SETACTIVE "filing"',
        ):
            answer = client.say(command)
            self.assertTrue(answer.startswith(b"OK"), f"{answer!r}\n{self.logs()}")
        self.assertIn(b'"filing" ACTIVE', client.say(b"LISTSCRIPTS"))
        self.assertIn(SCRIPT, client.say(b'GETSCRIPT "filing"'))
        self.assertTrue(client.say(b'DELETESCRIPT "missing"').startswith(b"NO"))
        self.assertTrue(client.say(b"LOGOUT").startswith(b"OK"))

    def check_filing(self, store: Dovecot) -> None:
        """A mail that is delivered goes where the script puts it."""
        with smtplib.LMTP(store.host, store.ports["lmtp"]) as sender:
            try:
                sender.sendmail("bob@example.net", [MAILBOX], message("filed"))
            except smtplib.SMTPException as error:
                raise AssertionError(f"{error}\n{self.logs()}") from None
        place = self.site / "mail" / USER / ".Filed" / "new"
        eventually(lambda: list(place.glob("*")), "mail is filed")
        self.assertEqual(self.mails(), [])
