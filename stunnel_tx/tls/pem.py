"""PEM text and the certificates in it (RFC 7468), without any opinion about their use."""

from __future__ import annotations

import base64
import binascii
import os
import re
import select
import stat
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen
from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from stunnel_tx.tls.errors import FileUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "NOT_A_FILE",
    "Block",
    "blocks",
    "certificate_of",
    "directory_files",
    "element_length",
    "is_pem",
    "read_file",
]

#: A certificate or bundle above this many bytes is a mistake (a public CA bundle has 250 KB, the
#: longest revocation lists a few MB).
MAX_FILE = 16 * 1024 * 1024

#: Seconds that whoever writes into a pipe may take, all in all.
PIPE_WAIT: Final = 5.0

#: Bytes read at once: what a pipe holds (pipe(7)), and more than most certificate files have.
_PART: Final = 65536

#: The problem with a pipe, terminal or device where only a file will do.
NOT_A_FILE: Final = "not a regular file"

_MARK = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 .]+)-----")

_CERTIFICATE_LABELS = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"})


@frozen
class Block:
    """One PEM block: its label and its whole text, armour lines included."""

    label: str
    text: bytes

    @property
    def is_certificate(self) -> bool:
        """True for a certificate under any of the labels in use."""
        return self.label in _CERTIFICATE_LABELS

    @property
    def is_key(self) -> bool:
        """True for a private key in any of its wrappings."""
        return self.label.endswith("PRIVATE KEY")


def read_file(path: str, *, wait: bool = True) -> bytes:
    """The content of *path*; raises :class:`FileUnusable` when it cannot be had.

    A pipe (``/dev/stdin``, a shell's ``<(command)``) is read to its end, which must come within
    :data:`PIPE_WAIT` seconds. Without *wait* it is refused with :data:`NOT_A_FILE`: what comes
    out of it can be read once only, and nobody else gets a turn meanwhile.
    """
    try:
        data = _content(path, wait=wait)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileUnusable(path, reason, _REMEDIES.get(type(error), "")) from error
    if len(data) > MAX_FILE:
        raise FileUnusable(path, f"larger than {MAX_FILE} bytes", "is it the right file?")
    return data


def _content(path: str, *, wait: bool) -> bytes:
    # Without O_NONBLOCK a named pipe would hold up the whole program.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(fd).st_mode
        # Of a directory the read says what it is.
        ready = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
        if not ready and not wait:
            raise FileUnusable(path, NOT_A_FILE)
        until = time.monotonic() + PIPE_WAIT
        data = bytearray()
        while len(data) <= MAX_FILE:
            if not ready:
                _await_input(path, fd, until)
            part = os.read(fd, _PART)
            if not part:
                break
            data += part
        return bytes(data)
    finally:
        os.close(fd)


def _await_input(path: str, fd: int, until: float) -> None:
    """Wait for something to read from *fd*, or its end, as long as the clock is below *until*."""
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    left = until - time.monotonic()
    if left <= 0 or not waiting.poll(left * 1000):
        problem = f"{NOT_A_FILE}, and no end of it within {PIPE_WAIT:g} seconds"
        raise FileUnusable(path, problem)


_REMEDIES: dict[type[OSError], str] = {
    FileNotFoundError: "check the path, and chroot if there is one",
    PermissionError: "let the account that starts the service read it",
    IsADirectoryError: "name a file in it",
}


def directory_files(path: str, chroot: str | None, names: re.Pattern[str]) -> list[str]:
    """The files of directory *path* whose names match *names*, sorted.

    *path* is one inside the future root directory *chroot*, seen from outside, unless that is
    ``None``. Raises :class:`FileUnusable`.
    """
    seen_now = path if chroot is None else f"{chroot.rstrip('/')}/{path.lstrip('/')}"
    try:
        files = sorted(Path(seen_now).iterdir())
    except OSError as error:
        raise FileUnusable(seen_now, error.strerror or str(error)) from error
    return [str(file) for file in files if names.match(file.name)]


def is_pem(data: bytes) -> bool:
    """True when *data* contains PEM text rather than binary DER or PKCS#12."""
    return b"-----BEGIN " in data


def blocks(data: bytes) -> Iterator[Block]:
    """The PEM blocks of *data* in their order; text between them is ignored.

    A block ends at the first END line of its own label, whatever lies between; without one
    there is no block. The time taken grows no faster than *data*.
    """
    last_end = {mark[2]: mark.start() for mark in _MARK.finditer(data) if mark[1] == b"END"}
    begin: re.Match[bytes] | None = None
    for mark in _MARK.finditer(data):
        kind, label = mark.groups()
        if begin is None:
            if kind == b"BEGIN" and last_end.get(label, -1) > mark.start():
                begin = mark
        elif kind == b"END" and label == begin[2]:
            yield Block(label.decode("ascii"), data[begin.start() : mark.end()])
            begin = None


def certificate_of(block: Block) -> x509.Certificate:
    """The certificate in *block*; raises ``ValueError`` when there is none."""
    with warnings.catch_warnings():
        # Certificates in public trust stores break rules of RFC 5280 that matter to nobody.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return _load(block)


def _load(block: Block) -> x509.Certificate:
    if block.label != "TRUSTED CERTIFICATE":
        return x509.load_pem_x509_certificate(block.text)
    # OpenSSL's own form: the certificate, then trust settings that belong to nobody else.
    body = b"".join(block.text.splitlines()[1:-1])
    try:
        der = base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError("damaged base64") from error
    return x509.load_der_x509_certificate(der[: element_length(der)])


def element_length(der: bytes) -> int:
    """Length in bytes of the first DER element, header included (X.690 §8.1.3)."""
    if len(der) < 2:
        raise ValueError("no DER element")
    first = der[1]
    if first < 0x80:
        return 2 + first
    width = first & 0x7F
    return 2 + width + int.from_bytes(der[2 : 2 + width], "big")
