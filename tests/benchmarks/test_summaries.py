"""Tests of medians, ratios and counted latencies."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.summaries import Latencies, Summary, ratio, summarize


class SummaryTests(SynchronousTestCase):
    """Several runs as one figure."""

    def test_values(self) -> None:
        """The median is that of the sorted values; the range and the number are kept."""
        self.assertEqual(summarize([3.0, 1.0, 2.0]), Summary(2.0, 1.0, 3.0, 3))
        self.assertEqual(summarize([4.0, 1.0]), Summary(2.5, 1.0, 4.0, 2))

    def test_nothing(self) -> None:
        """No value is no figure, and not a zero."""
        self.assertIsNone(summarize([]))

    def test_ratio(self) -> None:
        """A ratio is that of the medians."""
        self.assertEqual(ratio(summarize([1.0]), summarize([4.0])), 0.25)

    def test_no_ratio(self) -> None:
        """Without one of the two, or to nothing, there is no ratio."""
        one, zero = summarize([1.0]), summarize([0.0])
        self.assertIsNone(ratio(None, one))
        self.assertIsNone(ratio(one, None))
        self.assertIsNone(ratio(one, zero))


class LatenciesTests(SynchronousTestCase):
    """Latencies in buckets."""

    def test_nothing(self) -> None:
        """Without an operation there is no percentile."""
        self.assertIsNone(Latencies().percentile(99))

    @settings(deadline=None, max_examples=100)
    @given(st.floats(min_value=1e-6, max_value=100.0))
    def test_precision(self, seconds: float) -> None:
        """A value comes back within 2 %, however small or large."""
        latencies = Latencies()
        latencies.add(seconds)
        found = latencies.percentile(50)
        assert found is not None
        self.assertLess(abs(found - seconds) / seconds, 0.02)

    def test_percentile(self) -> None:
        """99 of 100 short ones hide a long one at 99 %, and 98 of 100 do not."""
        latencies = Latencies()
        for _ in range(98):
            latencies.add(0.001)
        latencies.add(1.0)
        latencies.add(1.0)
        for percent, expected in ((98, 0.001), (99, 1.0)):
            found = latencies.percentile(percent)
            assert found is not None
            self.assertLess(abs(found - expected) / expected, 0.02)

    def test_shortest(self) -> None:
        """A clock that did not move counts as the shortest time."""
        latencies = Latencies()
        latencies.add(0.0)
        self.assertEqual(latencies.counts, {0: 1})

    def test_together(self) -> None:
        """The counts of several processes add up, and theirs stay as they are."""
        one, other = Latencies({1: 2, 5: 1}), Latencies({5: 3})
        self.assertEqual(Latencies.together([one, other]).counts, {1: 2, 5: 4})
        self.assertEqual(one.counts, {1: 2, 5: 1})
