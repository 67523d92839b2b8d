"""PEM text and the certificates in it (RFC 7468), without any opinion about their use."""

from __future__ import annotations

import base64
import binascii
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen
from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from stunnel_tx.tls.errors import FileUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Block", "blocks", "certificate_of", "directory_files", "is_pem", "read_file"]

#: A certificate or bundle above this many bytes is a mistake (a public CA bundle has 250 KB).
MAX_FILE = 16 * 1024 * 1024

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 .]+)-----.*?-----END \1-----", re.DOTALL)

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


def read_file(path: str) -> bytes:
    """The content of *path*; raises :class:`FileUnusable` when it cannot be had."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileUnusable(path, reason, _REMEDIES.get(type(error), "")) from error
    if len(data) > MAX_FILE:
        raise FileUnusable(path, f"larger than {MAX_FILE} bytes")
    return data


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
    """The PEM blocks of *data* in their order; text between them is ignored."""
    for found in _BLOCK.finditer(data):
        yield Block(found[1].decode("ascii"), found[0])


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
    return x509.load_der_x509_certificate(der[: _element_length(der)])


def _element_length(der: bytes) -> int:
    """Length in bytes of the first DER element, header included (X.690 §8.1.3)."""
    if len(der) < 2:
        raise ValueError("no DER element")
    first = der[1]
    if first < 0x80:
        return 2 + first
    width = first & 0x7F
    return 2 + width + int.from_bytes(der[2 : 2 + width], "big")
