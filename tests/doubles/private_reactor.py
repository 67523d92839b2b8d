"""A real epoll reactor of the test's own, turned by hand, with time that can be moved on."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.epollreactor import EPollReactor

if TYPE_CHECKING:
    from collections.abc import Callable

#: Turns after which a condition that has not come true never will.
MAX_TURNS = 10_000

#: Longest wait of one turn for the kernel, in seconds.
PATIENCE = 0.005


class PrivateReactor:
    """Holds the ``reactor``; nothing of it is global."""

    def __init__(self) -> None:
        self.reactor: Any = EPollReactor()
        self._ahead = 0.0
        clock = self.reactor.seconds
        self.reactor.seconds = lambda: clock() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the time on and make the calls that are due."""
        self._ahead += seconds
        self.turn()

    def turn(self, patience: float = 0.0) -> None:
        """One turn of the main loop."""
        self.reactor.runUntilCurrent()
        self.reactor.doIteration(patience)

    def until(self, done: Callable[[], object]) -> None:
        """Turn until *done* answers with a true value."""
        for _ in range(MAX_TURNS):
            if done():
                return
            self.turn(PATIENCE)
        raise AssertionError("waited in vain")

    def close(self) -> None:
        """Give back every descriptor of the reactor itself."""
        reactor = self.reactor
        reactor.runUntilCurrent()
        if reactor.threadpool is not None:
            reactor.threadpool.stop()
        reactor.removeAll()
        reactor.waker.connectionLost(None)
        reactor._poller.close()


def open_descriptors() -> set[int]:
    """The descriptors of this process, without the one that Twisted keeps in reserve."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        # The descriptor of the listing itself is gone by now.
        with contextlib.suppress(FileNotFoundError):
            if str(entry.readlink()) != os.devnull:
                found.add(int(entry.name))
    return found
