"""Coarse timers for very many waits: one reactor timer, and a bounded number of buckets.

A tunnel sets a deadline of hours and drops it a moment later, thousands of times per second.
Rounding a wait up to a grid that grows with it keeps the number of buckets near a hundred
per order of magnitude, however many waits there are.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Width of a slot, in seconds: how late a wait of less than a second may end, which somebody
#: may be looking at.
FINE: Final = 1 / 32

#: Slots that a longer wait may be late by at least.
COARSE: Final = 8

#: A wait of a second or more ends late by up to :data:`GRANULARITY` or by this part of itself,
#: whichever is more. None ends early.
TOLERANCE: Final = 1 / 64
GRANULARITY: Final = FINE * COARSE


class Deadline:
    """One wait; :meth:`cancel` it when what was waited for has happened."""

    __slots__ = ("_bucket", "callback")

    def __init__(self, callback: Callable[[], None], bucket: set[Deadline]) -> None:
        self.callback = callback
        self._bucket = bucket

    def cancel(self) -> None:
        """Do not fire; harmless after it has fired or been cancelled."""
        self._bucket.discard(self)


class Deadlines:
    """All deadlines of a process.

    ``clock`` is the reactor's (:class:`~twisted.internet.interfaces.IReactorTime`).
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        #: The clock's time in seconds.
        self.now: Callable[[], float] = clock.seconds
        self._buckets: dict[int, set[Deadline]] = {}
        self._order: list[int] = []
        self._timer: IDelayedCall | None = None
        self._timer_slot = 0

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values())

    def after(self, seconds: float, callback: Callable[[], None]) -> Deadline:
        """Call *callback* in *seconds* (>= 0), never earlier, later within the tolerance."""
        slot = int((self.now() + seconds) / FINE) + 1
        if seconds >= 1:
            slots_allowed = int(seconds * (TOLERANCE / FINE))
            step = 1 << (slots_allowed.bit_length() - 1) if slots_allowed > COARSE else COARSE
            slot = -(-slot // step) * step
        bucket = self._buckets.get(slot)
        if bucket is None:
            bucket = self._buckets[slot] = set()
            heappush(self._order, slot)
            if self._timer is None or slot < self._timer_slot:
                self._arm()
        deadline = Deadline(callback, bucket)
        bucket.add(deadline)
        return deadline

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._order:
            self._timer_slot = self._order[0]
            delay = self._timer_slot * FINE - self.now()
            self._timer = self._clock.callLater(max(0.0, delay), self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self.now()
        try:
            while self._order and self._order[0] * FINE <= now:
                bucket = self._buckets[self._order[0]]
                # Popped one by one: a callback may cancel its neighbours.
                while bucket:
                    bucket.pop().callback()
                # Unless a callback has closed it all.
                if self._order:
                    del self._buckets[heappop(self._order)]
        finally:
            # Also when a callback failed: the others still have their time to keep.
            self._arm()

    def close(self) -> None:
        """Forget everything and stop the timer."""
        for bucket in self._buckets.values():
            bucket.clear()
        self._buckets.clear()
        self._order.clear()
        self._arm()
