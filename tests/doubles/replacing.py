"""The ways in which the tools of the field put a renewed certificate in its place.

Each gives two paths, ``cert`` and ``key``, and replaces what is found there.
"""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.doubles.certificates import Issued


class Replacing(ABC):
    """One way; what is made lies below *directory*, which must not exist yet."""

    def __init__(self, directory: Path, first: Issued) -> None:
        directory.mkdir()
        self.directory = directory
        self.round = 0
        self.begin(first)

    @property
    def cert(self) -> Path:
        """Where the service finds its certificate chain."""
        return self.directory / "cert.pem"

    @property
    def key(self) -> Path:
        """Where the service finds its key."""
        return self.directory / "key.pem"

    def replace(self, issued: Issued) -> None:
        """Put *issued* in place of the one before."""
        self.round += 1
        self.put(issued)

    def begin(self, issued: Issued) -> None:
        """Put the first one there."""
        self.put(issued)

    @abstractmethod
    def put(self, issued: Issued) -> None:
        """Put *issued* there."""


def write(directory: Path, issued: Issued) -> None:
    """Write both files into *directory*."""
    (directory / "cert.pem").write_bytes(issued.cert_pem())
    (directory / "key.pem").write_bytes(issued.key_pem())


class Renaming(Replacing):
    """A new file is renamed over the old one (acme.sh, lego, most programs of today)."""

    def put(self, issued: Issued) -> None:
        """Rename key and certificate over the old ones, one after the other."""
        for path, content in ((self.key, issued.key_pem()), (self.cert, issued.cert_pem())):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(content)
            fresh.rename(path)


class LinkingFiles(Replacing):
    """A link leads to a numbered file in another directory, and is replaced (Certbot)."""

    def put(self, issued: Issued) -> None:
        """Write a new number into the archive, and let the links lead there."""
        archive = self.directory / "archive"
        archive.mkdir(exist_ok=True)
        for path, content in ((self.cert, issued.cert_pem()), (self.key, issued.key_pem())):
            (archive / f"{path.stem}{self.round}.pem").write_bytes(content)
        for path in (self.cert, self.key):
            path.unlink(missing_ok=True)
            path.symlink_to(f"archive/{path.stem}{self.round}.pem")


class LinkingDirectory(Replacing):
    """A link to a whole directory is swapped, and the old directory deleted (Kubernetes)."""

    def begin(self, issued: Issued) -> None:
        """Let the names lead through the link ``..data``."""
        self.put(issued)
        for path in (self.cert, self.key):
            path.symlink_to(f"..data/{path.name}")

    def put(self, issued: Issued) -> None:
        """Write a new directory, swap the link, delete the old directory."""
        data, fresh = self.directory / "..data", self.directory / "..data_tmp"
        old = data.resolve() if data.is_symlink() else None
        made = self.directory / f"..round{self.round}"
        made.mkdir()
        write(made, issued)
        fresh.symlink_to(made.name)
        fresh.rename(data)
        if old is not None:
            shutil.rmtree(old)


class Overwriting(Replacing):
    """The content of the file itself is replaced, in several steps (cp, editors, scripts)."""

    def put(self, issued: Issued) -> None:
        """Empty both files, and fill them piece by piece."""
        for path, content in ((self.key, issued.key_pem()), (self.cert, issued.cert_pem())):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "wb", buffering=0) as file:
                middle = len(content) // 2
                file.write(content[:middle])
                file.write(content[middle:])


WAYS: tuple[type[Replacing], ...] = (Renaming, LinkingFiles, LinkingDirectory, Overwriting)
