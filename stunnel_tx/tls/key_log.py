"""The secrets of connections, written down for a network analyser: for debugging only.

One line per secret, in the format of RFC 9850. Whoever has the file can read everything that
the connections carried.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stunnel_tx.tls.errors import FileUnusable

if TYPE_CHECKING:
    from OpenSSL import SSL

__all__ = ["KeyLog", "examine_key_log"]

# Without O_NONBLOCK a named pipe would hold the start up.
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK


def examine_key_log(path: str) -> None:
    """Raise what :class:`KeyLog` would raise for *path*, and make no file."""
    try:
        fd = os.open(path, _FLAGS & ~os.O_CREAT)
    except FileNotFoundError as error:
        if not os.access(Path(path).parent, os.W_OK | os.X_OK):
            raise FileUnusable(path, "cannot be made there") from error
        return
    except OSError as error:
        raise FileUnusable(path, error.strerror or str(error)) from error
    try:
        _require_regular(fd, path)
    finally:
        os.close(fd)


def _require_regular(fd: int, path: str) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise FileUnusable(path, "not a regular file")


class KeyLog:
    """A file for the secrets, private to its owner, open as long as the context lives.

    Raises :class:`FileUnusable` when *path* cannot be opened, or is no regular file.
    """

    def __init__(self, path: str) -> None:
        try:
            self._fd = os.open(path, _FLAGS, 0o600)
        except OSError as error:
            raise FileUnusable(path, error.strerror or str(error)) from error
        _require_regular(self._fd, path)
        os.fchmod(self._fd, 0o600)

    def __call__(self, _connection: SSL.Connection, line: bytes) -> None:
        """Append one line; a full disk must not end a handshake."""
        try:
            os.write(self._fd, line + b"\n")
        except OSError:
            return

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)
