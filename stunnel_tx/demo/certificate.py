"""A throw-away certificate for the demo: self-signed, for this machine only, a month of life."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_certificate", "write_certificate"]

_LIFE = timedelta(days=30)
# Clocks of virtual machines drift.
_LEEWAY = timedelta(minutes=5)
_NAMES = (
    x509.DNSName("localhost"),
    x509.IPAddress(ip_address("127.0.0.1")),
    x509.IPAddress(ip_address("::1")),
)


def make_certificate(now: datetime) -> tuple[bytes, bytes]:
    """A new P-256 key and its certificate, both as PEM: (certificate, key).

    ``now`` is aware; the certificate is valid around it. Being self-signed and no authority
    (RFC 5280 section 4.2.1.9), it can vouch for nothing but itself.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stunnel_tx demo")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LEEWAY)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName(_NAMES), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, SHA256())
    )
    return (
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def write_certificate(directory: Path) -> tuple[Path, Path]:
    """Write a new certificate and key to ``directory``: (certificate file, key file).

    The key file is readable by its owner only, from the moment it exists.
    """
    certificate_file, key_file = directory / "cert.pem", directory / "key.pem"
    certificate, key = make_certificate(datetime.now(UTC))
    certificate_file.write_bytes(certificate)
    key_file.unlink(missing_ok=True)
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
    return certificate_file, key_file
