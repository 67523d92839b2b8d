"""Look at a ClientHello without taking it from the socket."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import PeerClosed
from stunnel_tx.relay.loop import READ
from stunnel_tx.tls.client_hello import ClientHello, parse

if TYPE_CHECKING:
    from stunnel_tx.tunnel.task import Task

#: First look, in bytes: a hello with a hybrid key share has about 1,700.
_FIRST_LOOK: Final = 4096

#: Where the kernel cannot wait for a number of bytes (UNIX sockets), look again this often
#: (seconds); TIMEOUTbusy ends it.
_LOOK_AGAIN: Final = 0.25

# A record with a fatal alert (RFC 8446 §6).
_ALERT: Final = 21
_FATAL: Final = 2

#: The alerts that a hello may be answered with before there is a connection (RFC 8446 §6.2).
UNRECOGNIZED_NAME: Final = 112
NO_APPLICATION_PROTOCOL: Final = 120


async def read_hello(task: Task, sock: socket.socket) -> ClientHello:
    """Wait for a whole ClientHello and leave it in the receive buffer of *sock*.

    Raises :class:`~stunnel_tx.errors.PeerClosed` when the peer goes away first, and what
    :func:`stunnel_tx.tls.client_hello.parse` raises for anything that is not one. The time is
    bounded by the caller; the size by the parser.
    """
    fd = sock.fileno()
    size = _FIRST_LOOK
    low_water = 1
    seen = 0
    while True:
        try:
            data = sock.recv(size, socket.MSG_PEEK)
        except BlockingIOError:
            await task.ready(fd, READ)
            continue
        except OSError as error:
            raise PeerClosed(f"{error.strerror} ({error.errno})") from error
        if not data:
            raise PeerClosed("Peer suddenly disconnected")
        answer = parse(data)
        if isinstance(answer, ClientHello):
            if low_water > 1:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            return answer
        size = max(size, answer.at_least)
        if low_water != answer.at_least:
            # Do not wake up for every byte of a dripping client.
            low_water = answer.at_least
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, low_water)
        if len(data) == seen:
            if _hung_up(fd):
                raise PeerClosed("Peer suddenly disconnected in its ClientHello")
            await task.sleep(_LOOK_AGAIN)
        seen = len(data)
        await task.ready(fd, READ)


def _hung_up(fd: int) -> bool:
    """True when the peer of *fd* has closed its direction, or the connection is gone."""
    poll = select.poll()
    poll.register(fd, getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))


def refuse(sock: socket.socket, hello: ClientHello, description: int) -> None:
    """Answer *hello*, which is still in the receive buffer of *sock*, with a fatal alert.

    No OpenSSL connection exists yet, so the record is made here (RFC 8446 §5.1, §6.2). The
    hello is taken out of the buffer: what is unread at close turns the FIN into a RST, and
    that would overtake the alert.
    """
    left = hello.length
    try:
        while left > 0:
            data = sock.recv(left)
            if not data:
                break
            left -= len(data)
        sock.send(bytes((_ALERT, 3, 3, 0, 2, _FATAL, description)))
    except OSError:
        # The client has not waited for the answer.
        return
