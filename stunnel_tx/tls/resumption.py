"""What is remembered from one connection to the next.

A client keeps the sessions its servers gave it (:class:`SessionCache`). A server with a
``redirect`` keeps the certificates it has accepted (:class:`AcceptedPeers`), because a resumed
handshake shows the certificate but not whether it was good.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from attrs import define

from stunnel_tx.telemetry.events import SESSION_RESUMING
from stunnel_tx.tls.binding.contexts import session_reused
from stunnel_tx.tls.binding.sessions import session_id
from stunnel_tx.tls.session_periods import TrustEnds

if TYPE_CHECKING:
    from collections.abc import Callable

    from OpenSSL import SSL

    from stunnel_tx.telemetry.log import Scope

__all__ = ["MAX_PEERS", "MAX_TARGETS", "AcceptedPeers", "SessionCache"]

#: Targets a client service keeps a session for; a session takes some kilobytes.
MAX_TARGETS: Final = 256

#: Accepted certificates a service remembers: as many as OpenSSL keeps sessions by default.
MAX_PEERS: Final = 20480


@define
class _Offer:
    """What is known of one connection: its target, and when its peer was fully verified.

    ``begun`` is when its handshake began, ``since`` the same of the session it was offered.
    """

    target: str
    begun: float
    since: float | None = None


class SessionCache:
    """The newest session of each target of one client service, for *lifetime* seconds.

    They are counted from the handshake in which the server was fully verified: a session that
    came out of a resumed one has the age of that. At each of *ends* all of them are given up.

    A target without a session of its own is offered that of the last one: servers behind one
    name often share their keys, and one that does not will just not resume. TLS 1.3 sends its
    tickets after the handshake (RFC 8446 §4.6.1), so that a session is fetched from the newest
    connection when the next one needs it, or at the latest when the connection ends.
    """

    def __init__(
        self,
        lifetime: float,
        now: Callable[[], float] = time.monotonic,
        size: int = MAX_TARGETS,
        ends: TrustEnds | None = None,
    ) -> None:
        self._lifetime = lifetime
        self._ends = ends or TrustEnds()
        self._floor = float("-inf")
        self._now = now
        self._size = size
        self._kept: dict[str, tuple[float, SSL.Session]] = {}
        self._newest: dict[str, weakref.ref[SSL.Connection]] = {}
        self._offered: weakref.WeakKeyDictionary[SSL.Connection, _Offer] = (
            weakref.WeakKeyDictionary()
        )
        self._last = ""

    def offer(self, connection: SSL.Connection, target: str, scope: Scope) -> None:
        """Have *connection*, before its handshake, resume a session with *target*."""
        now = self._now()
        if self._ends.passed():
            self._floor = now
        offer = self._offered[connection] = _Offer(target, now)
        found = self._find(target) or self._find(self._last)
        if found is None:
            return
        offer.since, session = found
        connection.set_session(session)
        if scope.enabled(SESSION_RESUMING.level):
            scope(SESSION_RESUMING, (session_id(session) or b"").hex().upper())

    def accepted(self, connection: SSL.Connection) -> None:
        """The verdict about the peer is in: its session may be used again."""
        offer = self._offered.get(connection)
        if offer is not None:
            self._newest.pop(offer.target, None)
            self._newest[offer.target] = weakref.ref(connection)
            self._trim(self._newest)

    def release(self, connection: SSL.Connection) -> None:
        """Keep the session of *connection*, which is about to go, where it was accepted."""
        offer = self._offered.pop(connection, None)
        if offer is None:
            return
        newest = self._newest.get(offer.target)
        if newest is not None and newest() is connection:
            del self._newest[offer.target]
            self._keep(offer, connection)

    def _find(self, target: str) -> tuple[float, SSL.Session] | None:
        newest = self._newest.get(target)
        connection = newest() if newest is not None else None
        if connection is not None:
            self._keep(self._offered[connection], connection)
        kept = self._kept.get(target)
        if kept is None:
            return None
        since, _ = kept
        if since < self._floor or self._now() - since > self._lifetime:
            del self._kept[target]
            return None
        return kept

    def _keep(self, offer: _Offer, connection: SSL.Connection) -> None:
        session = connection.get_session()
        # None: nobody can tell; OpenSSL ignores a session that cannot be resumed.
        if session is None or session_id(session) == b"":
            return
        since = offer.begun
        if offer.since is not None and session_reused(connection) is not False:
            since = offer.since
        self._kept.pop(offer.target, None)
        self._kept[offer.target] = (since, session)
        self._last = offer.target
        self._trim(self._kept)

    def _trim(self, entries: dict[str, Any]) -> None:
        while len(entries) > self._size:
            del entries[next(iter(entries))]


class AcceptedPeers:
    """Certificates (SHA-256 of their DER) that passed a full verification.

    Each is forgotten *lifetime* seconds after it was last seen, and the longest unseen first
    where there are more than *size*: whoever is forgotten counts as not authenticated.
    """

    def __init__(
        self, lifetime: float, now: Callable[[], float] = time.monotonic, size: int = MAX_PEERS
    ) -> None:
        self._lifetime = lifetime
        self._now = now
        self._size = size
        self._seen: dict[bytes, float] = {}

    def __contains__(self, digest: bytes) -> bool:
        seen = self._seen.get(digest)
        return seen is not None and self._now() - seen <= self._lifetime

    def add(self, digest: bytes) -> None:
        """Remember a certificate, or that it was seen again."""
        self._seen.pop(digest, None)
        self._seen[digest] = self._now()
        if len(self._seen) > self._size:
            del self._seen[next(iter(self._seen))]

    def discard(self, digest: bytes) -> None:
        """Forget a certificate that was turned down."""
        self._seen.pop(digest, None)
