"""Tests of how many connections fit."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.limits import most_connections


class LimitTests(SynchronousTestCase):
    """Descriptors and connections."""

    def test_most_connections(self) -> None:
        """Two descriptors for each, some to spare, and never fewer than programs insist on."""
        self.assertEqual(most_connections(20200), 10000)
        self.assertEqual(most_connections(256), 100)
