"""Tests of the coarse timers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.relay.deadlines import FINE, GRANULARITY, TOLERANCE, Deadline, Deadlines

WAITS = st.floats(min_value=0.0, max_value=100_000.0)


def started_at(seconds: float) -> tuple[Clock, Deadlines]:
    """A clock that shows *seconds*, and deadlines on it."""
    clock = Clock()
    clock.rightNow = seconds
    return clock, Deadlines(clock)


class TimeTests(SynchronousTestCase):
    """When a deadline fires."""

    @settings(deadline=None, max_examples=100)
    @given(WAITS, st.floats(min_value=0.0, max_value=2e9))
    def test_never_early_nor_too_late(self, seconds: float, start: float) -> None:
        """A deadline fires between its time and the end of its tolerance."""
        clock, deadlines = started_at(start)
        fired: list[float] = []
        deadlines.after(seconds, lambda: fired.append(clock.seconds()))
        late = max(GRANULARITY, seconds * TOLERANCE) if seconds >= 1 else FINE
        latest = start + seconds + late
        clock.rightNow = start + seconds - 1e-3 if seconds > 1e-3 else start
        clock.advance(0)
        self.assertEqual(fired, [])
        clock.rightNow = latest + 1e-3
        clock.advance(0)
        self.assertEqual(len(fired), 1)

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.tuples(WAITS, st.booleans()), max_size=20))
    def test_all_but_the_cancelled(self, waits: list[tuple[float, bool]]) -> None:
        """Among many waits, each one fires once, and a cancelled one never."""
        clock, deadlines = started_at(0.0)
        fired: list[int] = []
        for number, (seconds, cancelled) in enumerate(waits):
            deadline = deadlines.after(seconds, lambda n=number: fired.append(n))  # type: ignore[misc]
            if cancelled:
                deadline.cancel()
        clock.advance(200_000)
        wanted = [number for number, (_, cancelled) in enumerate(waits) if not cancelled]
        self.assertEqual(sorted(fired), wanted)

    def test_sooner_one_after_a_later_one(self) -> None:
        """A short wait set behind a long one is not delayed by it."""
        clock, deadlines = started_at(10.0)
        fired: list[str] = []
        deadlines.after(1000, lambda: fired.append("long"))
        deadlines.after(1, lambda: fired.append("short"))
        clock.advance(1 + GRANULARITY)
        self.assertEqual(fired, ["short"])

    def test_cancel_is_harmless(self) -> None:
        """A deadline may be cancelled twice, and after it has fired."""
        clock, deadlines = started_at(0.0)
        fired: list[int] = []
        deadline = deadlines.after(1, lambda: fired.append(1))
        clock.advance(2)
        deadline.cancel()
        deadline.cancel()
        self.assertEqual((fired, len(deadlines)), ([1], 0))


class CallbackTests(SynchronousTestCase):
    """What callbacks may do."""

    def test_cancel_a_neighbour(self) -> None:
        """Of two deadlines of the same moment, the first may cancel the second."""
        clock, deadlines = started_at(0.0)
        fired: list[str] = []
        pair: dict[str, Deadline] = {}

        def fire(own: str, other: str) -> None:
            fired.append(own)
            pair[other].cancel()

        pair["a"] = deadlines.after(1, lambda: fire("a", "b"))
        pair["b"] = deadlines.after(1, lambda: fire("b", "a"))
        clock.advance(2)
        self.assertEqual(len(fired), 1)

    def test_set_again(self) -> None:
        """A callback may set the next deadline, which fires in its own time."""
        clock, deadlines = started_at(0.0)
        fired: list[float] = []

        def again() -> None:
            fired.append(clock.seconds())
            deadlines.after(0, again)

        deadlines.after(0, again)
        for _ in range(8):
            clock.advance(FINE)
        self.assertEqual(fired, [FINE * n for n in range(1, 9)])

    def test_failing_callback(self) -> None:
        """What one callback raises takes no other deadline with it."""
        clock, deadlines = started_at(0.0)
        fired: list[int] = []
        for number in range(4):
            deadlines.after(1, lambda n=number: fired.append(n))  # type: ignore[misc]
            deadlines.after(1, self._fail)
        deadlines.after(3, lambda: fired.append(99))
        failures = 0
        for _ in range(12):
            try:
                clock.advance(0.5)
            except ZeroDivisionError:
                failures += 1
        self.assertEqual((sorted(fired), failures), ([0, 1, 2, 3, 99], 4))

    def _fail(self) -> None:
        raise ZeroDivisionError

    def test_close_in_a_callback(self) -> None:
        """A callback may forget everything: nothing else fires, and nothing breaks."""
        clock, deadlines = started_at(0.0)
        fired: list[int] = []

        def close() -> None:
            fired.append(1)
            deadlines.close()

        for _ in range(3):
            deadlines.after(1, close)
        clock.advance(2)
        self.assertEqual((fired, clock.getDelayedCalls()), ([1], []))


class CostTests(SynchronousTestCase):
    """What very many waits cost."""

    def test_bounded_buckets(self) -> None:
        """A hundred thousand waits of half a day, each cancelled at once, leave few buckets."""
        clock, deadlines = started_at(1e9)
        for _ in range(100_000):
            clock.rightNow += 0.001
            deadlines.after(43_200, self._fail).cancel()
            deadlines.after(300, self._fail).cancel()
        self.assertEqual(len(deadlines), 0)
        self.assertLess(len(deadlines._buckets), 120)

    def test_short_waits(self) -> None:
        """Waits of a fraction of a second, and there are many of them, share few buckets."""
        clock, deadlines = started_at(1e9)
        most = 0
        for _ in range(10_000):
            clock.advance(0.001)
            deadlines.after(0.2, self._fail).cancel()
            most = max(most, len(deadlines._buckets))
        self.assertLessEqual(most, 0.2 / FINE + 2)

    def _fail(self) -> None:
        raise AssertionError("cancelled, yet it fired")

    def test_one_timer(self) -> None:
        """However many deadlines there are, the reactor has one timer."""
        clock, deadlines = started_at(0.0)
        for seconds in (1000, 10, 100, 1, 10_000):
            deadlines.after(seconds, lambda: None)
            self.assertEqual(len(clock.getDelayedCalls()), 1)

    def test_empty_buckets_go(self) -> None:
        """Once their time has passed, nothing is kept, and the timer is gone."""
        clock, deadlines = started_at(0.0)
        for seconds in range(0, 500, 7):
            deadlines.after(seconds, lambda: None).cancel()
        clock.advance(600)
        self.assertEqual((deadlines._buckets, deadlines._order), ({}, []))
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_close(self) -> None:
        """Closing stops the timer, and nothing fires any more."""
        clock, deadlines = started_at(0.0)
        deadlines.after(1, self._fail)
        deadlines.close()
        self.assertEqual(clock.getDelayedCalls(), [])
        clock.advance(10)
        self.assertEqual(len(deadlines), 0)
