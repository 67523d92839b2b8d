"""How long the certificate of a service is still good, and whether a new one may replace it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import frozen
from cryptography.exceptions import InvalidSignature

from stunnel_tx.telemetry.events import CERT_EXPIRED, CERT_EXPIRES_SOON, CERT_NOT_YET_VALID
from stunnel_tx.tls.names import distinguished_name

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.x509 import Certificate

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.identity import Identity

__all__ = ["EXPIRY_NOTICE", "Objection", "objection", "report_validity"]

#: How long before its end a certificate is warned of: by then an automatic renewal has failed
#: more than once, and there is time left to do something about it.
EXPIRY_NOTICE: Final = timedelta(days=14)


@frozen
class Objection:
    """Why a new identity may not replace the old one; ``until`` is when that ends, if it does."""

    reason: str
    until: datetime | None = None


def report_validity(identity: Identity, scope: Scope, now: datetime) -> None:
    """Warn of a certificate that has expired, will soon, or is not valid yet."""
    leaf, name = identity.leaf, distinguished_name(identity.leaf.subject)
    left = identity.not_after - now
    if left < timedelta(0):
        scope(CERT_EXPIRED, identity.not_after, name)
    elif left < EXPIRY_NOTICE:
        scope(CERT_EXPIRES_SOON, left.days, identity.not_after, name)
    if leaf.not_valid_before_utc > now:
        scope(CERT_NOT_YET_VALID, leaf.not_valid_before_utc, name)


def objection(new: Identity, old: Identity | None, now: datetime) -> Objection | None:
    """What speaks against *new* in the place of *old*, ``None`` when nothing does.

    A chain may be shorter than the old one only where nothing is missing for it: when the
    issuer is one that the old chain did not need to send either.
    """
    if new.not_after < now:
        return Objection(f"the certificate has expired at {new.not_after}")
    begins = new.leaf.not_valid_before_utc
    if begins > now:
        return Objection(f"the certificate is not valid before {begins}", begins)
    if old is None or _without_issuer(old) is not None:
        return None
    missing = _without_issuer(new)
    if missing is None or missing.issuer == _top(old).issuer:
        return None
    issuer = distinguished_name(missing.issuer)
    return Objection(f"the chain is incomplete: the issuer is missing: {issuer}")


def _without_issuer(identity: Identity) -> Certificate | None:
    """The leaf when its issuer should have been sent with it and was not, else ``None``."""
    leaf = identity.leaf
    if leaf.issuer == leaf.subject or any(_issued(leaf, each) for each in identity.chain):
        return None
    return leaf


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError):
        # Another name, another key, or a kind of key that signs nothing.
        return False
    return True


def _top(identity: Identity) -> Certificate:
    """The last certificate of the chain, as far as it leads upwards without a gap."""
    top, seen = identity.leaf, {identity.leaf}
    while True:
        above = [each for each in identity.chain if each not in seen and _issued(top, each)]
        if not above:
            return top
        top = above[0]
        seen.add(top)
