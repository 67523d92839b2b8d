"""Twisted's own messages, brought into our log.

Twisted reports what goes wrong in its callbacks through ``twisted.logger``. Here a failure
becomes one line; its traceback is for ``debug = 7`` only, and so is Twisted's chatter about
ports and factories that start and stop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogBeginner
from zope.interface import implementer

from stunnel_tx.telemetry.events import (
    INTERNAL,
    TRACEBACK_LINE,
    TWISTED_ERROR,
    TWISTED_MESSAGE,
)
from stunnel_tx.telemetry.levels import DEBUG

if TYPE_CHECKING:
    from twisted.logger import LogBeginner, LogEvent
    from twisted.python.failure import Failure

    from stunnel_tx.telemetry.log import Scope

#: Most lines of one traceback that are put out: the last ones say the most.
MAX_TRACEBACK_LINES = 60

_ERRORS = frozenset((LogLevel.error, LogLevel.critical))


@implementer(ILogObserver)
class LogObserver:
    """Gives every message of Twisted to *scope*, at a level an operator can live with."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __call__(self, event: LogEvent) -> None:
        """Take one event of ``twisted.logger``; never raises."""
        failure = event.get("log_failure")
        origin = event.get("log_namespace") or event.get("log_system") or "twisted"
        if failure is not None:
            self._report(origin, failure)
        elif event.get("log_level") in _ERRORS or event.get("isError"):
            self._scope(TWISTED_ERROR, origin, formatEvent(event))
        elif self._scope.enabled(DEBUG):
            self._scope(TWISTED_MESSAGE, origin, formatEvent(event))

    def _report(self, origin: object, failure: Failure) -> None:
        what = f"{type(failure.value).__name__}: {failure.getErrorMessage()}"
        self._scope(INTERNAL, origin, what)
        if self._scope.enabled(DEBUG):
            for line in failure.getTraceback().splitlines()[-MAX_TRACEBACK_LINES:]:
                self._scope(TRACEBACK_LINE, line)


def begin_logging(scope: Scope, beginner: LogBeginner = globalLogBeginner) -> LogObserver:
    """Make *scope* the destination of everything Twisted logs, from its first message on.

    Standard output and error are left alone: what a library prints there is not ours to hide.
    """
    observer = LogObserver(scope)
    beginner.beginLoggingTo([observer], redirectStandardIO=False)
    return observer
