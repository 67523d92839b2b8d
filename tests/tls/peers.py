"""Peers of every kind, for handshakes with those who judge them."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import rsa

from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.facts import leaf_facts
from stunnel_tx.tls.policy import (
    RevocationPolicy,
    Role,
    TLSPolicy,
    TrustPolicy,
    VerificationPolicy,
)
from tests.doubles.certificates import DAY, NOW, PEM, Authority, self_signed
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from stunnel_tx.tls.handshake import TLSContext

TLS_1_2, TLS_1_3 = 0x0303, 0x0304
HOST = "peer.example"

# request, require, chain, pin
POLICIES = {
    "nothing": (False, False, False, False),
    "requireCert": (True, True, False, False),
    "verifyChain": (True, True, True, False),
    "verifyPeer": (True, True, False, True),
    "verifyChain and verifyPeer": (True, True, True, True),
    "verify = 0": (True, False, False, False),
    "verify = 1": (True, False, True, False),
    "verify = 2": (True, True, True, False),
    "verify = 3": (True, True, True, True),
    "verify = 4": (True, True, False, True),
    "pinSHA256": (True, True, False, False),
    "verifyChain and pinSHA256": (True, True, True, False),
}

# The rows that pin the key of the good certificate.
KEY_PINNED = frozenset({"pinSHA256", "verifyChain and pinSHA256"})


class Files:
    """Peer certificates of every kind, and the bundle that makes them so."""

    def __init__(self) -> None:
        self._temporary = TemporaryDirectory(prefix="stunnel_tx_peers_")
        self.directory = Path(self._temporary.name)
        root, stranger = Authority("Root"), Authority("Stranger")
        good = root.issue("peer", [HOST])
        expired = root.issue("expired", [HOST], NOW - 2 * DAY, NOW - DAY)
        early = root.issue("early", [HOST], NOW + DAY, NOW + 2 * DAY)
        elsewhere = root.issue("peer elsewhere", ["elsewhere.example"])
        weak = rsa.generate_private_key(65537, 1024)
        self.key_pin = sha256(leaf_facts(good.cert).spki).digest()
        revoked = root.issue("revoked", [HOST])
        self.certificates = {
            "revoked": revoked,
            "weak key": root.issue("weak", [HOST], key=weak),
            "good": good,
            "unknown CA": stranger.issue("unknown", [HOST]),
            "self-signed": self_signed("self", [HOST]),
            "expired": expired,
            "not yet valid": early,
            "wrong host": elsewhere,
            "other key": root.issue("peer", [HOST]),
            "reissued": stranger.issue("peer", [HOST], key=good.key),
            "reissued self-signed": self_signed("peer", [HOST], key=good.key),
        }
        self.paths = {
            kind: issued.pem(self.directory / f"{kind}.pem")
            for kind, issued in self.certificates.items()
        }
        lists = self.directory / "lists.pem"
        lists.write_bytes(root.crl(revoked))
        self.revocation = RevocationPolicy(str(lists))
        kinds = ("weak key", "revoked")
        trusted = [root.cert, good.cert, expired.cert, early.cert, elsewhere.cert]
        trusted += [self.certificates[kind].cert for kind in kinds]
        bundle = self.directory / "trusted.pem"
        bundle.write_bytes(b"".join(cert.public_bytes(PEM) for cert in trusted))
        self.trust = TrustPolicy(str(bundle))


@cache
def files() -> Files:
    """The files, made once for all tests and removed with the process."""
    return Files()


@cache
def context(policy: TLSPolicy) -> TLSContext:
    """The context of *policy*, built once."""
    return build_context(policy, Recording().scope, lambda _prompt: None)


def judge_policy(
    role: Role, name: str, version: int, kind: str = "", *, redirect: bool = False
) -> TLSPolicy:
    """The side that judges its peer, of the given *kind*, by the named row of the matrix.

    Only for the revoked one it has a revocation list: without one nobody else would get in.
    """
    request, require, chain, pin = POLICIES[name]
    key_pins = (files().key_pin,) if name in KEY_PINNED else ()
    hosts = (HOST,) if chain or pin or key_pins else ()
    return TLSPolicy(
        service=name,
        role=role,
        certificate_files=(files().paths["good"],) if role is Role.SERVER else (),
        trust=files().trust if chain or pin else TrustPolicy(),
        verification=VerificationPolicy(request, require, chain, pin, hosts, key_pins=key_pins),
        revocation=files().revocation if kind == "revoked" else RevocationPolicy(),
        max_version=version,
        redirect=redirect,
    )


def peer_policy(role: Role, kind: str) -> TLSPolicy:
    """The side that is judged, with a certificate of the named kind."""
    return TLSPolicy(
        service=kind,
        role=role,
        certificate_files=() if kind == "none" else (files().paths[kind],),
        security_level=0 if kind == "weak key" else None,
    )
