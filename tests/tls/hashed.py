"""Names of files in hashed directories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import crypto

if TYPE_CHECKING:
    from tests.doubles.certificates import Authority


def subject_hash(authority: Authority) -> str:
    """The hash that OpenSSL looks the certificate and the lists of *authority* up by."""
    return f"{crypto.X509.from_cryptography(authority.cert).subject_name_hash():08x}"
