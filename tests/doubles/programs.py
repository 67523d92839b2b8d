"""Stand-ins for the application, its global options and its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stunnel_tx.configuration.model import Configuration, Settings
from stunnel_tx.configuration.values import DebugLevel
from stunnel_tx.telemetry.events import ACCEPTING, LIST_START
from stunnel_tx.telemetry.levels import DEBUG
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.service.reloading import Prepare
    from stunnel_tx.telemetry.log import Log

#: Nothing on disk, nothing in the system's log: what a test does not ask for.
QUIET: dict[str, Any] = {
    "chroot": None,
    "debug": DebugLevel(None, 7),
    "foreground": "quiet",
    "log": "append",
    "output": None,
    "pid": None,
    "service": None,
    "setgid": None,
    "setuid": None,
    "syslog": False,
}


def global_options(**values: object) -> Settings:
    """The global options *values*, quiet ones for the rest."""
    return Settings("", values, QUIET, {})


def configuration(**values: object) -> Configuration:
    """A configuration without services and with the global options *values*."""
    return Configuration("test.conf", global_options(**values))


class RecordingSink(Recording):
    """A recording that also counts how often it was opened again and closed."""

    def __init__(self, threshold: int = DEBUG) -> None:
        super().__init__(threshold)
        self.reopened = 0
        self.closed = 0

    def reopen(self) -> None:
        """Count the call."""
        self.reopened += 1

    def close(self) -> None:
        """Count the call."""
        self.closed += 1


def recording_log(threshold: int = DEBUG) -> tuple[Log, RecordingSink]:
    """An open log and the sink its lines end in."""
    sink = RecordingSink(threshold)
    return sink.log, sink


class ScriptedProgram:
    """An application that only notes what is asked of it.

    ``calls`` holds the names of the methods called, in order. A method named in ``failures``
    raises the exception found there; ``next_configuration`` is taken over by a reload.
    """

    def __init__(self, log: Log, **options: object) -> None:
        self.calls: list[str] = []
        self.failures: dict[str, Exception] = {}
        self.configuration: Configuration | None = None
        self.next_configuration = configuration(**options)
        self.on_call: Callable[[str], object] = lambda _: None
        self._log = log

    def _note(self, name: str) -> None:
        self.calls.append(name)
        self.on_call(name)
        if name in self.failures:
            raise self.failures[name]

    def load(self) -> Configuration:
        """Take over ``next_configuration``."""
        self._note("load")
        self.configuration = self.next_configuration
        return self.configuration

    def bind(self) -> None:
        """Open nothing."""
        self._note("bind")

    def start(self) -> None:
        """Say that connections are accepted."""
        self._note("start")
        self._log.main(ACCEPTING)

    def stop(self) -> None:
        """Have nothing to stop."""
        self._note("stop")

    def reload(self, prepare: Prepare, /) -> None:
        """Take over ``next_configuration`` and what *prepare* makes of it."""
        self._note("reload")
        if self.configuration is not self.next_configuration:
            change = prepare(self.next_configuration)
            self.configuration = self.next_configuration
            change.apply()

    def list_tunnels(self) -> None:
        """List no tunnels."""
        self._note("list")
        self._log.main(LIST_START)
