"""Open files: many connections need more of them than a shell allows at first."""

from __future__ import annotations

import resource
from typing import Final

#: The same for every program and machine, since some programs size tables by it.
MOST_FILES: Final = 65536

#: Descriptors that a program needs for other things than connections.
SPARE: Final = 200


def raise_open_files() -> int:
    """Raise this process' limit as far as it may go; children inherit it. Returns the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def most_connections(limit: int) -> int:
    """How many connections a program can hold, at two descriptors each, with *limit* files."""
    return max(100, (limit - SPARE) // 2)
