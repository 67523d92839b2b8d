"""Look at a ClientHello without taking it from the socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import PeerClosed
from stunnel_tx.relay.loop import ERROR, HANGUP, READ
from stunnel_tx.tls.client_hello import ClientHello, parse

if TYPE_CHECKING:
    from stunnel_tx.tunnel.task import Task

#: First look, in bytes: a hello with a hybrid key share has about 1,700.
_FIRST_LOOK: Final = 4096

#: EPOLLRDHUP: the peer has closed its direction.
_PEER_CLOSED: Final = 0x2000

#: Where the kernel cannot wait for a number of bytes (UNIX sockets), look again this often
#: (seconds); TIMEOUTbusy ends it.
_LOOK_AGAIN: Final = 0.25


async def read_hello(task: Task, sock: socket.socket) -> ClientHello:
    """Wait for a whole ClientHello and leave it in the receive buffer of *sock*.

    Raises :class:`~stunnel_tx.errors.PeerClosed` when the peer goes away first, and what
    :func:`stunnel_tx.tls.client_hello.parse` raises for anything that is not one. The time is
    bounded by the caller; the size by the parser.
    """
    fd = sock.fileno()
    size = _FIRST_LOOK
    low_water = 1
    seen = event = 0
    while True:
        try:
            data = sock.recv(size, socket.MSG_PEEK)
        except BlockingIOError:
            event = await task.ready(fd, READ | _PEER_CLOSED)
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
            if event & (_PEER_CLOSED | HANGUP | ERROR):
                raise PeerClosed("Peer suddenly disconnected in its ClientHello")
            await task.sleep(_LOOK_AGAIN)
        seen = len(data)
        event = await task.ready(fd, READ | _PEER_CLOSED)
