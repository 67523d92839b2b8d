"""A task on a polled loop and a clock, for tests of what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.task import Clock

from stunnel_tx.relay.deadlines import Deadlines
from stunnel_tx.tunnel.task import Task
from tests.doubles.polling import PolledLoop
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class DrivenTask:
    """Runs one coroutine; ``results`` gets its value, ``errors`` what it ended with."""

    def __init__(self) -> None:
        self.loop = PolledLoop()
        self.clock = Clock()
        self.clock.rightNow = 100.0
        self.deadlines = Deadlines(self.clock)
        self.log = Recording()
        self.task = Task(self.loop, self.deadlines)
        self.results: list[Any] = []
        self.errors: list[BaseException | None] = []

    def run(self, make: Callable[[Task], Coroutine[Any, Any, Any]]) -> DrivenTask:
        """Start what *make* makes of the task."""

        async def keep() -> None:
            self.results.append(await make(self.task))

        self.task.start(keep(), self.errors.append)
        return self

    @property
    def error(self) -> BaseException | None:
        """What it ended with; None while it runs, and after success."""
        assert len(self.errors) < 2, "ended twice"
        return self.errors[0] if self.errors else None

    def finish(self) -> Any:
        """Turn until it has ended; its result, or its error raised."""
        self.loop.until(lambda: self.errors)
        if self.error is not None:
            raise self.error
        return self.results[0]
