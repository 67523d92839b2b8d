"""The process itself: daemon, pid file, descriptor limit, memory.

A daemon's parent stays until the child says that it is up, so the exit status of the command
is true: listeners are bound before the fork, the pid file is written after it, and a failure
of either is printed on the terminal.
"""

from __future__ import annotations

import errno
import gc
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from stunnel_tx.errors import OperatingError
from stunnel_tx.telemetry.events import FILES_LIMIT, PID_CREATED, PID_NONE, PID_REMOVED

if TYPE_CHECKING:
    from stunnel_tx.telemetry.log import Scope

#: Access to the pid file, before the umask: everybody may read it.
PID_FILE_MODE = 0o644

#: The most descriptors we raise our limit to: beyond this the kernel's own table costs more
#: than any number of tunnels one process can serve.
MAX_DESCRIPTORS = 1 << 20

#: Longest failure text a daemon hands to its waiting parent, in bytes.
MAX_REPORT = 4096

#: Exit status of a command that Ctrl-C ended before it was up, as shells count it.
INTERRUPTED = 130

#: Allocations between two collections. A connection makes some hundred objects and no cycles
#: among them, so there is next to nothing to find.
COLLECT_AFTER = (50_000, 20, 50)

_READY = b"\x00"


@frozen
class DescriptorLimit:
    """The soft limit on descriptors as found, and as it is now.

    Programs started by us get ``found`` again, since some of them use select(2).
    """

    found: int
    raised: int

    @property
    def max_clients(self) -> int:
        """How many tunnels may be active; each takes two descriptors, some are kept free."""
        if self.raised >= 256:
            return self.raised * 125 // 256
        return max((self.raised - 6) // 2, 1)


def raise_descriptor_limit(scope: Scope) -> DescriptorLimit:
    """Raise the soft limit on open descriptors to the hard one."""
    found, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    raised = found
    if found != resource.RLIM_INFINITY and found < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            raised = wanted
        except (OSError, ValueError):
            raised = found
    if raised == resource.RLIM_INFINITY:
        raised = MAX_DESCRIPTORS
    limit = DescriptorLimit(found, raised)
    scope(FILES_LIMIT, limit.raised, limit.max_clients)
    return limit


def settle_memory() -> None:
    """Tell the collector that what exists now is here to stay, and let it start to work.

    Everything made so far (modules, classes, contexts) is never scanned again.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    gc.enable()


class PidFile:
    """The pid file of this process; removed only by the process that wrote it."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._path: str | None = None
        self._written: tuple[int, int, int] | None = None

    def create(self, path: str | None) -> None:
        """Write our pid to *path* in place of whatever was there; None means no pid file.

        Raises OperatingError when it cannot be created.
        """
        if not path:
            self._scope(PID_NONE)
            return
        try:
            self._write(path)
        except OSError as error:
            message = f"Cannot create pid file {path}: {error.strerror}; {_pid_remedy(error)}"
            raise OperatingError(message) from error
        self._scope(PID_CREATED, path)

    def _write(self, path: str) -> None:
        Path(path).unlink(missing_ok=True)
        # O_EXCL: nobody can slip a link in between, to have another file written.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        fd = os.open(path, flags, PID_FILE_MODE)
        try:
            pid = os.getpid()
            os.write(fd, b"%d\n" % pid)
            status = os.fstat(fd)
        finally:
            os.close(fd)
        self._path = path
        self._written = (pid, status.st_dev, status.st_ino)

    def remove(self) -> None:
        """Remove the file that :meth:`create` made, when it is still that one."""
        path, written = self._path, self._written
        if path is None or written is None or written[0] != os.getpid():
            return
        self._path = self._written = None
        try:
            status = Path(path).lstat()
            if (status.st_dev, status.st_ino) != written[1:]:
                return
            Path(path).unlink()
        except OSError:
            # Already gone, or the account of setuid may not write in that directory.
            return
        self._scope(PID_REMOVED, path)


def _pid_remedy(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "create its directory first (inside the jail, when chroot is set)"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "let the account of setuid and setgid write there"
    return "give another path in 'pid'"


@frozen
class StartReport:
    """The daemon's line to its waiting parent; one of its methods is called, once.

    *fd* is the pipe to the parent and *null* an open ``/dev/null``. In the foreground there
    is no parent waiting (both are -1) and nothing happens.
    """

    fd: int = -1
    null: int = -1

    def succeed(self) -> None:
        """Let the parent exit with status 0, and let go of the terminal."""
        if self.fd < 0:
            return
        for stream in (0, 1, 2):
            os.dup2(self.null, stream)
        self._send(_READY)

    def fail(self, text: str) -> None:
        """Let the parent print *text* and exit with status 1."""
        if self.fd >= 0:
            self._send(text.encode("utf-8", "backslashreplace")[:MAX_REPORT])

    def _send(self, data: bytes) -> None:
        try:
            os.write(self.fd, data)
        except OSError:
            # The parent was killed meanwhile: nobody is waiting.
            return
        finally:
            os.close(self.fd)
            os.close(self.null)


def open_null() -> int:
    """A descriptor on ``/dev/null``, above the three standard ones.

    To be called before a chroot: a jail need not have that device.
    """
    null = os.open(os.devnull, os.O_RDWR)
    if null > 2:
        return null
    # Started with a standard stream closed: leave /dev/null there, so that no listener or
    # log file can ever be taken for standard error.
    return open_null()


def occupy_standard_streams() -> None:
    """Put ``/dev/null`` where a standard stream is missing.

    To be called before anything else is opened: a descriptor of the reactor in such a place
    would be lost when a daemon lets go of its terminal.
    """
    for stream in (0, 1, 2):
        try:
            os.fstat(stream)
        except OSError:
            # The lowest number that is free, and so this one.
            os.open(os.devnull, os.O_RDWR)


def daemonize(reactor: object, null: int) -> StartReport:
    """Go on in a child process of a session of its own, with ``/`` as its directory.

    Returns in the child only. The parent exits: with 0 when the child reports success, with 1
    when it reports a failure or dies. Raises OperatingError when there can be no child.
    *null* is a descriptor from :func:`open_null`, which the report uses up.
    """
    from twisted.internet.interfaces import IReactorDaemonize

    # Some reactors hold descriptors that do not survive a fork (kqueue).
    aware = IReactorDaemonize(reactor, None)
    receiver, sender = os.pipe()
    if aware is not None:
        aware.beforeDaemonize()
    try:
        child = os.fork()
    except OSError as error:
        message = f"Cannot start the daemon: {error.strerror}; use 'foreground = yes'"
        raise OperatingError(message) from error
    if child:
        os.close(sender)
        os._exit(_await_child(receiver))
    os.close(receiver)
    os.setsid()
    os.chdir("/")
    if aware is not None:
        aware.afterDaemonize()
    return StartReport(sender, null)


def _await_child(receiver: int) -> int:
    """The parent's exit status: wait until the child reports or is gone."""
    try:
        with os.fdopen(receiver, "rb") as stream:
            report = stream.read(MAX_REPORT)
    except KeyboardInterrupt:
        return INTERRUPTED
    if report == _READY:
        return 0
    text = report or b"the daemon ended while it was starting"
    os.write(2, b"[!] " + text + b"\n")
    return 1
