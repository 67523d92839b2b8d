"""The certificates a peer is measured against: CAfile, CApath, and the system's store."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import field, frozen
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from stunnel_tx.tls.binding.capabilities import default_store_places
from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.pem import (
    NOT_A_FILE,
    blocks,
    certificate_of,
    directory_files,
    is_pem,
    read_file,
)
from stunnel_tx.tls.shared_values import SharedValues, digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.x509 import Certificate

    from stunnel_tx.tls.policy import TrustPolicy

__all__ = ["Pins", "Trust", "load_trust", "pins_of", "recall_trust", "system_places"]

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


@frozen(eq=False)
class Trust:
    """The trusted certificates of one service, bundle first, then directory.

    Those of the system's store are not among them: they are no peers, and too many to be
    listed. ``pins`` is filled only when it was asked for.
    """

    certificates: tuple[Certificate, ...] = field(default=(), repr=False)
    pins: Mapping[bytes, frozenset[bytes]] = field(factory=dict, repr=False)


#: What is in use, of all contexts in the process.
_KNOWN: Final = SharedValues[Trust]()


def recall_trust(
    user: object, policy: TrustPolicy, bundle: bytes | None, *, pins: bool = False
) -> Trust:
    """As :func:`load_trust`, with what another *user* has parsed from the same content."""
    if policy.ca_path is not None:
        return load_trust(policy, bundle, pins=pins)
    if policy.system:
        _require_system_store()
    key = (digest(bundle), policy.system, pins)
    trust = _KNOWN.find(key) or load_trust(policy, bundle, pins=pins)
    _KNOWN.keep(user, key, trust)
    return trust


def load_trust(policy: TrustPolicy, bundle: bytes | None = None, *, pins: bool = False) -> Trust:
    """Read every certificate *policy* names, once; *bundle* is what its file holds, if known.

    Raises :class:`FileUnusable` when a source cannot be read or nothing at all is found.
    """
    found: list[Certificate] = []
    if policy.ca_file is not None:
        data = read_file(policy.ca_file) if bundle is None else bundle
        found.extend(_bundle(policy.ca_file, data))
    if policy.ca_path is not None:
        for file in directory_files(policy.ca_path, policy.chroot, _HASHED):
            # OpenSSL opens these when it needs them: a pipe would hold up everything then.
            found.extend(_bundle(file, read_file(file, wait=False)))
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


def _bundle(path: str, data: bytes) -> list[Certificate]:
    if not is_pem(data):
        return []
    found = []
    for number, block in enumerate((each for each in blocks(data) if each.is_certificate), 1):
        try:
            found.append(certificate_of(block))
        except ValueError as error:
            raise FileUnusable(path, f"certificate number {number} is damaged: {error}") from error
    return found


def system_places() -> tuple[str, ...]:
    """Every file and directory that may be asked for the system's certificates, there or not."""
    named = (os.environ.get(name, "") for name in _STORE_VARIABLES)
    places = (place for value in named for place in value.split(os.pathsep))
    return tuple(dict.fromkeys(filter(None, (*places, *default_store_places(), *SYSTEM_STORES))))


def _require_system_store() -> None:
    """Make sure that there is a store: the library says nothing when it finds none."""
    places = [os.environ[name] for name in _STORE_VARIABLES if os.environ.get(name)]
    if not any(Path(place).exists() for place in places or SYSTEM_STORES):
        raise FileUnusable(
            ", ".join(places) or "system",
            "the system has no store of trusted certificates",
            "install the package ca-certificates, or set SSL_CERT_FILE",
        )
    for place in places:
        # OpenSSL opens it, and would wait for what comes out of a pipe.
        path = Path(place)
        if path.exists() and not path.is_file() and not path.is_dir():
            raise FileUnusable(place, NOT_A_FILE, "set SSL_CERT_FILE to a bundle in PEM form")


def _remedy(policy: TrustPolicy) -> str:
    if policy.ca_path is not None:
        return "CApath needs PEM files with hashed names; run: openssl rehash DIRECTORY"
    return "CAfile needs certificates in PEM form"
