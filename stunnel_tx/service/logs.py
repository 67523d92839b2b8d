"""From the global options to open sinks, in the two phases of a start.

Until the configuration is accepted every line is kept in memory. Then the system log is
connected (while its socket is still within reach of a chroot), and after the privileges are
given up the log file is opened, so that the account that has to open it again later is the
one that opened it first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from stunnel_tx.telemetry.events import LOG_REOPENED
from stunnel_tx.telemetry.levels import LEVEL_MARKS, NOTICE
from stunnel_tx.telemetry.outlets import Outlet, encode_line
from stunnel_tx.telemetry.sinks import FileSink, StderrSink, SyslogSink

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.configuration.model import Settings
    from stunnel_tx.telemetry.log import Log, Scope, Sink

#: Ident of our lines in the system log when ``service`` does not name another.
DEFAULT_IDENT = "stunnel"

#: The highest level a failed start shows, whatever ``debug`` says.
FAILED_START_LEVEL = NOTICE


@frozen
class LogPolicy:
    """What the global options say about logs; ``level`` is a syslog severity.

    ``output`` is the path of the log file, or None; ``stderr`` is true in the foreground.
    """

    level: int
    facility: str | None
    ident: str
    output: str | None
    overwrite: bool
    syslog: bool
    stderr: bool


def log_policy(settings: Settings) -> LogPolicy:
    """The log policy in the global *settings*."""
    debug = settings["debug"]
    return LogPolicy(
        level=debug.level,
        facility=debug.facility,
        ident=settings["service"] or DEFAULT_IDENT,
        output=settings["output"] or None,
        overwrite=settings["log"] == "overwrite",
        syslog=bool(settings["syslog"]),
        stderr=settings["foreground"] == "yes",
    )


class Logs:
    """The sinks of *log* through the life of the program.

    Call :meth:`prepare` before a chroot and :meth:`open` after it; :meth:`change` prepares the
    sinks of a new configuration, :meth:`reopen` follows a rotation of the file.
    """

    def __init__(
        self,
        log: Log,
        scope: Scope,
        *,
        connect_syslog: Callable[[str, str | None], SyslogSink] = SyslogSink,
        stderr: int = 2,
    ) -> None:
        self._log = log
        self._scope = scope
        self._connect_syslog = connect_syslog
        self._stderr = stderr
        self._syslog: SyslogSink | None = None
        self._sinks: tuple[Sink, ...] = ()

    @property
    def to_file(self) -> bool:
        """True when one of the open sinks is a file."""
        return any(isinstance(sink, FileSink) for sink in self._sinks)

    def prepare(self, policy: LogPolicy) -> None:
        """Connect to the system's log when *policy* wants it."""
        if not policy.syslog:
            return
        if self._syslog is None:
            self._syslog = self._connect_syslog(policy.ident, policy.facility)
        else:
            # After a chroot the socket could not be connected once more: it is kept.
            self._syslog.configure(policy.ident, policy.facility)

    def open(self, policy: LogPolicy) -> None:
        """Open the sinks of *policy* and deliver the lines kept so far.

        Raises OperatingError when the log file cannot be opened.
        """
        self.change(policy).apply()

    def change(self, policy: LogPolicy) -> LogChange:
        """Open the sinks of a new configuration, for use when the change is applied.

        Raises OperatingError when the log file cannot be opened.
        """
        sinks: list[Sink] = []
        if policy.output is not None:
            sinks.append(FileSink(policy.output, self._scope, overwrite=policy.overwrite))
        if policy.stderr:
            sinks.append(StderrSink(self._stderr))
        return LogChange(self, policy, tuple(sinks))

    def use(self, policy: LogPolicy, sinks: tuple[Sink, ...]) -> None:
        """Put out lines through *sinks*, and the system's log if *policy* wants it."""
        self.prepare(policy)
        if policy.syslog and self._syslog is not None:
            sinks = (*sinks, self._syslog)
        old, self._sinks = self._sinks, sinks
        self._log.open(self._sinks, policy.level)
        for sink in old:
            if sink is not self._syslog:
                sink.close()

    def reopen(self) -> None:
        """Open the log file again, as after a rotation; a failure has its own line."""
        if self._log.reopen():
            self._scope(LOG_REOPENED)

    def close(self) -> None:
        """Close every sink; lines written later are lost."""
        self._log.close()
        self._sinks = ()


@frozen(eq=False)
class LogChange:
    """Sinks that are open, and not in use yet."""

    _logs: Logs
    _policy: LogPolicy
    _sinks: tuple[Sink, ...]

    def apply(self) -> None:
        """Use them from now on, and close those used before."""
        self._logs.use(self._policy, self._sinks)

    def discard(self) -> None:
        """Close them; those in use stay."""
        for sink in self._sinks:
            sink.close()


def show_failed_start(log: Log, fd: int = 2) -> None:
    """Print the lines kept so far to *fd*, as ``[!] text``, up to the level of a notice.

    When the sinks are open already there is nothing left to show.
    """
    outlet = Outlet(fd, owned=False)
    for level, _, text in log.take_pending():
        if level <= FAILED_START_LEVEL:
            outlet.write(encode_line(f"[{LEVEL_MARKS[level]}] {text}"))
