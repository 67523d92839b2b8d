"""What each signal asks for, and how it reaches the reactor.

==========  ==============================================================
TERM        stop, announced at level 5 as ``Terminated``
INT, QUIT   stop, announced at level 3 as ``Received SIG...; terminating``
HUP         read the configuration again
USR1        open the log file again
USR2        list the active tunnels
PIPE        ignored
==========  ==============================================================

CHLD is left to Twisted, which reaps the children it started. A Python signal handler may run
between any two bytecodes, so ours only schedule: ``callFromThread`` is the one entrance of
the reactor that may be used from there.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from stunnel_tx.telemetry.events import SIGNAL_TERMINATING, TERMINATED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from stunnel_tx.telemetry.log import Scope

#: Signals that stop the program, unless it was started with them ignored (``nohup``, ``&``).
STOPPING = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGQUIT))


class Scheduler(Protocol):
    """The part of the reactor that is used here."""

    def callFromThread(  # noqa: N802 - Twisted's name
        self, function: Callable[..., object], /, *args: object
    ) -> None:
        """Run *function* in the reactor's next iteration."""


@frozen
class SignalActions:
    """What is to be done, in the reactor, for each request a signal can make."""

    stop: Callable[[], object]
    reload: Callable[[], object]
    reopen_logs: Callable[[], object]
    list_tunnels: Callable[[], object]


class Signals:
    """The program's signals; made early, to see which ones were ignored at start.

    :meth:`install` has to be called again once the reactor runs, since Twisted sets handlers
    of its own at that moment. :meth:`restore` puts back what was found.
    """

    def __init__(self, reactor: Scheduler, actions: SignalActions, scope: Scope) -> None:
        self._reactor = reactor
        self._actions = actions
        self._scope = scope
        self._requests: Mapping[int, Callable[[], object]] = {
            signal.SIGHUP: actions.reload,
            signal.SIGUSR1: actions.reopen_logs,
            signal.SIGUSR2: actions.list_tunnels,
        }
        self._found = {
            number: signal.getsignal(number)
            for number in (*STOPPING, *self._requests, signal.SIGPIPE)
        }

    def install(self) -> None:
        """Set every handler."""
        for number in STOPPING:
            ignored = self._found[number] == signal.SIG_IGN
            signal.signal(number, signal.SIG_IGN if ignored else self._schedule)
        for asking in self._requests:
            signal.signal(asking, self._schedule)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def restore(self) -> None:
        """Put back the handlers found when this object was made."""
        for found, action in self._found.items():
            # None: set by something other than Python, which cannot be put back from here.
            signal.signal(found, signal.SIG_DFL if action is None else action)

    def _schedule(self, number: int, _frame: FrameType | None) -> None:
        self._reactor.callFromThread(self.receive, number)

    def receive(self, number: int) -> None:
        """Do what signal *number* asks for; runs in the reactor."""
        request = self._requests.get(number)
        if request is not None:
            request()
            return
        if number == signal.SIGTERM:
            self._scope(TERMINATED)
        else:
            self._scope(SIGNAL_TERMINATING, signal.Signals(number).name)
        self._actions.stop()
