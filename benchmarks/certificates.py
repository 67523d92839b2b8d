"""Throw-away certificates: one with an ECDSA key, one with an RSA key, each with its key in a file.

Both are self-signed, since nobody verifies them here.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

_DAY = timedelta(days=1)


@frozen
class Certificates:
    """Files with key and certificate in PEM."""

    ecdsa: Path
    rsa: Path


def make_certificates(directory: Path) -> Certificates:
    """Make both in *directory*."""
    return Certificates(
        ecdsa=_write(directory / "ecdsa.pem", ec.generate_private_key(ec.SECP256R1())),
        rsa=_write(directory / "rsa.pem", rsa.generate_private_key(65537, 2048)),
    )


def make_named(directory: Path, number: int) -> tuple[tuple[str, Path], ...]:
    """So many server names, each with a certificate of its own in *directory*; made once."""
    names = [f"n{each}.example" for each in range(number)]
    paths = {name: directory / f"{name}.pem" for name in names}
    for path in paths.values():
        if not path.exists():
            _write(path, ec.generate_private_key(ec.SECP256R1()))
    return tuple(paths.items())


def _write(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Path:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private + certificate.public_bytes(Encoding.PEM))
    return path
