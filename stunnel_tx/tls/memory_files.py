"""Content that has been read, for calls of OpenSSL that take nothing but the name of a file.

The library would open a path by itself: a pipe holds it up for ever, and what it reads need not
be what was looked at before.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stunnel_tx.tls.pem import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["named_content"]


@contextmanager
def named_content(path: str, content: bytes) -> Iterator[tuple[str, bool]]:
    """A name for *content*, which was read from *path*, and whether it is sure to be just that.

    Without files in memory, or in a root directory without ``/proc``, the name is *path* again,
    which must be a regular file then; raises :class:`~stunnel_tx.tls.errors.FileUnusable`.
    """
    fd = os.memfd_create("stunnel_tx") if hasattr(os, "memfd_create") else -1
    try:
        name = f"/proc/self/fd/{fd}"
        if fd >= 0 and os.path.exists(name):  # noqa: PTH110 - nothing else is done with it
            with open(fd, "wb", closefd=False) as file:
                file.write(content)
            yield name, True
        else:
            read_file(path, wait=False)
            yield path, False
    finally:
        if fd >= 0:
            os.close(fd)
