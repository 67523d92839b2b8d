"""The places where finished lines go: standard error, a file, the system's log.

Every sink takes ``write(level, ident, text)`` with a cleaned text, never raises, and never
waits long for whoever reads it.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import TYPE_CHECKING

from zope.interface import implementer

from stunnel_tx.errors import OperatingError
from stunnel_tx.interfaces import ILogSink
from stunnel_tx.telemetry.events import LOG_REOPEN_FAILED
from stunnel_tx.telemetry.levels import DEFAULT_FACILITY, FACILITIES
from stunnel_tx.telemetry.outlets import MAX_LINE, Outlet, encode_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.telemetry.log import Scope

#: Access for the owner and the group of a new log file, before the umask.
LOG_FILE_MODE = 0o640

#: Where the system's log daemon listens.
SYSLOG_SOCKET = "/dev/log"

#: Seconds between two attempts to reach a system log daemon that is not there.
SYSLOG_RETRY = 1.0

_STANDARD_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


class Stamp:
    """``YYYY.MM.DD HH:MM:SS`` in local time, made once per second."""

    __slots__ = ("_seconds", "_text", "_time")

    def __init__(self, seconds: Callable[[], float] = time.time) -> None:
        self._time = seconds
        self._seconds = -1
        self._text = ""

    def __call__(self) -> str:
        """The text for the present second."""
        now = int(self._time())
        if now != self._seconds:
            self._seconds = now
            self._text = time.strftime("%Y.%m.%d %H:%M:%S", time.localtime(now))
        return self._text


@implementer(ILogSink)
class StderrSink:
    """Lines on standard error, for a program in the foreground.

    ``YYYY.MM.DD HH:MM:SS LOG<level>[<id>]: <text>``, unbuffered; the descriptor is only
    borrowed and stays open.
    """

    def __init__(self, fd: int = 2, *, seconds: Callable[[], float] = time.time) -> None:
        self._outlet = Outlet(fd, owned=False)
        self._stamp = Stamp(seconds)

    def write(self, level: int, ident: str, text: str) -> None:
        """Put out one line."""
        self._outlet.write(encode_line(f"{self._stamp()} LOG{level}[{ident}]: {text}"))

    def reopen(self) -> None:
        """Do nothing: there is no file of ours behind this sink."""

    def close(self) -> None:
        """Stop writing."""
        self._outlet.close()


@implementer(ILogSink)
class FileSink:
    """Lines appended to the file of ``output``, in the format of :class:`StderrSink`.

    ``/dev/stdout`` and ``/dev/stderr`` mean the streams the program was started with, also
    inside a chroot jail or after they have been closed. With *overwrite* the file is emptied
    whenever it is opened.

    Raises OperatingError when the file cannot be opened at first. A failed :meth:`reopen`
    keeps the file that is open and reports to *scope*.
    """

    def __init__(
        self,
        path: str,
        scope: Scope,
        *,
        overwrite: bool = False,
        seconds: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._scope = scope
        self._overwrite = overwrite
        self._stamp = Stamp(seconds)
        try:
            self._outlet = self._open()
        except OSError as error:
            text = f"Cannot open log file {path}: {error.strerror}; {_remedy(error)}"
            raise OperatingError(text) from error

    def write(self, level: int, ident: str, text: str) -> None:
        """Put out one line."""
        self._outlet.write(encode_line(f"{self._stamp()} LOG{level}[{ident}]: {text}"))

    def reopen(self) -> bool:
        """Open the path again, as after a rotation; on failure go on with the old file."""
        if self.path in _STANDARD_STREAMS:
            return True
        try:
            fresh = self._open()
        except OSError as error:
            self._scope(LOG_REOPEN_FAILED, self.path, error.strerror)
            return False
        old, self._outlet = self._outlet, fresh
        fresh.dropped = old.dropped
        old.close()
        return True

    def close(self) -> None:
        """Close the file."""
        self._outlet.close()

    def _open(self) -> Outlet:
        stream = _STANDARD_STREAMS.get(self.path)
        if stream is not None:
            return Outlet(os.dup(stream), owned=True)
        # Without O_NONBLOCK, opening a named pipe would wait until somebody reads it.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK
        if self._overwrite:
            flags |= os.O_TRUNC
        return Outlet(os.open(self.path, flags, LOG_FILE_MODE), owned=True)


@implementer(ILogSink)
class SyslogSink:
    """Lines as datagrams to the local system log: ``LOG<level>[<id>]: <text>``.

    The message is that of RFC 3164 §4.1 without a host name, as the C library sends it to a
    local daemon. Not the C library's ``syslog()``: that one waits when the daemon does not
    read, and a stopped log daemon must not stop the tunnels.

    The socket is connected when the sink is made, so that it outlives a chroot. A daemon that
    was restarted is looked for again, at most once per ``SYSLOG_RETRY`` seconds.
    """

    def __init__(
        self,
        ident: str,
        facility: str | None = None,
        *,
        path: str = SYSLOG_SOCKET,
        seconds: Callable[[], float] = time.time,
    ) -> None:
        self.dropped = 0
        self._path = path
        self._time = seconds
        self._socket: socket.socket | None = None
        self._tried = 0.0
        self.configure(ident, facility)
        self._connect()

    def configure(self, ident: str, facility: str | None) -> None:
        """Use another ident and facility from now on, over the same socket."""
        self._ident = ident
        self._priority = FACILITIES[facility or DEFAULT_FACILITY] << 3

    def write(self, level: int, ident: str, text: str) -> None:
        """Send one line, or count it as dropped."""
        now = self._time()
        stamp = time.strftime("%b %e %H:%M:%S", time.localtime(now))
        line = f"<{self._priority | level}>{stamp} {self._ident}: LOG{level}[{ident}]: {text}"
        data = encode_line(line)[:-1]
        if not self._send(data) and not (self._connect() and self._send(data)):
            self.dropped += 1

    def reopen(self) -> None:
        """Do nothing: a restarted daemon is found again when a line is sent."""

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> bool:
        now = self._time()
        if self._tried and 0 <= now - self._tried < SYSLOG_RETRY:
            return False
        self._tried = now
        fresh = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        fresh.setblocking(False)
        try:
            fresh.connect(self._path)
        except OSError:
            fresh.close()
            return False
        self.close()
        self._socket = fresh
        return True

    def _send(self, data: bytes) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.send(data[:MAX_LINE])
        except BlockingIOError:
            # The daemon is alive and does not read: a fresh socket would not help.
            self.dropped += 1
            return True
        except OSError:
            return False
        return True


def _remedy(error: OSError) -> str:
    """What the operator can do about a log file that cannot be opened."""
    if error.errno == errno.ENOENT:
        return "create its directory first (inside the jail, when chroot is set)"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "let the account of setuid and setgid write there"
    if error.errno == errno.ENXIO:
        return "start the reader of the named pipe first"
    return "give another path in 'output'"
