"""Who a service is: its certificate, the chain sent with it, and its private key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from stunnel_tx.telemetry.events import CERT_LOADED, CHAIN_NOT_ISSUER, KEY_LOADED
from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.names import distinguished_name
from stunnel_tx.tls.pem import blocks, certificate_of, element_length, is_pem, read_file
from stunnel_tx.tls.shared_values import SharedValues, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.passphrases import Passphrases

__all__ = ["Identity", "load_identity", "local_path"]


@frozen
class Identity:
    """A certificate, the certificates sent after it, and the key that belongs to it."""

    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes = field(repr=False)

    @property
    def not_after(self) -> datetime:
        """The last moment the certificate is valid, in UTC."""
        return self.leaf.not_valid_after_utc


@frozen
class _Content:
    """What one file holds; the key stays locked until it is wanted.

    ``source`` stands for path and content where both are all there is to know.
    """

    path: str
    certificates: tuple[x509.Certificate, ...]
    key: Callable[[Passphrases], PrivateKeyTypes] | None
    source: tuple[str, bytes] | None = None


#: What PEM files hold that are in use, of all contexts in the process. To load one key takes as
#: long as dozens of handshakes, since every number in it is examined.
_KNOWN: Final = SharedValues[_Content]()


def load_identity(
    certificate_files: Sequence[str],
    key_file: str | None,
    passphrases: Passphrases,
    scope: Scope,
    user: object = None,
) -> Identity:
    """Read a certificate chain and its key.

    What it is made from is shared with others as long as *user* exists, a context.

    The first certificate of the first file is the leaf; every further certificate of every
    file is sent as chain, in that order. Without *key_file* the first file also has the key.
    Raises :class:`FileUnusable` when a file is missing, holds nothing of use, or when the key
    is not the leaf's.
    """
    contents: dict[str, _Content] = {}
    for path in certificate_files:
        contents[path] = content = _read(path, passphrases)
        if not content.certificates:
            raise FileUnusable(path, "no certificate found", _ABOUT_CERTIFICATES)
        scope(CERT_LOADED, path)
    key_path = key_file or certificate_files[0]
    if key_path not in contents:
        contents[key_path] = _read(key_path, passphrases)
    key = _key(contents[key_path], passphrases)
    scope(KEY_LOADED, key_path)
    leaf, *chain = [cert for path in certificate_files for cert in contents[path].certificates]
    if _spki(leaf) != _spki(key):
        raise FileUnusable(
            key_path,
            f"Private key does not match the certificate: {distinguished_name(leaf.subject)}",
            "the certificate of this key must come first",
        )
    _report_strangers(leaf, chain, scope)
    for content in contents.values():
        if user is not None and content.source is not None:
            _KNOWN.keep(user, content.source, content)
    return Identity(leaf, tuple(chain), key)


#: A URI scheme; single letters are left to file names (RFC 3986 §3.1).
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+\Z")

#: How certificates, keys and PKCS#12 files begin that tell their length: a SEQUENCE of more than
#: 127 bytes (X.690 §8.1.3.5).
_CUTTABLE = re.compile(rb"\x30[\x81-\x84]")

_ABOUT_CERTIFICATES = "expected PEM, DER or PKCS#12"


def _report_strangers(leaf: x509.Certificate, chain: list[x509.Certificate], scope: Scope) -> None:
    """Warn of chain certificates that cannot help any peer to build a chain."""
    issuers = {cert.issuer for cert in (leaf, *chain) if cert.issuer != cert.subject}
    for cert in chain:
        if cert.subject not in issuers:
            scope(CHAIN_NOT_ISSUER, distinguished_name(cert.subject))


def _spki(holder: x509.Certificate | PrivateKeyTypes) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key(content: _Content, passphrases: Passphrases) -> PrivateKeyTypes:
    if content.key is None:
        raise FileUnusable(content.path, "no private key found", "name the key's file with 'key'")
    return content.key(passphrases)


def _read(path: str, passphrases: Passphrases) -> _Content:
    data = read_file(local_path(path))
    if is_pem(data):
        return _KNOWN.find((path, digest(data))) or _read_pem(path, data)
    return _read_binary(path, data, passphrases)


def local_path(source: str) -> str:
    """The file that *source* names, as a path or as a ``file:`` URI (RFC 8089).

    Other URIs need a store that the library here does not have.
    """
    scheme, colon, rest = source.partition(":")
    if not colon or not _SCHEME.match(scheme) or Path(source).exists():
        return source
    if scheme.lower() != "file":
        raise FileUnusable(source, f"'{scheme}:' cannot be loaded", "name a file")
    return rest.removeprefix("//localhost").removeprefix("//")


def _read_pem(path: str, data: bytes) -> _Content:
    certificates = []
    key_text = None
    for block in blocks(data):
        if block.is_certificate:
            try:
                certificates.append(certificate_of(block))
            except ValueError as error:
                number = len(certificates) + 1
                problem = f"certificate number {number} is damaged: {error}"
                raise FileUnusable(path, problem) from error
        elif block.is_key and key_text is None:
            key_text = block.text
    key = _opener(path, key_text, load_pem_private_key)
    return _Content(path, tuple(certificates), key, (path, digest(data)))


def _read_binary(path: str, data: bytes, passphrases: Passphrases) -> _Content:
    if _CUTTABLE.match(data) and element_length(data) > len(data):
        raise FileUnusable(path, "cut short", "is the file complete?")
    if _is_pkcs12(data):
        return _read_pkcs12(path, data, passphrases)
    try:
        return _Content(path, (x509.load_der_x509_certificate(data),), None)
    except ValueError:
        return _Content(path, (), _opener(path, data, load_der_private_key))


def _opener(
    path: str,
    data: bytes | None,
    load: Callable[[bytes, bytes | None], PrivateKeyTypes],
) -> Callable[[Passphrases], PrivateKeyTypes] | None:
    """A function that loads the key in *data*, asking for a passphrase only if there is one.

    One that needs none is loaded once.
    """
    if data is None:
        return None
    plain: list[PrivateKeyTypes] = []

    def unlock(passphrases: Passphrases) -> PrivateKeyTypes:
        try:
            if not plain:
                plain.append(load(data, None))
            return plain[0]
        except TypeError:  # cryptography's answer to an encrypted key without a passphrase
            return passphrases.open(path, lambda answer: load(data, answer))
        except ValueError as error:
            raise FileUnusable(path, f"no private key that can be read: {error}") from error

    return unlock


def _is_pkcs12(data: bytes) -> bool:
    """True for a PFX: a SEQUENCE that begins with the INTEGER 3 (RFC 7292 §4)."""
    if len(data) < 2 or data[0] != 0x30:
        return False
    # Long and indefinite lengths occur (BER); 0x80 has no further length bytes.
    start = 2 + (data[1] & 0x7F if data[1] > 0x80 else 0)
    return data[start : start + 3] == b"\x02\x01\x03"


def _read_pkcs12(path: str, data: bytes, passphrases: Passphrases) -> _Content:
    from cryptography.hazmat.primitives.serialization import pkcs12

    for empty in (None, b""):
        try:
            bag = pkcs12.load_pkcs12(data, empty)
            break
        except ValueError:
            continue
    else:
        bag = passphrases.open(path, lambda answer: pkcs12.load_pkcs12(data, answer))
    certificates = [bag.cert, *bag.additional_certs]
    key = bag.key
    return _Content(
        path,
        tuple(each.certificate for each in certificates if each is not None),
        None if key is None else lambda _passphrases: key,
    )
