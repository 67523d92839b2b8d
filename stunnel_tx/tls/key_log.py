"""The secrets of connections, written down for a network analyser: for debugging only.

One line per secret, in the format of RFC 9850. Whoever has the file can read everything that
the connections carried.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from stunnel_tx.tls.errors import FileUnusable

if TYPE_CHECKING:
    from OpenSSL import SSL

__all__ = ["KeyLog"]


class KeyLog:
    """A file for the secrets, private to its owner, open as long as the context lives.

    Raises :class:`FileUnusable` when *path* cannot be opened, or is no regular file.
    """

    def __init__(self, path: str) -> None:
        # Without O_NONBLOCK a named pipe would hold the start up.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._fd = os.open(path, flags, 0o600)
        except OSError as error:
            raise FileUnusable(path, error.strerror or str(error)) from error
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise FileUnusable(path, "not a regular file")
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
