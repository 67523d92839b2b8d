"""Handshakes: threads that connect, exchange one byte, and hang up."""

from __future__ import annotations

import itertools
import ssl
import threading
import time
from typing import TYPE_CHECKING, Final

from attrs import define, field

from benchmarks.exchanges import ECHO, Request
from benchmarks.load.dialing import Dialer, hang_up, receive_exactly
from benchmarks.load.work import Result
from benchmarks.summaries import Latencies

if TYPE_CHECKING:
    from benchmarks.load.work import Work

#: The echoed byte proves that the way to the backend is open, and brings the session's ticket.
_ASK: Final = Request(ECHO).pack() + b"."


@define
class _Tally:
    """What one thread did."""

    done: int = 0
    failures: int = 0
    resumed: int = 0
    reason: str = ""
    latencies: Latencies = field(factory=Latencies)


class Handshakes:
    """So many threads, each with its own session when sessions are to be resumed."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._dialer = Dialer.of(work)
        self._numbers = itertools.count()
        self._sessions: dict[int, ssl.SSLSession | None] = {}
        if work.resumed:
            # The first handshake of each thread cannot be resumed, and is not to be counted.
            for thread in range(work.connections):
                self._once(thread, _Tally())

    def run(self) -> Result:
        """Connect until the time is over or the number is reached."""
        tallies = [_Tally() for _ in range(self._work.connections)]
        started = time.monotonic()
        threads = [
            threading.Thread(target=self._repeat, args=(number, tally, started))
            for number, tally in enumerate(tallies)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Result(
            units=sum(tally.done for tally in tallies),
            seconds=time.monotonic() - started,
            failures=sum(tally.failures for tally in tallies),
            resumed=sum(tally.resumed for tally in tallies),
            reason=next((tally.reason for tally in tallies if tally.reason), ""),
            latencies=Latencies.together(tally.latencies for tally in tallies),
        )

    def close(self) -> None:
        """Nothing is left open."""

    def _repeat(self, thread: int, tally: _Tally, started: float) -> None:
        count, seconds = self._work.count, self._work.seconds
        while not (seconds and time.monotonic() - started >= seconds):
            if count and next(self._numbers) >= count:
                return
            if self._work.pause:
                time.sleep(self._work.pause)
            before = time.monotonic()
            try:
                self._once(thread, tally)
            except OSError as error:
                tally.failures += 1
                tally.reason = tally.reason or str(error)
            else:
                tally.done += 1
                tally.latencies.add(time.monotonic() - before)

    def _once(self, thread: int, tally: _Tally) -> None:
        sock = self._dialer.dial(thread, self._sessions.get(thread))
        try:
            sock.sendall(_ASK)
            receive_exactly(sock, 1)
            if self._work.resumed and isinstance(sock, ssl.SSLSocket):
                tally.resumed += bool(sock.session_reused)
                self._sessions[thread] = sock.session
        finally:
            hang_up(sock)
