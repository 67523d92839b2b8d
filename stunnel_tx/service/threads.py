"""Blocking calls beside the reactor: look-ups of names, and the reading of files for a reload.

Not the reactor's own pool of threads: at the end that one is waited for, with all that queues
up in front of it, and a name server that says nothing would hold up the end of the program.
"""

from __future__ import annotations

import queue
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define
from twisted.internet.defer import Deferred

from stunnel_tx.telemetry.log import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.telemetry.events import Event
    from stunnel_tx.telemetry.log import Log

__all__ = ["DistantScope", "Threads", "threads_of"]

#: Threads at most. Those that wait for a silent name server do so for ten seconds each.
MOST: Final = 32

#: Seconds until a thread that has nothing to do ends.
IDLE: Final = 5.0

T = TypeVar("T")


@define(eq=False)
class _Job:
    """One call that waits for a thread, or is being made in one."""

    call: Callable[[], Any]
    deferred: Deferred[Any]
    dropped: bool = False


class Threads:
    """Makes calls in threads of its own, which end with the program, whatever they are doing.

    A call whose Deferred is cancelled before its turn is not made at all.
    """

    def __init__(self, reactor: Any, most: int = MOST, idle: float = IDLE) -> None:
        # The reactor may be a key that leads here, and is not to be kept alive by that.
        self._reactor = weakref.ref(reactor)
        self._most = most
        self._idle = idle
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._unfinished = 0
        self._alive = 0

    def call(self, function: Callable[..., T], *args: object) -> Deferred[T]:
        """What *function* returns or raises for *args*; it fires in the reactor."""
        job = _Job(partial(function, *args), Deferred(lambda _: _drop(job)))
        with self._lock:
            self._unfinished += 1
            more = self._alive < min(self._unfinished, self._most)
            self._alive += more
        self._jobs.put(job)
        if more:
            threading.Thread(target=self._work, name="stunnel_tx", daemon=True).start()
        return job.deferred

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._idle)
            except queue.Empty:
                with self._lock:
                    if self._unfinished < self._alive:
                        self._alive -= 1
                        return
                # Somebody has counted on this thread just now.
                continue
            self._make(job)
            # Nothing of the call is to be kept while there is no other.
            del job

    def _make(self, job: _Job) -> None:
        deliver: Callable[[], None] | None = None
        if not job.dropped:
            try:
                deliver = partial(job.deferred.callback, job.call())
            except BaseException as error:  # noqa: BLE001 - raised where the answer is awaited
                deliver = partial(job.deferred.errback, error)
        with self._lock:
            self._unfinished -= 1
        reactor = self._reactor()
        if deliver is not None and reactor is not None:
            reactor.callFromThread(deliver)


def _drop(job: _Job) -> None:
    job.dropped = True


_THREADS: weakref.WeakKeyDictionary[Any, Threads] = weakref.WeakKeyDictionary()


def threads_of(reactor: Any) -> Threads:
    """The threads that belong to *reactor*, the same ones for everybody who asks."""
    found = _THREADS.get(reactor)
    if found is None:
        found = _THREADS[reactor] = Threads(reactor)
    return found


class DistantScope(Scope):
    """*scope* for work that may be done in another thread.

    Its lines are always written by the thread that made it, which is the reactor's.
    """

    __slots__ = ("_home", "_reactor", "_scope")

    def __init__(self, reactor: Any, log: Log, scope: Scope) -> None:
        super().__init__(log, scope.ident)
        self._reactor = reactor
        self._scope = scope
        self._home = threading.get_ident()

    def __call__(self, event: Event, *values: object) -> None:
        """Put out *event*, or have it put out after those that came before."""
        if threading.get_ident() == self._home:
            self._scope(event, *values)
            return
        self._reactor.callFromThread(self._scope, event, *values)
