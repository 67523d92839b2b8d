"""Clients and servers on blocking sockets, with TLS and without, and with bad manners."""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING, Self

from OpenSSL import SSL, crypto

from tests.doubles.backends import CHUNK, Backend

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tests.doubles.certificates import Issued

#: Seconds a blocking call may take.
LONGEST_WAIT = 60

TLS_1_2, TLS_1_3 = 0x0303, 0x0304


def dial(port: int) -> socket.socket:
    """A connection to a loopback *port*."""
    sock = socket.create_connection(("127.0.0.1", port), LONGEST_WAIT)
    sock.setblocking(True)
    _bound_waits(sock)
    return sock


def _bound_waits(sock: socket.socket) -> None:
    """Let blocking calls end one day, without a non-blocking descriptor underneath."""
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", LONGEST_WAIT, 0))


def exchange(port: int, request: bytes) -> bytes:
    """What comes back for *request*, whose end is told."""
    with dial(port) as sock:
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        return read_to_end(sock)


def read_to_end(sock: socket.socket) -> bytes:
    """All up to the end of input; a reset raises ConnectionResetError."""
    parts = []
    while data := sock.recv(CHUNK):
        parts.append(data)
    return b"".join(parts)


def read_exactly(sock: socket.socket, count: int) -> bytes:
    """The next *count* bytes, or fewer if the input ends before."""
    parts = []
    while count and (data := sock.recv(min(count, CHUNK))):
        parts.append(data)
        count -= len(data)
    return b"".join(parts)


def refused(port: int) -> bool:
    """True when a connection to *port* is closed without a byte, in whatever way."""
    try:
        return exchange(port, b"let me in\n") == b""
    except OSError as error:
        # The last one is what a shutdown says that comes behind the reset.
        if error.errno not in {errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN}:
            raise
        return True


def is_reset(port: int) -> bool:
    """True when a client of *port* that waits for bytes gets a reset: maybe within connect."""
    try:
        with dial(port) as sock:
            sock.recv(1)
    except ConnectionResetError:
        return True
    return False


def is_over(sock: socket.socket, seconds: float) -> bool:
    """Wait for the other side's FIN or RST, so many *seconds* at most."""
    sock.settimeout(seconds)
    try:
        return sock.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def client_context(version: int = TLS_1_3, identity: Issued | None = None) -> SSL.Context:
    """A client's context for exactly *version*, without verification."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    if identity is not None:
        _use(context, identity)
    return context


def server_context(identity: Issued, version: int = TLS_1_3) -> SSL.Context:
    """A server's context for exactly *version*."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    context.set_session_id(b"wire")
    _use(context, identity)
    return context


def _use(context: SSL.Context, identity: Issued) -> None:
    context.use_certificate(crypto.X509.from_cryptography(identity.cert))
    for cert in identity.chain:
        context.add_extra_chain_cert(crypto.X509.from_cryptography(cert))
    context.use_privatekey(crypto.PKey.from_cryptography_key(identity.key))


class TLSEnd:
    """One end of a TLS connection, handshake done; every step is taken by hand."""

    def __init__(self, connection: SSL.Connection, sock: socket.socket) -> None:
        self.connection = connection
        self.socket = sock

    @classmethod
    def dial(
        cls,
        port: int,
        context: SSL.Context,
        name: bytes = b"localhost",
        session: SSL.Session | None = None,
    ) -> TLSEnd:
        """Connect to a loopback *port* and shake hands, offering *session* if there is one."""
        sock = dial(port)
        try:
            connection = SSL.Connection(context, sock)
            connection.set_tlsext_host_name(name)
            if session is not None:
                connection.set_session(session)
            connection.set_connect_state()
            connection.do_handshake()
        except BaseException:
            sock.close()
            raise
        return cls(connection, sock)

    @classmethod
    def start(cls, context: SSL.Context, sock: socket.socket) -> TLSEnd:
        """Shake hands as the client on a connected socket."""
        connection = SSL.Connection(context, sock)
        connection.set_connect_state()
        connection.do_handshake()
        return cls(connection, sock)

    @classmethod
    def serve(cls, context: SSL.Context, sock: socket.socket) -> TLSEnd:
        """Shake hands on an accepted socket."""
        _bound_waits(sock)
        connection = SSL.Connection(context, sock)
        connection.set_accept_state()
        connection.do_handshake()
        return cls(connection, sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of *data*."""
        self.connection.sendall(data)

    def receive(self, count: int = CHUNK) -> bytes:
        """Some bytes; none at the end of input, orderly or not."""
        try:
            return self.connection.recv(count)
        except SSL.ZeroReturnError:
            return b""
        except SSL.SysCallError as error:
            if error.args[0] == -1:
                return b""
            raise ConnectionResetError(*error.args) from error
        except SSL.Error as error:
            if any("unexpected eof" in entry[-1] for entry in error.args[0]):
                return b""
            raise

    def receive_to_end(self) -> bytes:
        """All up to the end of input."""
        parts = []
        while data := self.receive():
            parts.append(data)
        return b"".join(parts)

    def say_goodbye(self) -> None:
        """Send close_notify; reading goes on."""
        self.connection.shutdown()

    def cut(self) -> None:
        """Send FIN without close_notify; reading goes on."""
        self.socket.shutdown(socket.SHUT_WR)


def tls_backend(talk: Callable[[TLSEnd], None], context: SSL.Context) -> Backend[TLSEnd]:
    """A backend with TLS."""
    return Backend(talk, lambda sock: TLSEnd.serve(context, sock))
