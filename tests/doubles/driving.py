"""Tasks driven by hand: real descriptors, polled when told, and a clock that stands still."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

from twisted.internet.task import Clock

from stunnel_tx.relay.deadlines import Deadlines
from stunnel_tx.tunnel.task import Task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

#: Polls in a row that find something, after which a task counts as spinning.
MAX_TURNS = 10000

#: Milliseconds a poll waits for something that is sure to come.
PATIENCE = 5000


class PolledLoop:
    """A readiness loop that looks only when told; ``calls`` counts wake-ups."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[int, Callable[[int], None]]] = {}
        self.calls = 0

    def once(self, fd: int, interest: int, callback: Callable[[int], None]) -> None:
        """See Loop."""
        self._waiting[fd] = (interest, callback)

    def watch(self, fd: int, interest: int, callback: Callable[[int], None]) -> None:
        """See Loop; nothing here needs more than one event."""
        raise NotImplementedError

    def forget(self, fd: int, *, closing: bool = False) -> None:
        """See Loop."""
        self._waiting.pop(fd, None)

    def close(self) -> None:
        """See Loop."""
        self._waiting.clear()

    @property
    def waiting(self) -> bool:
        """True while somebody waits for a descriptor."""
        return bool(self._waiting)

    def turn(self, patience: int = 0) -> bool:
        """Call back for what is ready within *patience* milliseconds; False when nothing is."""
        poll = select.poll()
        for fd, (interest, _) in self._waiting.items():
            poll.register(fd, interest)
        events = poll.poll(patience)
        for fd, event in events:
            if fd not in self._waiting:
                # The one called before has forgotten it.
                continue
            _, callback = self._waiting.pop(fd)
            self.calls += 1
            callback(event)
        return bool(events)


class Running:
    """A coroutine in a task: ``result`` or ``error`` once it is ``done``."""

    def __init__(self, driver: Driver, make: Callable[[Task], Awaitable[Any]]) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = False
        self.task = Task(driver.loop, driver.deadlines)
        self.task.start(self._run(make), self._ended)

    async def _run(self, make: Callable[[Task], Awaitable[Any]]) -> None:
        self.result = await make(self.task)

    def _ended(self, error: BaseException | None) -> None:
        self.done = True
        self.error = error


class Driver:
    """Runs tasks over real descriptors, without a reactor and without real time."""

    def __init__(self) -> None:
        self.loop = PolledLoop()
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock)

    def start(self, make: Callable[[Task], Awaitable[Any]]) -> Running:
        """Start what *make* gives for a task, and let it go as far as it can."""
        running = Running(self, make)
        self.settle()
        return running

    def settle(self) -> None:
        """Turn until nothing is ready any more."""
        for _ in range(MAX_TURNS):
            if not self.loop.turn():
                return
        raise AssertionError("the task spins")

    def run(self, make: Callable[[Task], Awaitable[Any]]) -> Any:
        """The result of what *make* gives; its error is raised."""
        running = self.start(make)
        while not running.done and self.loop.waiting and self.loop.turn(PATIENCE):
            pass
        if running.error is not None:
            raise running.error
        if not running.done:
            raise AssertionError("the coroutine still waits")
        return running.result

    def finish(self, running: Running) -> Running:
        """Turn until *running* is done; fails when it never will be."""
        while not running.done:
            if not self.loop.waiting or not self.loop.turn(PATIENCE):
                raise AssertionError("the coroutine still waits")
        return running
