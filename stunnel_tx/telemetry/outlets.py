"""Writing finished lines to a descriptor that may be full, gone or slow.

A program with one thread must not wait for the reader of its log, and must not fall over a
full disk. An outlet therefore never raises: a line that cannot be written is counted, and the
count is written as a line of its own once writing works again.
"""

from __future__ import annotations

import errno
import os
import select
import stat

#: Longest line in bytes, newline included. POSIX promises that a pipe which polls writable
#: takes this much without blocking and in one piece (PIPE_BUF on Linux).
MAX_LINE = 4096

#: How long one full pipe may hold up the whole program, in milliseconds; after that its
#: lines are dropped without waiting until the reader has made room.
STALL_MS = 100


def encode_line(text: str) -> bytes:
    """*text* as one UTF-8 line of at most ``MAX_LINE`` bytes; lone surrogates are escaped."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) >= MAX_LINE:
        data = data[: MAX_LINE - 1].decode("utf-8", "ignore").encode("utf-8")
    return data + b"\n"


class Outlet:
    """One descriptor that takes lines; ``owned`` says whether :meth:`close` closes it.

    ``dropped`` counts the lines lost since the last one that went through.
    """

    def __init__(self, fd: int, *, owned: bool) -> None:
        self.dropped = 0
        self._fd = fd
        self._owned = owned
        self._torn = False
        self._stalled = False
        self._poll = _writability(fd)

    def write(self, line: bytes) -> None:
        """Put out *line* (newline included), or count it as dropped."""
        if not self._ready():
            self.dropped += 1
            return
        if self.dropped:
            missing, self.dropped = self.dropped, 0
            if not self._put(b"(%d log lines could not be written)\n" % missing):
                self.dropped = missing + 1
                return
        if not self._put(line):
            self.dropped += 1

    def close(self) -> None:
        """Let go of the descriptor; what is written later is lost."""
        fd, self._fd = self._fd, -1
        self._poll = None
        if self._owned and fd >= 0:
            try:
                os.close(fd)
            except OSError:
                # Delayed write errors surface here (NFS, quota); there is nobody to tell.
                return

    def _ready(self) -> bool:
        """False when a write would wait for a reader that does not read."""
        if self._poll is None:
            return True
        ready = bool(self._poll.poll(0 if self._stalled else STALL_MS))
        self._stalled = not ready
        return ready

    def _put(self, line: bytes) -> bool:
        """Write *line* whole; a line cut short by a full disk is ended before the next one."""
        if self._torn:
            line = b"\n" + line
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            # A descriptor that somebody else made non-blocking answers EAGAIN.
            self._stalled = error.errno == errno.EAGAIN
            return False
        self._torn = written < len(line) and (written > 1 or not self._torn)
        return written == len(line)


def _writability(fd: int) -> select.poll | None:
    """A poll object for descriptors whose writes can block; regular files never do."""
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return None
    if stat.S_ISREG(mode):
        return None
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return poll
