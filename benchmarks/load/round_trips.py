"""Round trips: 64 bytes there and back, over and over, on connections that one epoll watches."""

from __future__ import annotations

import contextlib
import os
import select
import ssl
import time
from typing import TYPE_CHECKING, Final

from benchmarks.exchanges import ECHO, Request
from benchmarks.load.dialing import Dialer, hang_up, receive_exactly
from benchmarks.load.work import Result
from benchmarks.summaries import Latencies

if TYPE_CHECKING:
    import socket

    from benchmarks.load.work import Work

#: Bytes of one message.
SIZE: Final = 64

#: Round trips of each connection before anything is counted.
_WARM_UP: Final = 20


class RoundTrips:
    """One message at a time on each connection, the next one as soon as it is back."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._message = os.urandom(SIZE)
        dialer = Dialer.of(work)
        self._socks = {}
        for number in range(work.connections):
            sock = dialer.dial(number)
            self._socks[sock.fileno()] = sock
            self._warm_up(sock)

    def run(self) -> Result:
        """Go on until the time is over."""
        started = time.monotonic()
        latencies = Latencies()
        trips, reason = 0, ""
        try:
            trips = self._exchange(started + self._work.seconds, latencies)
        except OSError as error:
            reason = str(error)
        return Result(
            units=trips,
            seconds=time.monotonic() - started,
            failures=bool(reason),
            reason=reason,
            latencies=latencies,
        )

    def close(self) -> None:
        """Hang up."""
        for sock in self._socks.values():
            hang_up(sock)

    def _warm_up(self, sock: socket.socket) -> None:
        sock.sendall(Request(ECHO).pack())
        for _ in range(_WARM_UP):
            sock.sendall(self._message)
            receive_exactly(sock, SIZE)
        sock.setblocking(False)

    def _exchange(self, until: float, latencies: Latencies) -> int:
        """The number of round trips done by *until*; OSError when a connection breaks."""
        epoll = select.epoll()
        sent: dict[int, float] = {}
        missing = dict.fromkeys(self._socks, SIZE)
        trips = 0
        with epoll:
            for descriptor, sock in self._socks.items():
                epoll.register(sock, select.EPOLLIN)
                sent[descriptor] = time.monotonic()
                sock.send(self._message)
            while time.monotonic() < until:
                for descriptor, _ in epoll.poll(until - time.monotonic()):
                    sock = self._socks[descriptor]
                    missing[descriptor] -= _read(sock, missing[descriptor])
                    if not missing[descriptor]:
                        now = time.monotonic()
                        latencies.add(now - sent[descriptor])
                        trips += 1
                        missing[descriptor] = SIZE
                        sent[descriptor] = now
                        # Never blocks: the message before it has come back.
                        sock.send(self._message)
        return trips


def _read(sock: socket.socket, most: int) -> int:
    """How many bytes there were to read, maybe none."""
    with contextlib.suppress(ssl.SSLWantReadError, BlockingIOError):
        count = len(sock.recv(most))
        if not count:
            raise ConnectionResetError("closed by the program under test")
        return count
    return 0
