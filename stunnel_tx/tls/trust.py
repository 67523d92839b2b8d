"""The certificates a peer is measured against: CAfile, CApath, and the system's store."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.pem import blocks, certificate_of, directory_files, is_pem, read_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.x509 import Certificate

    from stunnel_tx.tls.policy import TrustPolicy

__all__ = ["Pins", "Trust", "load_trust", "pins_of"]

#: ``{subject DER: {SubjectPublicKeyInfo DER, ...}}`` of every trusted certificate.
Pins = dict[bytes, frozenset[bytes]]

#: Where systems keep their stores; the same places as pyOpenSSL looks at.
SYSTEM_STORES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
)
_STORE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")

#: How OpenSSL names the certificates of a hashed directory: subject hash, dot, number.
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+\Z")


@frozen
class Trust:
    """The trusted certificates of one service, bundle first, then directory.

    Those of the system's store are not among them: they are no peers, and too many to be
    listed. ``pins`` is filled only when it was asked for.
    """

    certificates: tuple[Certificate, ...] = field(default=(), repr=False)
    pins: Mapping[bytes, frozenset[bytes]] = field(factory=dict, repr=False)


def load_trust(policy: TrustPolicy, *, pins: bool = False) -> Trust:
    """Read every certificate *policy* names, once.

    Raises :class:`FileUnusable` when a source cannot be read or nothing at all is found.
    """
    found: list[Certificate] = []
    if policy.ca_file is not None:
        found.extend(_bundle(policy.ca_file))
    if policy.ca_path is not None:
        for file in directory_files(policy.ca_path, policy.chroot, _HASHED):
            found.extend(_bundle(file))
    if policy.system:
        _require_system_store()
        if pins and not found:
            raise FileUnusable(
                "system", "verifyPeer needs local copies of the peers", "add CAfile or CApath"
            )
    elif not found:
        where = " or ".join(filter(None, (policy.ca_file, policy.ca_path)))
        raise FileUnusable(where, "No trusted certificates found", _remedy(policy))
    return Trust(tuple(found), pins_of(found) if pins else {})


def pins_of(certificates: list[Certificate]) -> Pins:
    """The pin table of *certificates*."""
    table: dict[bytes, set[bytes]] = {}
    for certificate in certificates:
        subject = certificate.subject.public_bytes()
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        table.setdefault(subject, set()).add(key)
    return {subject: frozenset(keys) for subject, keys in table.items()}


def _bundle(path: str) -> list[Certificate]:
    data = read_file(path)
    if not is_pem(data):
        return []
    found = []
    for number, block in enumerate((each for each in blocks(data) if each.is_certificate), 1):
        try:
            found.append(certificate_of(block))
        except ValueError as error:
            raise FileUnusable(path, f"certificate number {number} is damaged: {error}") from error
    return found


def _require_system_store() -> None:
    """Make sure that there is a store: the library says nothing when it finds none."""
    places = [os.environ[name] for name in _STORE_VARIABLES if os.environ.get(name)]
    if not any(Path(place).exists() for place in places or SYSTEM_STORES):
        raise FileUnusable(
            ", ".join(places) or "system",
            "the system has no store of trusted certificates",
            "install the package ca-certificates, or set SSL_CERT_FILE",
        )


def _remedy(policy: TrustPolicy) -> str:
    if policy.ca_path is not None:
        return "CApath needs PEM files with hashed names; run: openssl rehash DIRECTORY"
    return "CAfile needs certificates in PEM form"
