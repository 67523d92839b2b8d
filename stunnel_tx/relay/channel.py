"""Channels: a descriptor with plain or TLS bytes behind it, read and written without blocking.

A channel reads into, and writes from, the process's one shared buffer, so that a byte is
copied only when its sink is full. ``read`` answers with a byte count, 0 at the end of input,
or WANT_READ / WANT_WRITE; ``write`` answers with the number of bytes taken, or WANT_*.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from OpenSSL import SSL

from stunnel_tx.errors import PeerClosed, ProtocolViolation
from stunnel_tx.tls.binding.records import CHUNK, RECORD, WANT_READ, WANT_WRITE, record_io
from stunnel_tx.tls.faults import explain

if TYPE_CHECKING:
    from stunnel_tx.tls.binding.records import Records

__all__ = [
    "CHUNK",
    "WANT_READ",
    "WANT_WRITE",
    "Channel",
    "PipeChannel",
    "PlainChannel",
    "TLSChannel",
]

_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


class Channel(Protocol):
    """One side of a relay."""

    #: Descriptors to watch for reading and for writing; usually the same one.
    read_fd: int
    write_fd: int

    #: What a log line calls this side: "TLS" or "socket".
    kind: str

    #: After the end of input: True when the peer left without the protocol's own goodbye.
    truncated: bool

    @property
    def more(self) -> bool:
        """After a read: True when it stopped although no readiness event need follow."""

    def read(self) -> int:
        """Fill the start of the shared buffer.

        Raises :class:`~stunnel_tx.errors.PeerError` when the connection broke.
        """

    def write(self, data: memoryview, length: int) -> int:
        """Write *length* bytes of *data*, or as many as fit.

        After WANT_* the same bytes must be offered again. Raises
        :class:`~stunnel_tx.errors.PeerError` when the connection broke.
        """

    def shutdown_write(self, *, cut: bool = False) -> int:
        """Tell the peer that no more will come; 0 when done, else WANT_*.

        With *cut* it must not take what it has for complete: TLS says no goodbye then.
        """

    def close(self, *, reset: bool = False) -> None:
        """Close; with *reset* a TCP peer gets RST, unless that would overtake an alert."""


class PlainChannel:
    """A connected stream socket: TCP, UNIX, or one end of a socket pair."""

    __slots__ = ("more", "read_fd", "socket", "truncated", "view", "write_fd")

    kind: str = "socket"

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.read_fd = self.write_fd = sock.fileno()
        self.view = record_io().view
        self.more = False
        self.truncated = False

    def read(self) -> int:
        """See :class:`Channel`."""
        try:
            return self.socket.recv_into(self.view)
        except BlockingIOError:
            return WANT_READ
        except OSError as error:
            raise _broken("readsocket", error) from error

    def write(self, data: memoryview, length: int) -> int:
        """See :class:`Channel`."""
        try:
            return self.socket.send(data[:length])
        except BlockingIOError:
            return WANT_WRITE
        except OSError as error:
            raise _broken("writesocket", error) from error

    def shutdown_write(self, *, cut: bool = False) -> int:  # plain bytes have no goodbye
        """See :class:`Channel`."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise _broken("shutdown", error) from error
        return 0

    def close(self, *, reset: bool = False) -> None:
        """See :class:`Channel`."""
        close_socket(self.socket, reset=reset)


class PipeChannel:
    """Two descriptors that are not sockets: standard input and output, pipes, a terminal."""

    __slots__ = ("more", "read_fd", "truncated", "view", "write_fd")

    kind: str = "socket"

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd
        self.view = record_io().view
        self.more = False
        self.truncated = False
        for fd in (read_fd, write_fd):
            os.set_blocking(fd, False)

    def read(self) -> int:
        """See :class:`Channel`."""
        try:
            data = os.read(self.read_fd, CHUNK)
        except BlockingIOError:
            return WANT_READ
        except OSError as error:
            # A terminal whose other side is gone answers EIO; that is its end of input.
            if stat.S_ISCHR(os.fstat(self.read_fd).st_mode):
                return 0
            raise _broken("readsocket", error) from error
        self.view[: len(data)] = data
        return len(data)

    def write(self, data: memoryview, length: int) -> int:
        """See :class:`Channel`."""
        try:
            return os.write(self.write_fd, data[:length])
        except BlockingIOError:
            return WANT_WRITE
        except OSError as error:
            raise _broken("writesocket", error) from error

    def shutdown_write(self, *, cut: bool = False) -> int:  # neither have pipes
        """See :class:`Channel`; a pipe is closed, a shared descriptor cannot be."""
        if self.write_fd != self.read_fd:
            os.close(self.write_fd)
            # The number may soon be that of another tunnel's socket.
            self.write_fd = self.read_fd
        return 0

    def close(self, *, reset: bool = False) -> None:
        """See :class:`Channel`."""
        self.shutdown_write()
        os.close(self.read_fd)


class TLSChannel:
    """An OpenSSL connection that sits on a non-blocking socket, its handshake done."""

    __slots__ = (
        "_alerted",
        "_records",
        "connection",
        "read_fd",
        "socket",
        "truncated",
        "write_fd",
    )

    kind: str = "TLS"

    def __init__(self, connection: SSL.Connection, sock: socket.socket) -> None:
        self.connection = connection
        self.socket = sock
        self.read_fd = self.write_fd = sock.fileno()
        self.truncated = False
        self._alerted = False
        self._records: Records = record_io()
        self._records.prepare(connection)

    @property
    def more(self) -> bool:
        """See :class:`Channel`."""
        return self._records.more

    def read(self) -> int:
        """See :class:`Channel`."""
        try:
            got = self._records.read(self.connection)
        except SSL.Error as error:
            raise self._broken("SSL_read", error) from error
        if got == 0:
            self.truncated = not self._records.closed_orderly(self.connection)
        return got

    def write(self, data: memoryview, length: int) -> int:
        """See :class:`Channel`; takes all or nothing."""
        try:
            return self._records.write(self.connection, data, length)
        except SSL.Error as error:
            raise self._broken("SSL_write", error) from error

    def shutdown_write(self, *, cut: bool = False) -> int:
        """See :class:`Channel`: sends close_notify (RFC 8446 §6.1), or a bare FIN."""
        if cut:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
            return 0
        try:
            self.connection.shutdown()
        except SSL.WantWriteError:
            return WANT_WRITE
        except SSL.WantReadError:
            return WANT_READ
        except SSL.Error as error:
            raise self._broken("SSL_shutdown", error) from error
        return 0

    def _broken(self, call: str, error: SSL.Error) -> PeerClosed | ProtocolViolation:
        text = f"{call}: {explain(error)}"
        if isinstance(error, SSL.SysCallError):
            return PeerClosed(text)
        # OpenSSL sent an alert, or has received one: RST could overtake it.
        self._alerted = True
        return ProtocolViolation(text)

    def close(self, *, reset: bool = False) -> None:
        """See :class:`Channel`; the session stays fit for resumption."""
        self._records.forget(self.connection)
        # Without these two marks OpenSSL takes the session for spoiled and drops it.
        self.connection.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)
        close_socket(self.socket, reset=reset, gently=self._alerted)


#: Unread input thrown away before a close that carries a last word, in pieces of 16 KiB.
_LEFTOVERS: Final = 8


def close_socket(sock: socket.socket, *, reset: bool, gently: bool = False) -> None:
    """Close *sock*; with *reset* its TCP peer gets RST instead of FIN.

    *gently* throws unread input away first: a close with input left would send RST as well, and
    that could overtake what was sent last.
    """
    if gently:
        with suppress(OSError):
            for _ in range(_LEFTOVERS):
                if not sock.recv(RECORD):
                    break
    elif reset:
        # Already gone, or a kind of socket without the option: closing is enough.
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    sock.close()


def _broken(call: str, error: OSError) -> PeerClosed:
    return PeerClosed(f"{call}: {error.strerror or error} ({error.errno})")
