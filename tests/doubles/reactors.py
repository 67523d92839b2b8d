"""A reactor that turns only when told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.task import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

Call = tuple["Callable[..., object]", tuple[object, ...]]


class HandTurnedReactor(Clock):
    """Time by :meth:`advance`, calls from other threads and signal handlers by :meth:`turn`.

    :meth:`run` makes the calls that wait for it, then those of ``script``, then the triggers
    of the shutdown; ``stops`` counts the calls of :meth:`stop`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scheduled: list[Call] = []
        self.when_running: list[Call] = []
        self.triggers: dict[tuple[str, str], Callable[..., object]] = {}
        self.stops = 0
        self.script: list[Callable[[], object]] = []

    def callFromThread(self, function: Callable[..., object], /, *args: object) -> None:
        """Keep the call for :meth:`turn`."""
        self.scheduled.append((function, args))

    def callWhenRunning(self, function: Callable[..., object], /, *args: object) -> None:
        """Keep the call for :meth:`run`."""
        self.when_running.append((function, args))

    def addSystemEventTrigger(
        self, phase: str, event: str, function: Callable[..., object], /
    ) -> None:
        """Keep the trigger, one for each phase of an event."""
        self.triggers[phase, event] = function

    def stop(self) -> None:
        """Count the call."""
        self.stops += 1

    def turn(self) -> None:
        """Make the calls that were scheduled."""
        calls, self.scheduled = self.scheduled, []
        for function, args in calls:
            function(*args)

    def run(self) -> None:
        """Make every call that waits for the reactor to run, and end at once."""
        for function, args in self.when_running:
            function(*args)
        for step in self.script:
            step()
            self.turn()
        trigger = self.triggers.get(("before", "shutdown"))
        if trigger is not None:
            trigger()
