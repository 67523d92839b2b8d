"""Tests of how work is divided among processes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.generator import shares
from benchmarks.load.work import Work


class SharesTests(SynchronousTestCase):
    """One piece of work for several processes."""

    def test_nothing_lost(self) -> None:
        """Connections and counts add up, and no two connections have the same number."""
        for connections in (1, 2, 3, 16, 17):
            for count in (0, 1, 100):
                work = Work("handshake", 1, connections=connections, count=count)
                parts = shares(work, 4)
                self.assertEqual(sum(part.connections for part in parts), connections)
                self.assertEqual(sum(part.count for part in parts), count)
                numbers = [
                    part.first + number for part in parts for number in range(part.connections)
                ]
                self.assertEqual(numbers, list(range(connections)))

    def test_one_connection(self) -> None:
        """One connection is the work of one process."""
        self.assertEqual(shares(Work("upload", 1), 4), [Work("upload", 1)])
