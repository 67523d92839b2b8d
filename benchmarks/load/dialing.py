"""Connections to the program under test: TCP, an optional STARTTLS dialogue, TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from benchmarks.load.work import Work

#: Seconds that a single operation may take; a program that hangs is a failure.
PATIENCE: Final = 30.0

#: Loopback addresses to come from, so that short connections do not run out of ports.
_SOURCES: Final = 200

#: Linux's number, for Pythons that do not name it: the port is chosen at connect (ip(7)).
_BIND_ADDRESS_NO_PORT: Final = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)

#: Bytes of one line in a negotiation (RFC 5321 section 4.5.3.1.5).
_LINE: Final = 512


def client_context() -> ssl.SSLContext:
    """TLS 1.3 with X25519: what every program can do, whatever it would prefer.

    Where Python cannot ask OpenSSL 3.0 for it (Debian 12), it is the default already.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with contextlib.suppress(ssl.SSLError):
        context.set_ecdh_curve("X25519")
    return context


@frozen
class Dialer:
    """Opens the connections of one piece of work."""

    work: Work
    context: ssl.SSLContext

    @classmethod
    def of(cls, work: Work) -> Dialer:
        """A dialer with a context of its own."""
        return cls(work, client_context())

    def dial(self, number: int, session: ssl.SSLSession | None = None) -> socket.socket:
        """Connection *number*, its handshake done; OSError when that does not succeed."""
        sock = self._connect(number)
        try:
            if not self.work.tls:
                return sock
            if self.work.protocol:
                start_tls(sock, self.work.protocol)
            return self.context.wrap_socket(sock, session=session)
        except BaseException:
            sock.close()
            raise

    def _connect(self, number: int) -> socket.socket:
        sock = socket.socket()
        try:
            sock.settimeout(PATIENCE)
            sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            sock.bind((f"127.0.0.{1 + (self.work.first + number) % _SOURCES}", 0))
            sock.connect(("127.0.0.1", self.work.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            sock.close()
            raise
        return sock


def hang_up(sock: socket.socket) -> None:
    """Close with a close_notify and without waiting for the other's.

    OpenSSL resumes no session whose connection ended without one.
    """
    with contextlib.suppress(OSError):
        if isinstance(sock, ssl.SSLSocket):
            sock.setblocking(False)
            sock.unwrap()
    sock.close()


def receive_exactly(sock: socket.socket, count: int) -> bytes:
    """The next *count* bytes; ConnectionResetError when the stream ends before."""
    data = sock.recv(count)
    while data and len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            break
        data += more
    if len(data) < count:
        raise ConnectionResetError("closed by the program under test")
    return data


# ------------------------------------------------------------------- STARTTLS


def start_tls(sock: socket.socket, protocol: str) -> None:
    """Have the program agree to TLS the way clients of *protocol* do, up to its last line."""
    if protocol == "smtp":  # RFC 3207 section 4
        _expect_reply(sock, b"220")
        sock.sendall(b"EHLO localhost\r\n")
        _expect_reply(sock, b"250")
        sock.sendall(b"STARTTLS\r\n")
        _expect_reply(sock, b"220")
    elif protocol == "imap":  # RFC 9051 section 6.2.1
        _expect(sock, b"* OK")
        sock.sendall(b"a STARTTLS\r\n")
        _expect(sock, b"a OK")
    else:
        raise ValueError(f"no dialogue for {protocol!r}")


def _expect_reply(sock: socket.socket, code: bytes) -> None:
    """A reply of one or more lines with *code* (RFC 5321 section 4.2.1)."""
    while _expect(sock, code).startswith(code + b"-"):
        pass


def _expect(sock: socket.socket, beginning: bytes) -> bytes:
    line = _read_line(sock)
    if not line.startswith(beginning):
        raise ConnectionAbortedError(f"expected {beginning!r}, got {line!r}")
    return line


def _read_line(sock: socket.socket) -> bytes:
    """One line, byte by byte: whatever follows it belongs to TLS."""
    line = b""
    while not line.endswith(b"\n"):
        if len(line) >= _LINE:
            raise ConnectionAbortedError(f"a line of more than {_LINE} bytes")
        line += receive_exactly(sock, 1)
    return line
