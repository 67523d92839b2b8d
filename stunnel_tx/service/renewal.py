"""Files that renew themselves: a changed file becomes a new context, or nothing changes.

::

    notice or poll ─> look, look again ─> rebuild ─> objections? ─> in use from the next
                      (content settled?)  (off to one side)          connection on

A service is renewed as a whole, from what all its files hold at one moment. What cannot be used
is reported once; the files may not be complete yet, and their next change brings a new try.
"""

from __future__ import annotations

import os
from collections import deque
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from attrs import define, field, frozen

from stunnel_tx.errors import OperatingError
from stunnel_tx.service.fingerprints import Fingerprint, fingerprint
from stunnel_tx.telemetry import events
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.errors import ContextRefused
from stunnel_tx.tls.files import files_of, with_absolute_paths
from stunnel_tx.tls.names import distinguished_name
from stunnel_tx.tls.validity import objection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.handshake import TLSContext
    from stunnel_tx.tls.identity import Identity
    from stunnel_tx.tls.passphrases import Passphrases
    from stunnel_tx.tls.policy import TLSPolicy
    from stunnel_tx.tunnel.runtime import ServicePolicy

__all__ = ["Renewable", "Renewal", "Watch", "identities_of", "renewable"]

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


@frozen(eq=False)
class Renewable:
    """What a service is rebuilt from: its policy with absolute paths, and what the files held.

    ``seen`` was taken before the files were read for the first time, so that no change since
    goes unnoticed. It is empty where the process has changed its root directory meanwhile:
    files in the jail need not be those from outside.
    """

    policy: TLSPolicy
    seen: Mapping[str, Fingerprint] = field(factory=dict)


def renewable(
    policy: TLSPolicy, look: Callable[[str], Fingerprint], chroot: str | None
) -> Renewable:
    """Note what the files of *policy* hold, about to be read; *chroot* is still to come."""
    if chroot is not None:
        return Renewable(with_absolute_paths(policy, "/"))
    fixed = with_absolute_paths(policy, os.getcwd())  # noqa: PTH109 - a string is wanted
    return Renewable(fixed, {path: look(path) for path in files_of(fixed)})


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


Content = tuple[Fingerprint, ...]
"""What the files of one service hold, in their order."""


def identities_of(context: TLSContext) -> list[Identity]:
    """Every certificate of *context*, with chain and key, in the order of its files."""
    own = [] if context.identity is None else [context.identity]
    return own if context.identities is None else [*own, *context.identities.identities]


@define(eq=False)
class _Follower:
    """One service, what it was built from, and what it was last refused for."""

    service: ServicePolicy
    policy: TLSPolicy
    files: tuple[str, ...]
    built_from: Content
    refused: Content | None = None
    retry: datetime | None = None


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
        self._passphrases = passphrases.unattended()
        self._now = now
        self._watch = watch(self.stir)
        self._followers: tuple[_Follower, ...] = ()
        self._users: dict[str, list[_Follower]] = {}
        self._seen: dict[str, Fingerprint] = {}
        self._pending: set[str] = set()
        self._sample: dict[str, Fingerprint] = {}
        self._since = 0.0
        self._stirred = False
        self._queue: deque[_Follower] = deque()
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
            followers.append(_Follower(service, source.policy, files, built_from))
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

    def _begin(self, follower: _Follower, source: Renewable, told: set[str]) -> None:
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
            if self._due(follower) and follower not in self._queue:
                self._queue.append(follower)
        self._plan_polls()
        self._work()

    def _concerned(self) -> list[_Follower]:
        users = (follower for path in self._pending for follower in self._users[path])
        return list(dict.fromkeys(users))

    def _content(self, follower: _Follower) -> Content:
        return tuple(self._seen[path] for path in follower.files)

    def _would_change(self, follower: _Follower, sample: Mapping[str, Fingerprint]) -> bool:
        now = tuple(sample.get(path) or self._seen[path] for path in follower.files)
        return now not in (follower.built_from, follower.refused)

    def _due(self, follower: _Follower) -> bool:
        """True when there is something new to try."""
        now = self._content(follower)
        if now == follower.built_from:
            # Put back, or never touched: whatever was refused is gone.
            follower.refused = follower.retry = None
            return False
        return now != follower.refused

    # --- rebuilding ------------------------------------------------------------------------

    def _work(self) -> None:
        for _ in range(min(BATCH, len(self._queue))):
            self._rebuild(self._queue.popleft())
        if self._queue:
            self._later(0.0, self._work)

    def _rebuild(self, follower: _Follower) -> None:
        content = self._content(follower)
        try:
            context = self._build(follower)
        except OperatingError as error:
            context = None
            reason = error.reason if isinstance(error, ContextRefused) else str(error)
        if tuple(fingerprint(path) for path in follower.files) != content:
            # Changed while it was read: what came of it may be half of each.
            self.stir(follower.files)
        elif context is None:
            self._refuse(follower, content, reason)
        else:
            self._judge(follower, content, context)

    def _build(self, follower: _Follower) -> TLSContext:
        old = dict(zip(follower.files, follower.built_from, strict=True))
        for path in follower.files:
            if self._seen[path].cut and not old[path].cut:
                raise OperatingError(f"{path}: a PEM block has no end; is the file complete?")
        return build_context(follower.policy, self._scope, self._passphrases)

    def _judge(self, follower: _Follower, content: Content, context: TLSContext) -> None:
        service, identity = follower.service, context.identity
        paths = (*follower.policy.certificate_files[:1], *follower.policy.identity_files)
        # The same options make the same number of identities, in the same order.
        identities = zip(paths, identities_of(context), identities_of(service.tls), strict=True)
        for path, new, old in identities:
            problem = objection(new, old, self._now())
            if problem is not None:
                self._refuse(follower, content, f"{path}: {problem.reason}", problem.until)
                return
        pairs = zip(follower.files, content, follower.built_from, strict=True)
        changed = ", ".join(path for path, now, then in pairs if now != then)
        follower.built_from, follower.refused, follower.retry = content, None, None
        service.renew(context)
        if identity is None:
            self._scope(events.RENEWED, service.name, changed)
        else:
            name = distinguished_name(identity.leaf.subject)
            self._scope(events.RENEWED_UNTIL, service.name, changed, identity.not_after, name)

    def _refuse(
        self, follower: _Follower, content: Content, reason: str, until: datetime | None = None
    ) -> None:
        follower.refused, follower.retry = content, until
        self._scope(events.RENEWAL_REFUSED, follower.service.name, reason)
