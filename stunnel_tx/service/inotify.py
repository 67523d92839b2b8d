"""The kernel's notices of changed directories: inotify(7), where there is one.

Twisted has a module for this too; it gives up altogether when a watched directory is deleted,
which is how Kubernetes renews secrets, and does not tell of a queue that ran over.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any, Final

from attrs import frozen

__all__ = ["GONE", "OVERFLOW", "Inotify", "Notice", "open_inotify"]

# From <sys/inotify.h>.
_ATTRIB: Final = 0x4
_CLOSE_WRITE: Final = 0x8
_MOVED_FROM: Final = 0x40
_MOVED_TO: Final = 0x80
_CREATE: Final = 0x100
_DELETE: Final = 0x200
_DELETE_SELF: Final = 0x400
_MOVE_SELF: Final = 0x800
_ONLY_DIRECTORIES: Final = 0x1000000

#: The watch itself has ended, because its directory is no more (IN_IGNORED).
GONE: Final = 0x8000
#: Notices were lost (IN_Q_OVERFLOW).
OVERFLOW: Final = 0x4000

#: Every way to give a name another content. IN_MODIFY is not among them: a log file in the same
#: directory would wake us at every line.
_CHANGES: Final = (
    _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
)

#: struct inotify_event without its name: wd, mask, cookie, length of the name.
_HEAD: Final = struct.Struct("@iIII")

#: Bytes taken from the queue at once; a notice has at most 272.
_READ_SIZE: Final = 65536


@frozen
class Notice:
    """Something happened to ``name`` in the directory watched as ``watch``.

    ``name`` is empty when it happened to the directory itself.
    """

    watch: int
    mask: int
    name: str


class Inotify:
    """One queue of notices; the methods raise ``OSError``."""

    def __init__(self) -> None:
        self._libc: Any = ctypes.CDLL(None, use_errno=True)
        # IN_NONBLOCK and IN_CLOEXEC are defined as these.
        self.fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result

    def add(self, directory: str) -> int:
        """Watch *directory*; the number of the watch, the same for the same directory."""
        path = os.fsencode(directory)
        mask = ctypes.c_uint32(_CHANGES | _ONLY_DIRECTORIES)
        return self._checked(self._libc.inotify_add_watch(self.fd, path, mask))

    def remove(self, watch: int) -> None:
        """End *watch*; harmless when it has ended by itself."""
        self._libc.inotify_rm_watch(self.fd, watch)

    def read(self) -> list[Notice]:
        """The notices that wait, none when there are none."""
        try:
            data = os.read(self.fd, _READ_SIZE)
        except BlockingIOError:
            return []
        notices, at = [], 0
        while at < len(data):
            watch, mask, _cookie, size = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            name = data[at : at + size].partition(b"\0")[0]
            at += size
            notices.append(Notice(watch, mask, os.fsdecode(name)))
        return notices

    def close(self) -> None:
        """End every watch."""
        os.close(self.fd)


def open_inotify() -> Inotify:
    """A queue of the kernel; raises ``OSError`` where it has none, or no more to give."""
    try:
        return Inotify()
    except AttributeError as error:  # the symbol is not in this C library
        raise OSError("this system has no inotify") from error
