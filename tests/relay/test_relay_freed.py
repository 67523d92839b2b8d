"""Tests of what is left of a relay that has ended: nothing, and without the collector's help."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

from twisted.trial.unittest import SynchronousTestCase

from tests.doubles.relayed import Relayed
from tests.doubles.tls_pairs import TLS_1_2, TLS_1_3

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = [(role, version) for role in ("local", "remote") for version in (TLS_1_2, TLS_1_3)]


def sudden(made: Relayed, who: str) -> None:
    """One side is gone while the other is still sending."""
    other = made.backend if who == "user" else made.user
    getattr(made, who).reset()
    other.send(bytes(500_000))


def blocked(made: Relayed, who: str) -> None:
    """One side reads nothing until the relay holds bytes for it, and is gone then."""
    peer = getattr(made, who)
    peer.deaf = True
    (made.backend if who == "user" else made.user).send(bytes(16_000_000))
    made.settle()
    peer.reset()


def closing(made: Relayed, who: str) -> None:
    """One side is gone when the other has finished."""
    (made.backend if who == "user" else made.user).finish()
    made.settle()
    getattr(made, who).reset()


class FreedTests(SynchronousTestCase):
    """Connections and sockets go with the last reference to their relay."""

    def setUp(self) -> None:
        # The collector would find, some time later, what must not be there at all.
        gc.disable()
        self.addCleanup(gc.enable)

    def left(
        self, tls: str, version: int, who: str, end: Callable[[Relayed, str], None]
    ) -> list[Any]:
        """What is left of the relay's own sockets and TLS connection after *end*."""
        made = Relayed(tls, version)
        channels = made.relay._local, made.relay._remote
        watched = [weakref.ref(each.socket) for each in channels]  # type: ignore[attr-defined]
        watched += [
            weakref.ref(each.connection)  # type: ignore[attr-defined]
            for each in channels
            if each.kind == "TLS"
        ]
        self.assertEqual(len(watched), 3)
        del channels
        end(made, who)
        made.settle()
        made.close()
        del made
        return [each() for each in watched if each() is not None]

    def test_lost_sides(self) -> None:
        """Whoever is lost, and whatever the relay was about, everything is freed at once."""
        for tls, version in CASES:
            for who in ("user", "backend"):
                for end in (sudden, blocked, closing):
                    where = (tls, version, who, end.__name__)
                    self.assertEqual(self.left(tls, version, who, end), [], where)
