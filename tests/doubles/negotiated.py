"""Whole dialogues around a whole application: a user, a server, and the tunnel between them.

Both parties read exactly what a test expects, so that what comes next, TLS included, stays in
its place.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.doubles.applications import ApplicationRig
from tests.doubles.private_reactor import open_descriptors
from tests.doubles.tls_pairs import TLS_1_3, contexts
from tests.doubles.tunnels import certificate_file

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

#: Bytes looked for where nothing more is expected.
CHUNK = 65536

_WAIT = (BlockingIOError, SSL.WantReadError, SSL.WantWriteError)


class Party:
    """The user or the server, on a socket of its own."""

    def __init__(self, rig: ApplicationRig, sock: socket.socket) -> None:
        self.rig = rig
        self.socket = sock
        self.connection: SSL.Connection | None = None

    def say(self, data: bytes) -> None:
        """Send *data*."""
        (self.connection or self.socket).send(data)

    def read(self, count: int) -> bytes:
        """The next *count* bytes, or less at the end of input."""
        data = b""
        over = False

        def done() -> bool:
            nonlocal data, over
            try:
                fresh = (self.connection or self.socket).recv(count - len(data))
            except _WAIT:
                return False
            except SSL.ZeroReturnError:
                fresh = b""
            over = not fresh
            data += fresh
            return over or len(data) == count

        self.rig.until(done)
        return data

    def hear(self, expected: bytes) -> None:
        """Take exactly *expected*."""
        heard = self.read(len(expected))
        if heard != expected:
            raise AssertionError(f"heard {heard!r}, not {expected!r}: {self.rig.log.texts}")

    def starts_tls(self, names: tuple[bytes, ...] = (), context: SSL.Context | None = None) -> None:
        """Shake hands as a client that offers the ALPN *names*."""
        connection = SSL.Connection(context or contexts(TLS_1_3)[1], self.socket)
        if names:
            connection.set_alpn_protos(list(names))
        connection.set_connect_state()
        self._shake(connection)

    def takes_tls(self) -> None:
        """Shake hands as a server."""
        connection = SSL.Connection(contexts(TLS_1_3)[0], self.socket)
        connection.set_accept_state()
        self._shake(connection)

    def _shake(self, connection: SSL.Connection) -> None:
        def done() -> bool:
            try:
                connection.do_handshake()
            except SSL.WantReadError:
                return False
            return True

        self.rig.until(done)
        self.connection = connection

    def end(self) -> str:
        """What the connection ends with, if nothing more is to be read: "fin" or "reset"."""
        ended = ""

        def done() -> bool:
            nonlocal ended
            try:
                data = self.socket.recv(CHUNK)
            except BlockingIOError:
                return False
            except OSError as error:
                ended = "reset" if error.errno == errno.ECONNRESET else str(error)
                return True
            if data and self.connection is None:
                raise AssertionError(f"heard {data!r} where nothing more was to come")
            ended = "" if data else "fin"
            return not data

        self.rig.until(done)
        return ended

    def leave(self) -> None:
        """Close the connection."""
        self.socket.close()


class NegotiatedCase(SynchronousTestCase):
    """One application; no descriptor is left over, and nothing in it is a bug."""

    def setUp(self) -> None:
        certificate_file()
        contexts(TLS_1_3)
        self.before = open_descriptors()
        self.rig = ApplicationRig()

    def tearDown(self) -> None:
        self.rig.close()
        self.assertEqual(open_descriptors(), self.before)
        self.assertNotIn("Internal error", " ".join(self.rig.log.texts))

    def client_service(self, *lines: str) -> str:
        """The text of a client section that leads to the server played here."""
        head = ["[test]", "client = yes", "accept = 127.0.0.1:0"]
        return "\n".join([*head, f"connect = 127.0.0.1:{self.rig.connect}", *lines, ""])

    def server_service(self, *lines: str, connect: bool = True) -> str:
        """The text of a server section that leads to the server played here, if anywhere."""
        head = ["[test]", f"cert = {certificate_file()}", "accept = 127.0.0.1:0"]
        if connect:
            head.append(f"connect = 127.0.0.1:{self.rig.connect}")
        return "\n".join([*head, *lines, ""])

    def client_mode(self, *lines: str) -> Party:
        """The plain user of a client service with these *lines*."""
        self.rig.run(self.client_service(*lines))
        return self.user()

    def server_mode(self, *lines: str, connect: bool = True) -> Party:
        """The user, still without TLS, of a server service with these *lines*."""
        self.rig.run(self.server_service(*lines, connect=connect))
        return self.user()

    def user(self, number: int = 0) -> Party:
        """Another user of the service."""
        return Party(self.rig, self.rig.dial(number))

    def server(self) -> Party:
        """The server, which has accepted the next connection."""
        return Party(self.rig, self.rig.accepted())

    def relays(self, user: Party, server: Party) -> None:
        """From here on everything passes both ways."""
        for one, other in ((user, server), (server, user)):
            one.say(b"\x00whatever\r\n")
            other.hear(b"\x00whatever\r\n")

    def until(self, done: Callable[[], object]) -> None:
        """Let everybody work until *done* answers with a true value."""
        self.rig.until(done)

    def over(self, *phrases: str) -> None:
        """The tunnel ends with one line at an operator's level, which has all *phrases*."""
        self.until(lambda: not self.rig.application.runtime.tunnels)
        errors = self.rig.errors()
        self.assertEqual(len(errors), 1, errors)
        for phrase in phrases:
            self.assertIn(phrase, errors[0])

    def ends_well(self) -> None:
        """The tunnel ends without a line at an operator's level."""
        self.until(lambda: not self.rig.application.runtime.tunnels)
        self.assertEqual(self.rig.errors(), [])
