"""Idle connections: opened, used for one byte, and then held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.exchanges import ECHO, Request
from benchmarks.load.dialing import Dialer, hang_up, receive_exactly
from benchmarks.load.work import Result

if TYPE_CHECKING:
    from benchmarks.load.work import Work


class Idle:
    """Connections that have seen one byte each way."""

    def __init__(self, work: Work) -> None:
        dialer = Dialer.of(work)
        self._socks = []
        for number in range(work.connections):
            sock = dialer.dial(number)
            self._socks.append(sock)
            sock.sendall(Request(ECHO).pack() + b".")
            receive_exactly(sock, 1)

    def run(self) -> Result:
        """They were held until now."""
        return Result(units=len(self._socks))

    def close(self) -> None:
        """Hang up."""
        for sock in self._socks:
            hang_up(sock)
