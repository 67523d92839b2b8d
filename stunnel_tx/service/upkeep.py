"""What goes on beside the connections: files that renew themselves, certificates that end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from stunnel_tx.service.inotify import open_inotify
from stunnel_tx.service.rebuilding import identities_of
from stunnel_tx.service.renewal import POLL_UNWATCHED, Renewal
from stunnel_tx.service.watching import FileWatch
from stunnel_tx.telemetry.events import RENEWAL_POLLING
from stunnel_tx.tls.validity import report_validity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from stunnel_tx.relay.loop import Loop
    from stunnel_tx.service.build import Blueprint
    from stunnel_tx.service.renewal import Time, Timer
    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.identity import Identity
    from stunnel_tx.tls.passphrases import Passphrases

__all__ = ["Upkeep"]

#: Seconds between two looks at how long certificates are still good.
DAY: Final = 24 * 60 * 60.0

#: Services named together in one line of the log.
MOST_NAMED: Final = 5


class Upkeep:
    """Looks after the services in force, from the first :meth:`follow` to :meth:`close`."""

    def __init__(
        self,
        time: Time,
        loop: Loop,
        scope: Scope,
        passphrases: Passphrases,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._time = time
        self._loop = loop
        self._scope = scope
        self._passphrases = passphrases
        self._now = now
        self._blueprints: tuple[Blueprint, ...] = ()
        self._renewal: Renewal | None = None
        self._daily: Timer | None = None

    def follow(self, blueprints: Sequence[Blueprint]) -> None:
        """Look after the services of *blueprints*, and no others."""
        self._blueprints = tuple(blueprints)
        if self._daily is None:
            # At the start, each certificate has been looked at when it was loaded.
            self._daily = self._time.callLater(DAY, self._look_at_certificates)
        followed = [(each.policy, each.source) for each in blueprints if each.source is not None]
        if self._renewal is None:
            if not followed:
                return
            self._renewal = Renewal(
                self._time, self._watch, self._scope, self._passphrases, self._now
            )
        self._renewal.follow(followed)

    def close(self) -> None:
        """End the upkeep."""
        if self._daily is not None:
            self._daily.cancel()
            self._daily = None
        if self._renewal is not None:
            self._renewal.close()
            self._renewal = None

    def _watch(self, changed: Callable[[Iterable[str]], None]) -> FileWatch | None:
        try:
            queue = open_inotify()
        except OSError as error:
            self._scope(RENEWAL_POLLING, error.strerror or error, f"{POLL_UNWATCHED:g}")
            return None
        return FileWatch(queue, self._loop, changed)

    def _look_at_certificates(self) -> None:
        self._daily = self._time.callLater(DAY, self._look_at_certificates)
        found: dict[object, tuple[Identity, str, dict[str, None]]] = {}
        for each in self._blueprints:
            for path, identity in identities_of(each.policy.tls):
                same = (identity.leaf, identity.chain)
                found.setdefault(same, (identity, path, {}))[2][each.policy.name] = None
        for identity, path, services in found.values():
            report_validity(identity, f"{_named(services)}, {path}", self._scope, self._now())


def _named(services: Iterable[str]) -> str:
    """*services* as text; of more than a few only the first, and how many there are besides."""
    first, *others = (f"[{each}]" for each in services)
    if not others:
        return f"service {first}"
    if len(others) < MOST_NAMED:
        return f"services {', '.join((first, *others))}"
    return f"service {first} and {len(others)} others"
