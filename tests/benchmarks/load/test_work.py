"""Tests of work and results on their way between processes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.load.work import Result, Work
from benchmarks.summaries import Latencies


class WorkTests(SynchronousTestCase):
    """What a process is to do."""

    def test_both_ways(self) -> None:
        """Work arrives as it was sent."""
        work = Work("handshake", 443, tls=False, connections=3, seconds=0.5, protocol="smtp")
        self.assertEqual(Work.from_json(work.to_json()), work)


class ResultTests(SynchronousTestCase):
    """What came of it."""

    def test_both_ways(self) -> None:
        """A result arrives as it was sent, on one line, its latencies included."""
        result = Result(3, 1.5, 1, 2, "closed", Latencies({7: 3}))
        line = result.to_json()
        self.assertNotIn("\n", line)
        self.assertEqual(Result.from_json(line), result)
        self.assertEqual(Result.from_json(line).latencies.counts, {7: 3})

    def test_together(self) -> None:
        """Units add up, the slowest process says how long it took, one reason is kept."""
        parts = [
            Result(3, 1.5, latencies=Latencies({7: 3})),
            Result(4, 1.0, 1, 2, "closed", Latencies({7: 1})),
        ]
        whole = Result.together(parts)
        self.assertEqual(whole, Result(7, 1.5, 1, 2, "closed"))
        self.assertEqual(whole.latencies.counts, {7: 4})
