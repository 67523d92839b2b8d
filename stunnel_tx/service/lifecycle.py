"""From a loaded configuration to the last closed descriptor, in the order that keeps it safe.

::

    load ─> bind ─> settle ─────────────────────────> begin ───────> stop ─> finish
            (root)  (system log, chroot, setgid,      (pid, signals,
                     setuid, log file)                 accepting)

``stunnel-tx`` becomes a daemon between *settle* and *begin*; under twistd that is twistd's
own affair.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Protocol

from stunnel_tx.errors import ConfigurationErrors, StunnelTxError
from stunnel_tx.service.logs import LogPolicy, Logs, log_policy, show_failed_start
from stunnel_tx.service.privileges import Privileges, give_up, privileges
from stunnel_tx.service.process import (
    PidFile,
    StartReport,
    daemonize,
    open_null,
    raise_descriptor_limit,
    settle_memory,
)
from stunnel_tx.service.signals import SignalActions, Signals
from stunnel_tx.telemetry.events import (
    CONFIGURATION_ERROR,
    CONFIGURATION_FAILED,
    INTERNAL,
    START_FAILED,
    TRACEBACK_LINE,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.configuration.model import Configuration
    from stunnel_tx.service.reloading import Prepare
    from stunnel_tx.telemetry.log import Log, Scope

#: Seconds between two openings of the log file that nobody asked for: a rotation that forgot
#: to send its signal is noticed within a day.
REOPEN_INTERVAL = 24 * 60 * 60.0


class Program(Protocol):
    """What a lifecycle runs: the application, as seen from here."""

    @property
    def configuration(self) -> Configuration | None:
        """The configuration in force, None before :meth:`load`."""

    def load(self) -> Configuration:
        """Read the configuration and build what it describes."""

    def bind(self) -> None:
        """Open every listener."""

    def start(self) -> None:
        """Begin to accept."""

    def stop(self) -> None:
        """Close the listeners and drop the tunnels."""

    def reload(self, prepare: Prepare, /) -> None:
        """Read the configuration again; all or nothing, failures are logged.

        *prepare* is called with it, and what it returns is applied with the rest.
        """

    def list_tunnels(self) -> None:
        """Log one line for each active tunnel."""


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Forget the call."""

    def active(self) -> bool:
        """True until it was made or forgotten."""


class LifecycleReactor(Protocol):
    """The part of the reactor a lifecycle uses."""

    def callFromThread(  # noqa: N802 - Twisted's name
        self, function: Callable[..., object], /, *args: object
    ) -> None:
        """Run *function* in the next iteration."""

    def callLater(  # noqa: N802 - Twisted's name
        self, delay: float, function: Callable[..., object], /, *args: object
    ) -> Timer:
        """Run *function* after *delay* seconds."""

    def callWhenRunning(  # noqa: N802 - Twisted's name
        self, function: Callable[..., object], /, *args: object
    ) -> object:
        """Run *function* as soon as the reactor runs."""

    def stop(self) -> None:
        """End the reactor's loop."""


class Lifecycle:
    """One run of the program; its methods are called in the order of the module's diagram.

    Up to :meth:`begin` they raise the errors of the application, and OperatingError; after
    one of those, call :meth:`abandon`.
    """

    def __init__(self, reactor: LifecycleReactor, program: Program, log: Log) -> None:
        self._reactor = reactor
        self._program = program
        self._log = log
        self.scope = log.main
        self._logs = Logs(log, self.scope)
        self._pid_file = PidFile(self.scope)
        self._policy: LogPolicy | None = None
        self._pid_path: str | None = None
        self._bound = False
        self._privileges = Privileges()
        self._null = -1
        self._report = StartReport()
        self._reopening: Timer | None = None
        self._stopping = False
        actions = SignalActions(
            stop=self.stop,
            reload=self.reload,
            reopen_logs=self._logs.reopen,
            list_tunnels=program.list_tunnels,
        )
        self._signals = Signals(reactor, actions, self.scope)

    def load(self) -> Configuration:
        """Read the configuration; accounts are looked up while their database is in reach."""
        configuration = self._program.load()
        self._privileges = privileges(configuration.globals)
        self._policy = log_policy(configuration.globals)
        self._pid_path = configuration.globals["pid"] or None
        return configuration

    def bind(self) -> None:
        """Open every listener, still with the rights the program was started with."""
        raise_descriptor_limit(self.scope)
        self._null = open_null()
        self._bound = True
        self._program.bind()

    def settle(self) -> None:
        """Give up root's rights and open the logs, which put out the lines kept so far."""
        if self._policy is None:
            message = "settle() before load()"
            raise RuntimeError(message)
        self._logs.prepare(self._policy)
        if self._privileges != Privileges():
            # Only here: it takes longer than the rest of a start.
            from stunnel_tx.service.imports import import_everything

            import_everything()
        give_up(self._privileges, self.scope)
        self._logs.open(self._policy)

    def detach(self) -> None:
        """Become a daemon; returns in the child only."""
        self._report = daemonize(self._reactor, self._null)
        self.scope.ident = "main"

    def begin(self) -> None:
        """Write the pid file, listen to signals and accept; the reactor is about to run."""
        self._pid_file.create(self._pid_path)
        self._signals.install()
        self._program.start()
        self._reopening = self._reactor.callLater(REOPEN_INTERVAL, self._reopen_unasked)
        # Twisted sets its own signal handlers when it starts to run: ours follow.
        self._reactor.callWhenRunning(self._signals.install)
        self._reactor.callWhenRunning(settle_memory)
        self._report.succeed()

    def abandon(self, error: Exception, show: Callable[[Log], None] | None = None) -> None:
        """End a start that failed: say why, and leave nothing behind.

        *show* puts out the lines of a log that never opened, on the terminal unless given.
        """
        log_failure(self.scope, error, loading=not self._bound)
        (show or show_failed_start)(self._log)
        self._report.fail(str(error))
        self.finish()
        self.close()

    def reload(self) -> None:
        """Let the application read its configuration again, and apply its log options."""
        self._program.reload(lambda new: self._logs.change(log_policy(new.globals)))

    def stop(self) -> None:
        """End the reactor's loop; whoever runs it calls :meth:`finish` then."""
        if not self._stopping:
            self._stopping = True
            self._reactor.stop()

    def finish(self) -> None:
        """Close the listeners, drop the tunnels, remove the pid file."""
        self._stopping = True
        if self._reopening is not None and self._reopening.active():
            self._reopening.cancel()
        if self._bound:
            self._bound = False
            self._program.stop()
        self._pid_file.remove()

    def close(self) -> None:
        """Close the logs and put the signals back: nothing is said after this."""
        self._signals.restore()
        self._logs.close()

    def _reopen_unasked(self) -> None:
        self._reopening = self._reactor.callLater(REOPEN_INTERVAL, self._reopen_unasked)
        if self._logs.to_file:
            self._logs.reopen()


def log_failure(scope: Scope, error: BaseException, *, loading: bool) -> None:
    """Say in the log why the program cannot start: one line for each thing that is wrong.

    With *loading* it is the configuration that could not be used. An error that is not one of
    ours is a bug: it gets one line too, and its traceback only at the level of debugging.
    """
    if isinstance(error, ConfigurationErrors):
        for problem in error.problems:
            scope(CONFIGURATION_ERROR, problem)
    elif isinstance(error, StunnelTxError):
        scope(START_FAILED, error)
    else:
        scope(INTERNAL, "start", f"{type(error).__name__}: {error}")
        for entry in traceback.format_exception(error):
            for line in entry.splitlines():
                scope(TRACEBACK_LINE, line)
    if loading:
        scope(CONFIGURATION_FAILED)
