"""Tests of stunnel_tx.telemetry.counters."""

from __future__ import annotations

from attrs.exceptions import FrozenInstanceError
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.telemetry.counters import MAX_KINDS, OTHER, Counters


class CounterTests(SynchronousTestCase):
    """Live counters and their snapshots."""

    def test_snapshot_does_not_follow(self) -> None:
        """A snapshot keeps its numbers while counting goes on."""
        counters = Counters()
        counters.accepted += 2
        counters.bytes_to_tls += 1 << 40
        counters.handshake_failed("timeout")
        before = counters.snapshot()
        counters.accepted += 1
        counters.handshake_failed("timeout")
        self.assertEqual((before.accepted, before.bytes_to_tls), (2, 1 << 40))
        self.assertEqual(dict(before.handshake_failures), {"timeout": 1})
        self.assertEqual(dict(counters.snapshot().handshake_failures), {"timeout": 2})

    def test_snapshot_is_frozen(self) -> None:
        """Nobody can change a snapshot, its table of failures included."""
        snapshot = Counters().snapshot()
        with self.assertRaises(FrozenInstanceError):
            snapshot.accepted = 1  # type: ignore[misc]
        with self.assertRaises(TypeError):
            snapshot.handshake_failures["x"] = 1  # type: ignore[index]

    def test_every_counter_is_in_the_snapshot(self) -> None:
        """No counter is forgotten, and none is mixed up with another."""
        counters = Counters()
        names = [name for name in Counters.__slots__ if name != "handshake_failures"]
        for number, name in enumerate(names):
            setattr(counters, name, number + 1)
        snapshot = counters.snapshot()
        self.assertEqual(
            [getattr(snapshot, name) for name in names], list(range(1, len(names) + 1))
        )

    def test_kinds_of_failure_are_bounded(self) -> None:
        """However many kinds are named, the table does not grow beyond its bound."""
        counters = Counters()
        for number in range(MAX_KINDS + 10):
            counters.handshake_failed(f"kind {number}")
        counters.handshake_failed("kind 0")
        failures = counters.snapshot().handshake_failures
        self.assertEqual(len(failures), MAX_KINDS + 1)
        self.assertEqual((failures[OTHER], failures["kind 0"]), (10, 2))
