"""Certificates made at test time: an authority, what it issues, and files to put them in.

Everything uses P-256 keys, which take well under a millisecond to make.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable

PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER
PKCS8 = serialization.PrivateFormat.PKCS8

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def name_of(common_name: str | x509.Name) -> x509.Name:
    """A subject of one attribute, or an empty one for an empty string; a name as it is."""
    if isinstance(common_name, x509.Name):
        return common_name
    if not common_name:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def general_name(text: str) -> x509.GeneralName:
    """*text* as a URI, iPAddress, rfc822Name or dNSName, whichever it looks like."""
    if "://" in text:
        return x509.UniformResourceIdentifier(text)
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.RFC822Name(text) if "@" in text else x509.DNSName(text)


@frozen
class Issued:
    """A certificate, its key, and the certificates between it and its root (root excluded)."""

    cert: x509.Certificate
    key: Key = field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()

    def cert_pem(self) -> bytes:
        """The leaf and its chain, leaf first."""
        return b"".join(cert.public_bytes(PEM) for cert in (self.cert, *self.chain))

    def key_pem(self, password: bytes | None = None) -> bytes:
        """The key in PKCS#8, encrypted when a *password* is given."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            encryption = serialization.BestAvailableEncryption(password)
        return self.key.private_bytes(PEM, PKCS8, encryption)

    def pem(self, path: str | Path, *, key: bool = True) -> str:
        """Write leaf, chain and (unless told otherwise) key to *path*; returns the path."""
        Path(path).write_bytes(self.cert_pem() + (self.key_pem() if key else b""))
        return str(path)


class Authority:
    """A root, or with *parent* an intermediate, that issues certificates.

    It outlasts what it issues, and nobody warns of its end, unless told *until* when it is good.
    """

    def __init__(
        self,
        name: str,
        *,
        parent: Authority | None = None,
        key: Key | None = None,
        until: datetime = NOW + 400 * DAY,
    ) -> None:
        self._parent = parent
        if parent is None:
            self.issued = self_signed(name, key=key, ca=True, not_after=until)
        else:
            self.issued = parent.issue(name, key=key, ca=True, not_after=until)
        self.cert = self.issued.cert
        self.key = self.issued.key

    def issue(
        self,
        cn: str | x509.Name,
        sans: Iterable[str] = (),
        not_before: datetime = NOW - DAY,
        not_after: datetime = NOW + DAY,
        *,
        ca: bool = False,
        key: Key | None = None,
    ) -> Issued:
        """A certificate for *cn* with the given subject alternative names."""
        key = key or new_key()
        builder = _builder(name_of(cn), self.cert.subject, key, sans, not_before, not_after, ca=ca)
        authority_key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(authority_key_id, critical=False)
        chain = () if self._parent is None else (self.cert, *self.issued.chain)
        return Issued(builder.sign(self.key, hashes.SHA256()), key, chain)

    def crl(
        self,
        *revoked: Issued,
        last: datetime = NOW - DAY,
        until: datetime = NOW + DAY,
    ) -> bytes:
        """A revocation list with the *revoked* certificates, in PEM."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.cert.subject)
        builder = builder.last_update(last).next_update(until)
        for issued in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(issued.cert.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(last).build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(PEM)

    def pem(self, path: str | Path) -> str:
        """Write this authority's own certificate to *path*; returns the path."""
        Path(path).write_bytes(self.cert.public_bytes(PEM))
        return str(path)


def self_signed(
    cn: str,
    sans: Iterable[str] = (),
    not_before: datetime = NOW - DAY,
    not_after: datetime = NOW + DAY,
    *,
    ca: bool = False,
    key: Key | None = None,
) -> Issued:
    """A certificate signed with its own key."""
    key = key or new_key()
    name = name_of(cn)
    builder = _builder(name, name, key, sans, not_before, not_after, ca=ca)
    return Issued(builder.sign(key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: Key,
    sans: Iterable[str],
    not_before: datetime,
    not_after: datetime,
    *,
    ca: bool,
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    names = [general_name(text) for text in sans]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder
