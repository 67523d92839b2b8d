"""Ready-made choices of versions, ciphers and groups.

They follow the "Server Side TLS" guidelines that began at Mozilla and are kept at tlsref.org now:
``modern`` and ``intermediate`` version 6.0, ``old`` version 5.8, the last one to have it
(``https://data.tlsref.org/guidelines/6.0.json``, ``5.8.json``). Names of groups are OpenSSL's;
what is not in the library is left out.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

__all__ = ["GROUPS", "PROFILES", "TLSProfile"]

#: The same in all of them, the best first.
GROUPS: Final = "X25519MLKEM768:X25519:P-256:P-384"
_SUITES: Final = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

_INTERMEDIATE: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)

_OLD: Final = (
    *_INTERMEDIATE,
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA256",
    "AES256-SHA256",
    "AES128-SHA",
    "AES256-SHA",
    "DES-CBC3-SHA",
)


@frozen
class TLSProfile:
    """One choice; the fields are those of :class:`stunnel_tx.tls.policy.TLSPolicy`.

    With ``server_preference`` a server goes by its own order of ciphers.
    """

    min_version: int
    ciphers: str
    ciphersuites: str = _SUITES
    groups: str = GROUPS
    security_level: int = 2
    server_preference: bool = False


PROFILES: Final = {
    # TLS 1.3 alone: the ciphers are never asked for, but an empty list means the library's.
    "modern": TLSProfile(0x0304, ":".join(_INTERMEDIATE)),
    "intermediate": TLSProfile(0x0303, ":".join(_INTERMEDIATE)),
    # TLS 1.0 and 1.1 sign with SHA-1, which OpenSSL allows at level 0 only.
    "old": TLSProfile(0x0301, ":".join(_OLD), security_level=0, server_preference=True),
}
