"""How long the certificates of a service are still good, and whether new ones may replace them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import frozen
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from stunnel_tx.telemetry.events import (
    CERT_EXPIRED,
    CERT_EXPIRES_SOON,
    CERT_NOT_YET_VALID,
    CHAIN_EXPIRED,
    CHAIN_EXPIRES_SOON,
    CHAIN_NOT_YET_VALID,
)
from stunnel_tx.tls.names import distinguished_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
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


def report_validity(identity: Identity, place: str, scope: Scope, now: datetime) -> None:
    """Warn of a certificate, the leaf or one of its chain, that is not good or not for long.

    *place* says who has it, and in which file.
    """
    for certificate in dict.fromkeys((identity.leaf, *identity.chain)):
        own = certificate is identity.leaf
        name = distinguished_name(certificate.subject)
        end, begin = certificate.not_valid_after_utc, certificate.not_valid_before_utc
        left = end - now
        if left < timedelta(0):
            scope(CERT_EXPIRED if own else CHAIN_EXPIRED, end, name, place)
        elif left < EXPIRY_NOTICE:
            event = CERT_EXPIRES_SOON if own else CHAIN_EXPIRES_SOON
            scope(event, left.days, end, name, place)
        if begin > now:
            scope(CERT_NOT_YET_VALID if own else CHAIN_NOT_YET_VALID, begin, name, place)


def objection(
    new: Identity,
    old: Identity | None,
    now: datetime,
    roots: Callable[[], Iterable[Certificate]] = tuple,
) -> Objection | None:
    """What speaks against *new* in the place of *old*, ``None`` when nothing does.

    Every certificate of its chain must be valid, those excepted that are served already. The
    chain must lead as far up as it has to (see :func:`_missing`); *roots* gives certificates
    that clients are known to have, and is asked only where that could make a difference.
    """
    problem = _outside_validity(new, old, now)
    if problem is not None or old is None:
        return problem
    missing = _missing(_Path(new), _Path(old))
    if missing is None or any(_issued(missing, root) for root in roots()):
        return None
    issuer = distinguished_name(missing.issuer)
    return Objection(f"the chain is incomplete: the issuer is missing: {issuer}")


def _outside_validity(new: Identity, old: Identity | None, now: datetime) -> Objection | None:
    served = set() if old is None else set(old.chain)
    for certificate in (new.leaf, *new.chain):
        if certificate in served and certificate != new.leaf:
            continue
        what = "the certificate"
        if certificate != new.leaf:
            what = f"the chain certificate {distinguished_name(certificate.subject)}"
        end, begin = certificate.not_valid_after_utc, certificate.not_valid_before_utc
        if end < now:
            return Objection(f"{what} has expired at {end}")
        if begin > now:
            return Objection(f"{what} is not valid before {begin}", begin)
    return None


class _Path:
    """The certificates of an identity that lead upwards from the leaf without a gap.

    There may be several ways up, where an authority was signed by more than one other; ``tops``
    are the ends of all of them.
    """

    def __init__(self, identity: Identity) -> None:
        self.certificates = [identity.leaf]
        self.tops: list[Certificate] = []
        for each in self.certificates:
            above = [] if _self_signed(each) else [up for up in identity.chain if _issued(each, up)]
            self.certificates += [up for up in above if up not in self.certificates]
            if not above:
                self.tops.append(each)

    @property
    def whole(self) -> bool:
        """True when it leads up to a root."""
        return any(_self_signed(top) for top in self.tops)


def _missing(new: _Path, old: _Path) -> Certificate | None:
    """The certificate of *new* whose issuer should have been sent too, ``None`` for none.

    A path is long enough when it leads to a root, or to where the old one ended: clients have
    what was not sent before. With another authority at the top there is no telling, except that
    it must not be one of those sent before, and that a path shorter than the old one was
    probably cut.
    """
    known = {top.issuer for top in old.tops}
    if new.whole or any(top.issuer in known for top in new.tops):
        return None
    sent = {each.subject for each in old.certificates}
    least = max(len(old.certificates), 2 if old.whole else 1)
    top = new.tops[0]
    if top.issuer not in sent and len(new.certificates) >= least:
        return None
    return top


def _self_signed(certificate: Certificate) -> bool:
    return certificate.subject == certificate.issuer and _issued(certificate, certificate)


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, UnsupportedAlgorithm, ValueError):
        # Another name, another key, or a kind of key or signature that nobody verifies.
        return False
    return True
