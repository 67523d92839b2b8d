"""What one service wants of TLS, as frozen values that are validated when they are made."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

__all__ = [
    "COMPATIBLE_CIPHERS",
    "DEFAULT_CIPHERS",
    "DEFAULT_CIPHERSUITES",
    "DEFAULT_GROUPS",
    "DEFAULT_SESSION_TIMEOUT",
    "RevocationPolicy",
    "Role",
    "TLSPolicy",
    "TrustPolicy",
    "VerificationPolicy",
]

#: Groups offered and accepted, best first: the hybrid of ML-KEM-768 and X25519 leads.
DEFAULT_GROUPS = "X25519MLKEM768:X25519:P-256:X448:P-521:P-384"
#: Forward secrecy and authenticated encryption only. stunnel's own default also has ciphers
#: without them, which scanners report and which no peer of the last ten years needs.
#: Pre-shared keys come first: only who has one offers them, and may have no certificate.
DEFAULT_CIPHERS = "kECDHEPSK+CHACHA20:ECDHE+AESGCM:ECDHE+CHACHA20"
#: stunnel's default, for services that let in versions or keys older than that.
COMPATIBLE_CIPHERS = "HIGH:!aNULL:!SSLv2:!DH:!kDHEPSK"
DEFAULT_CIPHERSUITES = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
#: Seconds a session may be resumed.
DEFAULT_SESSION_TIMEOUT = 300

MAX_SECURITY_LEVEL = 5

SHA256_SIZE = 32

#: Bytes of one ALPN name, and of a list with its length bytes (RFC 7301 §3.1).
MAX_ALPN_NAME = 255
MAX_ALPN_LIST = 65535


class Role(Enum):
    """Which end of the handshake a service is."""

    SERVER = "server"
    CLIENT = "client"


@frozen
class VerificationPolicy:
    """What is asked of the peer's certificate.

    ``request`` asks for one, ``require`` insists on one, ``chain`` wants it to lead to a
    trusted root, ``pin`` wants the leaf itself to be among the trusted certificates,
    ``key_pins`` wants the SHA-256 digest of its SubjectPublicKeyInfo to be one of these. The
    rest are the subject checks: one match of any kind is enough, and none given is none asked.
    ``hosts`` are names of a server (RFC 9525); ``common_names``, ``units``, ``organizations``,
    ``dns_names`` and ``uris`` are patterns (:mod:`stunnel_tx.tls.name_patterns`).

    Raises ``ValueError`` for a combination that can never be evaluated.
    """

    request: bool = False
    require: bool = False
    chain: bool = False
    pin: bool = False
    hosts: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    common_names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    key_pins: tuple[bytes, ...] = ()

    def __attrs_post_init__(self) -> None:
        if (self.require or self.evaluates) and not self.request:
            raise ValueError("a certificate is judged only when it is requested")
        if self.inspects and not self.evaluates:
            raise ValueError("subject checks need verification of the chain or of the peer")
        if not all(self._texts):
            raise ValueError("an empty subject check matches nothing")
        if any(len(each) != SHA256_SIZE for each in self.key_pins):
            raise ValueError(f"a key pin has {SHA256_SIZE} bytes")

    @property
    def evaluates(self) -> bool:
        """True when a certificate, once there, can be turned down."""
        return bool(self.chain or self.pin or self.key_pins)

    @property
    def _texts(self) -> tuple[str, ...]:
        rules = (self.common_names, self.units, self.organizations, self.dns_names, self.uris)
        return (*self.hosts, *self.emails, *(text for rule in rules for text in rule))

    @property
    def names(self) -> bool:
        """True when some name has to match."""
        return bool(self._texts or self.addresses)

    @property
    def inspects(self) -> bool:
        """True when names or key of the leaf have a say, beyond what the library checks."""
        return bool(self.pin or self.key_pins or self.names)


@frozen
class TrustPolicy:
    """Where trusted certificates come from; the sources add up.

    ``ca_file`` is a PEM bundle, ``ca_path`` a directory with hashed names, ``system`` the store
    of the operating system.

    The library looks into ``ca_path`` whenever it needs a certificate, by the path as it is
    then. Where the process is still to change its root, ``chroot`` is the new root, in which
    the directory is looked for at start.
    """

    ca_file: str | None = None
    ca_path: str | None = None
    chroot: str | None = None
    system: bool = False

    @property
    def empty(self) -> bool:
        """True when no source is named."""
        return self.ca_file is None and self.ca_path is None and not self.system


@frozen
class RevocationPolicy:
    """Where revocation lists come from: a PEM file and a directory with hashed names.

    Either one makes a list of the leaf's issuer obligatory; with ``whole_chain`` a list of
    every issuer in the chain, the root's included.

    Raises ``ValueError`` for a check of the chain without any list.
    """

    crl_file: str | None = None
    crl_path: str | None = None
    whole_chain: bool = False

    def __attrs_post_init__(self) -> None:
        if self.whole_chain and self.empty:
            raise ValueError("a chain cannot be checked without revocation lists")

    @property
    def empty(self) -> bool:
        """True when neither source is named."""
        return self.crl_file is None and self.crl_path is None


@frozen
class TLSPolicy:
    """Everything needed to build the context of one service.

    ``certificate_files`` are the sources of the identity, the leaf's first; ``key_file`` defaults
    to the first of them. ``min_version`` and ``max_version`` are wire numbers (0x0303 is TLS 1.2),
    0 standing for the library's own bound. ``ciphers``, ``ciphersuites`` and ``groups`` are
    OpenSSL lists, like ``signature_algorithms``; an empty one keeps the library's default.
    ``psk_file`` has pre-shared keys, which replace the certificate of a server; a client uses
    that of ``psk_identity``, else the first. ``dh_file`` has parameters for DHE ciphers, which
    are also looked for in the certificate files. ``key_log`` is a file that the secrets of every
    connection are written to. ``identity_files`` each hold a certificate, chain and key a client
    may choose. ``alpn`` are protocol names (RFC 7301), the best first; with ``alpn_required``
    one of them must be settled on. With ``redirect`` a server lets peers in that fail
    verification, and tells them apart. ``options_set`` and
    ``options_clear`` are OpenSSL option masks. ``server_name`` is what a client sends as SNI,
    ``None`` for nothing. ``session_timeout`` is in seconds, 0 for no limit. ``commanded`` names
    the fields that come from a ``config`` command, for messages.

    Raises ``ValueError`` when a value is out of range.
    """

    service: str
    role: Role
    certificate_files: tuple[str, ...] = ()
    key_file: str | None = None
    trust: TrustPolicy = TrustPolicy()
    verification: VerificationPolicy = VerificationPolicy()
    revocation: RevocationPolicy = RevocationPolicy()
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
    signature_algorithms: str = ""
    psk_file: str | None = None
    psk_identity: str | None = None
    dh_file: str | None = None
    key_log: str | None = None
    identity_files: tuple[str, ...] = ()
    alpn: tuple[bytes, ...] = ()
    alpn_required: bool = False
    redirect: bool = False
    commanded: frozenset[str] = frozenset()

    def __attrs_post_init__(self) -> None:
        self._check_names()
        if self.redirect and not (self.role is Role.SERVER and self.verification.evaluates):
            raise ValueError("only a server that verifies its peers can redirect them")
        if self.identity_files and self.role is Role.SERVER:
            raise ValueError("only a client chooses its certificate")
        if self.role is Role.SERVER and not (self.certificate_files or self.psk_file):
            raise ValueError("a TLS server needs a certificate or pre-shared keys")
        if self.role is Role.SERVER and self.server_name is not None:
            raise ValueError("only a client sends a server name")
        if self.max_version and self.min_version > self.max_version:
            raise ValueError("the lowest version is above the highest")
        level = self.security_level
        if level is not None and not 0 <= level <= MAX_SECURITY_LEVEL:
            raise ValueError(f"security level {level} is not between 0 and {MAX_SECURITY_LEVEL}")
        if self.session_timeout < 0:
            raise ValueError("a session cannot expire before it was made")
        if (self.verification.chain or self.verification.pin) and self.trust.empty:
            raise ValueError("verification needs trusted certificates")

    @property
    def unresumable(self) -> str:
        """Why sessions are not resumed although they may be: "" where they are.

        What could not be judged rightly in a resumed handshake is not resumed. It shows the
        leaf alone, not the chain; and of a peer without a certificate not whether the session
        was made with a key.
        """
        if self.revocation.whole_chain:
            return "CRLcheckChain needs the whole chain each time"
        if self.redirect and self.psk_file is not None:
            return "beside 'redirect' a pre-shared key has to be shown each time"
        return ""

    @property
    def resumes(self) -> bool:
        """True when sessions are offered, or taken."""
        return self.session_resume and not self.unresumable

    def _check_names(self) -> None:
        if not all(1 <= len(name) <= MAX_ALPN_NAME for name in self.alpn):
            raise ValueError(f"an ALPN name has 1 to {MAX_ALPN_NAME} bytes")
        if sum(1 + len(name) for name in self.alpn) > MAX_ALPN_LIST:
            raise ValueError(f"a list of ALPN names has at most {MAX_ALPN_LIST} bytes")
        if self.alpn_required and not self.alpn:
            raise ValueError("an application protocol can only be required of a list")
