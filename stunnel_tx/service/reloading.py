"""A reload: read beside the reactor, then put in force in one step, or not at all.

::

    request ─> read (in a thread: files, names, certificates) ─> switch (in the reactor) ─> idle
                  ^                                                │
                  └────────── requested once more meanwhile ───────┘

Reading may take as long as a name server takes; no tunnel waits for it. Whatever goes wrong is
logged, and the configuration of before stays in force.
"""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from stunnel_tx.errors import ConfigurationErrors, StunnelTxError
from stunnel_tx.telemetry import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from stunnel_tx.configuration.model import Configuration
    from stunnel_tx.service.listening import Listeners, Places
    from stunnel_tx.service.reading import Generation
    from stunnel_tx.service.threads import Threads
    from stunnel_tx.telemetry.log import Scope

__all__ = ["Change", "NoChange", "Prepare", "Reading", "Reloading", "switch"]


class Change(Protocol):
    """Something else that a new configuration changes, prepared as far as it can fail."""

    def apply(self) -> None:
        """Put it in force."""

    def discard(self) -> None:
        """Leave everything as it is."""


class Prepare(Protocol):
    """Prepares what a configuration changes besides the services."""

    def __call__(self, configuration: Configuration, /) -> Change:
        """The change; raises OperatingError when it cannot be made."""


class NoChange:
    """What there is to do where nothing but services changes."""

    def __init__(self, configuration: Configuration) -> None:
        pass

    def apply(self) -> None:
        """Nothing."""

    def discard(self) -> None:
        """Nothing."""


@frozen(eq=False)
class Reading:
    """What was read, and where its services are going to listen."""

    generation: Generation
    places: Places


class Reloading:
    """Carries out reloads, one at a time; a request in the middle of one is remembered.

    *read* is called in a thread, and *switch* in the reactor with what it returned.
    """

    def __init__(
        self,
        threads: Threads,
        scope: Scope,
        read: Callable[[], Reading],
        switch: Callable[[Reading], None],
    ) -> None:
        self._threads = threads
        self._scope = scope
        self._read = read
        self._switch = switch
        self._again = False
        self._closed = False
        self._under_way: Deferred[None] | None = None

    @property
    def under_way(self) -> bool:
        """True from a request to its end."""
        return self._under_way is not None

    def request(self) -> None:
        """Begin a reload, or have another one follow that which is under way."""
        if self._closed:
            return
        if self._under_way is not None:
            self._again = True
            return
        self._under_way = self._threads.call(self._read).addCallback(self._finish)
        self._under_way.addErrback(self._failed)
        self._under_way.addCallback(self._next)

    def close(self) -> None:
        """Let nothing come of a reload that is under way: the program is stopping."""
        self._closed = True

    def _finish(self, reading: Reading) -> None:
        if not self._closed:
            self._switch(reading)

    def _failed(self, failure: Failure) -> None:
        if self._closed:
            return
        error = failure.value
        if isinstance(error, ConfigurationErrors):
            for problem in error.problems:
                self._scope(events.CONFIGURATION_ERROR, problem)
        elif isinstance(error, StunnelTxError):
            self._scope(events.START_FAILED, error)
        else:
            self._scope(events.INTERNAL, "the reload", f"{type(error).__name__}: {error}")
            for entry in traceback.format_exception(error):
                for line in entry.splitlines():
                    self._scope(events.TRACEBACK_LINE, line)
        self._scope(events.RELOAD_FAILED)

    def _next(self, _: object) -> None:
        self._under_way = None
        if self._again:
            self._again = False
            self.request()


def switch(reading: Reading, listeners: Listeners, prepare: Prepare) -> None:
    """Put *reading* in force; raises OperatingError, and all is as before then."""
    generation = reading.generation
    with ExitStack() as undo:
        plan = listeners.prepare(generation.blueprints, reading.places)
        undo.callback(listeners.discard, plan)
        change = prepare(generation.configuration)
        undo.callback(change.discard)
        listeners.serve(plan)
        # From here on nothing can fail.
        undo.pop_all()
    change.apply()
    listeners.start()
