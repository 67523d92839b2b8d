"""Paths for UNIX sockets: short wherever the tests are run, since a socket's path has 107 bytes."""

from __future__ import annotations

from functools import cache
from itertools import count
from tempfile import TemporaryDirectory

_numbers = count()


@cache
def _directory() -> TemporaryDirectory[str]:
    """One for the whole run, since trial runs clean-ups before ``tearDown`` stops what listens."""
    return TemporaryDirectory()


def socket_path() -> str:
    """An absolute path that nothing has."""
    return f"{_directory().name}/{next(_numbers)}"
