"""Files that renew themselves: a changed file becomes a new context, or nothing changes.

::

    notice or poll ─> look, look again ─> rebuild ─> objections? ─> in use from the next
                      (content settled?)  (off to one side)          connection on

Here is when files are looked at; what comes of it is in :mod:`stunnel_tx.service.rebuilding`.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from stunnel_tx.service.fingerprints import Fingerprint, fingerprint
from stunnel_tx.service.rebuilding import Follower, Rebuilder
from stunnel_tx.telemetry import events
from stunnel_tx.tls.files import files_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stunnel_tx.service.rebuilding import Content, Renewable
    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.passphrases import Passphrases
    from stunnel_tx.tunnel.runtime import ServicePolicy

__all__ = ["Renewal", "Time", "Timer", "Watch"]

#: Seconds between two looks at files that are being changed; equal twice means settled.
STEP: Final = 0.1

#: Seconds after which settled content counts although further notices keep coming.
PATIENCE: Final = 0.7

#: Seconds between looks at all files, for what no notice tells of: changes made by another
#: machine on a network file system, a writer that never closes.
POLL_WATCHED: Final = 300.0

#: Seconds between looks at files that cannot be watched.
POLL_UNWATCHED: Final = 10.0

#: Services rebuilt, and files polled, before connections get their turn.
BATCH: Final = 4
SLICE: Final = 32


class Watch(Protocol):
    """What tells of changes; see :class:`~stunnel_tx.service.watching.FileWatch`."""

    @property
    def unwatched(self) -> Mapping[str, str]:
        """The paths that cannot be watched, and why."""

    def follow(self, paths: Iterable[str]) -> None:
        """Watch *paths*, and nothing else."""

    def refresh(self, paths: Iterable[str]) -> None:
        """Look again what leads to *paths*."""

    def close(self) -> None:
        """Stop watching."""


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Forget the call."""


class Time(Protocol):
    """The part of the reactor that renewal uses."""

    def seconds(self) -> float:
        """The present."""

    def callLater(  # noqa: N802 - Twisted's name
        self, delay: float, function: Callable[..., object], /, *args: object
    ) -> Timer:
        """Run *function* after *delay* seconds."""


class Renewal:
    """Renews the services it is told to follow.

    *watch* is made with a function that takes the paths which may have changed.
    """

    def __init__(
        self,
        time: Time,
        watch: Callable[[Callable[[Iterable[str]], None]], Watch | None],
        scope: Scope,
        passphrases: Passphrases,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._time = time
        self._scope = scope
        self._now = now
        self._rebuilder = Rebuilder(scope, passphrases.unattended(), now)
        self._watch = watch(self.stir)
        self._followers: tuple[Follower, ...] = ()
        self._users: dict[str, list[Follower]] = {}
        self._seen: dict[str, Fingerprint] = {}
        self._pending: set[str] = set()
        self._sample: dict[str, Fingerprint] = {}
        self._since = 0.0
        self._stirred = False
        self._queue: deque[Follower] = deque()
        self._to_poll: dict[str, None] = {}
        self._timers: dict[Callable[[], None], Timer] = {}

    # --- what is followed ------------------------------------------------------------------

    def follow(self, services: Sequence[tuple[ServicePolicy, Renewable]]) -> None:
        """Keep *services*, and no others, up to date with their files."""
        self._forget()
        self._seen = {}
        followers = []
        for service, source in services:
            files = files_of(source.policy)
            for path in files:
                self._seen.setdefault(path, Fingerprint())
            built_from = tuple(source.seen.get(path, Fingerprint()) for path in files)
            followers.append(Follower(service, source.policy, files, built_from))
        self._followers = tuple(followers)
        self._users = {path: [] for path in self._seen}
        for follower in followers:
            for path in follower.files:
                self._users[path].append(follower)
        if self._watch is not None:
            self._watch.follow(self._seen)
            for reason in dict.fromkeys(self._watch.unwatched.values()):
                self._scope(events.RENEWAL_POLLING, reason, f"{POLL_UNWATCHED:g}")
        self._seen = {path: fingerprint(path) for path in self._seen}
        told: set[str] = set()
        for follower, (_, source) in zip(followers, services, strict=True):
            self._begin(follower, source, told)
        self._plan_polls()

    def _begin(self, follower: Follower, source: Renewable, told: set[str]) -> None:
        """Compare what is there now with what the service was built from."""
        now = self._content(follower)
        if not source.seen:
            follower.built_from = now
        changed = [path for path in follower.files if self._seen[path] != source.seen.get(path)]
        unreadable = [path for path in changed if self._seen[path].problem]
        for path in unreadable:
            if path not in told:
                told.add(path)
                place = (follower.service.name, path, self._seen[path].problem)
                self._scope(events.RENEWAL_UNREADABLE, *place)
        if unreadable:
            follower.refused = now
        elif now != follower.built_from:
            self.stir(follower.files)

    def close(self) -> None:
        """Stop following."""
        self._forget()
        self._followers = ()
        self._users = {}
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _forget(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._pending.clear()
        self._sample = {}
        self._queue.clear()
        self._to_poll.clear()

    def _later(self, seconds: float, function: Callable[[], None]) -> None:
        """Call *function* in *seconds*, unless it is going to be called anyway."""

        def due() -> None:
            del self._timers[function]
            function()

        if function not in self._timers:
            self._timers[function] = self._time.callLater(seconds, due)

    # --- polling ---------------------------------------------------------------------------

    def _unwatched(self) -> Mapping[str, str]:
        if self._watch is None:
            return dict.fromkeys(self._users, "")
        return self._watch.unwatched

    def _plan_polls(self) -> None:
        if not self._users:
            return
        unwatched = self._unwatched()
        self._later(POLL_WATCHED, self._poll_all)
        if unwatched:
            self._later(POLL_UNWATCHED, self._poll_unwatched)

    def _poll_all(self) -> None:
        for follower in self._followers:
            if follower.retry is not None and follower.retry <= self._now():
                follower.refused = follower.retry = None
        self._poll(self._users)

    def _poll_unwatched(self) -> None:
        self._poll(self._unwatched())

    def _poll(self, paths: Iterable[str]) -> None:
        self._to_poll |= dict.fromkeys(paths)
        self._poll_slice()
        self._plan_polls()

    def _poll_slice(self) -> None:
        now = list(islice(self._to_poll, SLICE))
        for path in now:
            del self._to_poll[path]
        self.stir(now)
        if self._to_poll:
            self._later(2 * STEP, self._poll_slice)

    # --- changes ---------------------------------------------------------------------------

    def stir(self, paths: Iterable[str]) -> None:
        """Say that *paths* may have changed."""
        known = [path for path in paths if path in self._users]
        if not known:
            return
        if not self._pending:
            self._since = self._time.seconds()
            self._sample = {}
        self._pending.update(known)
        self._stirred = True
        self._later(STEP, self._look)

    def _look(self) -> None:
        if self._watch is not None:
            self._watch.refresh(self._pending)
        sample = {path: fingerprint(path) for path in self._pending}
        late = self._time.seconds() - self._since >= PATIENCE
        settled = sample == self._sample and (late or not self._stirred)
        if not settled and any(self._would_change(each, sample) for each in self._concerned()):
            self._sample, self._stirred = sample, False
            self._later(STEP, self._look)
            return
        concerned = self._concerned()
        self._pending.clear()
        self._seen |= sample
        for follower in concerned:
            if follower.due(self._content(follower)) and follower not in self._queue:
                self._queue.append(follower)
        self._plan_polls()
        self._work()

    def _concerned(self) -> list[Follower]:
        users = (follower for path in self._pending for follower in self._users[path])
        return list(dict.fromkeys(users))

    def _content(self, follower: Follower) -> Content:
        return tuple(self._seen[path] for path in follower.files)

    def _would_change(self, follower: Follower, sample: Mapping[str, Fingerprint]) -> bool:
        now = tuple(sample.get(path) or self._seen[path] for path in follower.files)
        return follower.would_change(now)

    # --- rebuilding ------------------------------------------------------------------------

    def _work(self) -> None:
        for _ in range(min(BATCH, len(self._queue))):
            self._rebuild(self._queue.popleft())
        if self._queue:
            self._later(0.0, self._work)

    def _rebuild(self, follower: Follower) -> None:
        if not self._rebuilder.rebuild(follower, self._content(follower)):
            self.stir(follower.files)
