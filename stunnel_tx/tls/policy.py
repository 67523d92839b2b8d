"""What one service wants of TLS, as frozen values that are validated when they are made."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

__all__ = [
    "DEFAULT_CIPHERS",
    "DEFAULT_CIPHERSUITES",
    "DEFAULT_GROUPS",
    "DEFAULT_SESSION_TIMEOUT",
    "Role",
    "TLSPolicy",
    "TrustPolicy",
    "VerificationPolicy",
]

#: Groups offered and accepted, best first: the hybrid of ML-KEM-768 and X25519 leads.
DEFAULT_GROUPS = "X25519MLKEM768:X25519:P-256:X448:P-521:P-384"
DEFAULT_CIPHERS = "HIGH:!aNULL:!SSLv2:!DH:!kDHEPSK"
DEFAULT_CIPHERSUITES = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
#: Seconds a session may be resumed.
DEFAULT_SESSION_TIMEOUT = 300

MAX_SECURITY_LEVEL = 5


class Role(Enum):
    """Which end of the handshake a service is."""

    SERVER = "server"
    CLIENT = "client"


@frozen
class VerificationPolicy:
    """What is asked of the peer's certificate.

    ``request`` asks for one, ``require`` insists on one, ``chain`` wants it to lead to a
    trusted root, ``pin`` wants the leaf itself to be among the trusted certificates. ``hosts``,
    ``emails`` and ``addresses`` are the subject checks: one match of any kind is enough.

    Raises ``ValueError`` for a combination that can never be evaluated.
    """

    request: bool = False
    require: bool = False
    chain: bool = False
    pin: bool = False
    hosts: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()

    def __attrs_post_init__(self) -> None:
        if (self.require or self.evaluates) and not self.request:
            raise ValueError("a certificate is judged only when it is requested")
        if self.inspects and not self.evaluates:
            raise ValueError("subject checks need verification of the chain or of the peer")
        if not all((*self.hosts, *self.emails)):
            raise ValueError("an empty subject check matches nothing")

    @property
    def evaluates(self) -> bool:
        """True when a certificate, once there, can be turned down."""
        return self.chain or self.pin

    @property
    def inspects(self) -> bool:
        """True when names or key of the leaf have a say, beyond what the library checks."""
        return bool(self.pin or self.hosts or self.emails or self.addresses)


@frozen
class TrustPolicy:
    """Where trusted certificates come from: a PEM bundle and a directory with hashed names.

    The library looks into ``ca_path`` whenever it needs a certificate, by the path as it is
    then. Where the process is still to change its root, ``chroot`` is the new root, in which
    the directory is looked for at start.
    """

    ca_file: str | None = None
    ca_path: str | None = None
    chroot: str | None = None

    @property
    def empty(self) -> bool:
        """True when neither source is named."""
        return self.ca_file is None and self.ca_path is None


@frozen
class TLSPolicy:
    """Everything needed to build the context of one service.

    ``certificate_files`` are the sources of the identity, the leaf's first; ``key_file`` defaults
    to the first of them. ``min_version`` and ``max_version`` are wire numbers (0x0303 is TLS 1.2),
    0 standing for the library's own bound. ``ciphers``, ``ciphersuites`` and ``groups`` are
    OpenSSL lists; an empty one keeps the library's default. ``options_set`` and
    ``options_clear`` are OpenSSL option masks. ``server_name`` is what a client sends as SNI,
    ``None`` for nothing. ``session_timeout`` is in seconds.

    Raises ``ValueError`` when a value is out of range.
    """

    service: str
    role: Role
    certificate_files: tuple[str, ...] = ()
    key_file: str | None = None
    trust: TrustPolicy = TrustPolicy()
    verification: VerificationPolicy = VerificationPolicy()
    min_version: int = 0
    max_version: int = 0
    ciphers: str = DEFAULT_CIPHERS
    ciphersuites: str = DEFAULT_CIPHERSUITES
    groups: str = DEFAULT_GROUPS
    security_level: int | None = None
    options_set: int = field(default=0, repr=hex)
    options_clear: int = field(default=0, repr=hex)
    server_name: str | None = None
    renegotiation: bool = True
    session_resume: bool = True
    session_timeout: int = DEFAULT_SESSION_TIMEOUT

    def __attrs_post_init__(self) -> None:
        if self.role is Role.SERVER and not self.certificate_files:
            raise ValueError("a TLS server needs a certificate")
        if self.role is Role.SERVER and self.server_name is not None:
            raise ValueError("only a client sends a server name")
        if self.max_version and self.min_version > self.max_version:
            raise ValueError("the lowest version is above the highest")
        level = self.security_level
        if level is not None and not 0 <= level <= MAX_SECURITY_LEVEL:
            raise ValueError(f"security level {level} is not between 0 and {MAX_SECURITY_LEVEL}")
        if self.session_timeout < 0:
            raise ValueError("a session cannot expire before it was made")
        if self.verification.evaluates and self.trust.empty:
            raise ValueError("verification needs trusted certificates")
