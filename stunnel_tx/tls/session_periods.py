"""How long a verification counts: when sessions have to give way to full handshakes.

A resumed handshake shows the peer's own certificate, but neither its chain nor the lists that
were asked. Both can have ended since, and TLS 1.3 gives out a new ticket in each resumed
handshake (RFC 8446 §4.6.1), so that a session can be handed on for ever. Once the handshake is
done it is too late to ask for more, and to turn a good peer away would be wrong. So sessions
are not taken up any more when they have had their time, or when something has ended that they
may have been judged by: the peer then goes through a full handshake, in which everything is.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from stunnel_tx.tls.binding.contexts import set_session_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from OpenSSL import SSL

__all__ = ["MAX_LIFETIME", "SessionPeriods", "TrustEnds", "lifetime_of"]

#: Seconds after which the longest-lived ticket of RFC 8446 §4.6.1 ends: seven days.
MAX_LIFETIME: Final = 604800.0


def lifetime_of(timeout: int) -> float:
    """Seconds a verification counts with sessionCacheTimeout = *timeout*, where 0 is no limit."""
    return min(float(timeout or MAX_LIFETIME), MAX_LIFETIME)


class TrustEnds:
    """The moments at which trusted certificates and revocation lists end.

    *now* gives the time of day in seconds since 1970.
    """

    def __init__(self, ends: Iterable[datetime] = (), now: Callable[[], float] = time.time) -> None:
        self._ends = sorted(each.timestamp() for each in ends)
        self._now = now
        self._next = self._after(now())

    def passed(self) -> bool:
        """True when one or more of them have passed since this was last asked."""
        now = self._now()
        if now < self._next:
            return False
        self._next = self._after(now)
        return True

    def _after(self, now: float) -> float:
        index = bisect_right(self._ends, now)
        return self._ends[index] if index < len(self._ends) else float("inf")


class SessionPeriods:
    """The periods of one server's sessions: those of an earlier period are none to a later one.

    Each has a session id context of its own, made of *scope*, the one *context* was built with.
    A period ends after *lifetime* seconds, or at the next of *ends*.
    """

    def __init__(
        self,
        context: SSL.Context,
        scope: bytes,
        lifetime: float,
        ends: TrustEnds,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context = context
        self._scope = scope
        self._lifetime = lifetime
        self._ends = ends
        self._now = now
        self._number = 0
        self._began = now()

    def refresh(self) -> None:
        """Begin a new period if it is time for one; to be called before each connection."""
        now = self._now()
        # Both are asked: an end that has passed must not be met again in the next period.
        ended = self._ends.passed()
        if not ended and now - self._began < self._lifetime:
            return
        self._number += 1
        self._began = now
        name = sha256(self._scope + self._number.to_bytes(8, "big")).digest()
        set_session_scope(self._context, name)
