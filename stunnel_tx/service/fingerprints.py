"""What a file held when it was looked at, small enough to keep and to compare."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from attrs import field, frozen

from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.pem import blocks, directory_files, read_file

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HASHED", "Fingerprint", "fingerprint", "remembering"]

#: What OpenSSL looks up in a directory: certificates and revocation lists by hashed names.
HASHED = re.compile(r"[0-9a-f]{8}\.r?[0-9]+\Z")

_ARMOUR = b"-----BEGIN "


@frozen
class Fingerprint:
    """The content of one file or directory.

    ``digest`` is empty when it could not be read, and ``problem`` says why then. ``cut`` is True
    for PEM text with a block that has a beginning and no end.
    """

    digest: bytes = field(default=b"", repr=False)
    problem: str = ""
    cut: bool = False


def fingerprint(path: str) -> Fingerprint:
    """Look at *path*; of a directory, at the files with hashed names."""
    try:
        # A pipe is left to those who need what is in it.
        data = read_file(path, wait=False)
    except FileUnusable as error:
        if isinstance(error.__cause__, IsADirectoryError):
            return _directory(path)
        return Fingerprint(problem=error.problem)
    cut = data.count(_ARMOUR) > sum(1 for _ in blocks(data))
    return Fingerprint(_digest(data), cut=cut)


def _directory(path: str) -> Fingerprint:
    try:
        files = directory_files(path, None, HASHED)
    except FileUnusable as error:
        return Fingerprint(problem=error.problem)
    whole = hashlib.blake2b(digest_size=16)
    for file in files:
        content = fingerprint(file)
        whole.update(f"{file}\0{content.problem}\0".encode("utf-8", "surrogateescape"))
        whole.update(content.digest)
    return Fingerprint(whole.digest())


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def remembering() -> Callable[[str], Fingerprint]:
    """A :func:`fingerprint` that looks at each path once, and then gives the same answer."""
    seen: dict[str, Fingerprint] = {}

    def look(path: str) -> Fingerprint:
        if path not in seen:
            seen[path] = fingerprint(path)
        return seen[path]

    return look
