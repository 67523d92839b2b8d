"""What a policy has to see of a peer's certificate, taken out of OpenSSL's hands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stunnel_tx.errors import Rejected
from stunnel_tx.tls.facts import LeafFacts, leaf_facts

if TYPE_CHECKING:
    from OpenSSL.crypto import X509

    from stunnel_tx.tls.policy import VerificationPolicy

__all__ = ["facts_of_peer"]


def facts_of_peer(
    certificate: X509, policy: VerificationPolicy, *, revocable: bool = False
) -> LeafFacts:
    """What *policy* has to see of a peer's *certificate*; *revocable* adds issuer and serial.

    OpenSSL has accepted certificates that other parsers do not read, or not in every part: what
    is not asked for is not looked at. Raises :class:`~stunnel_tx.errors.Rejected` for one that
    cannot be read.
    """
    try:
        if not (policy.inspects or revocable):
            return _validity_of(certificate)
        return leaf_facts(certificate.to_cryptography(), names=policy.names, key=policy.inspects)
    except Exception as error:  # the parsers have no common root for what they raise
        detail = str(error) or type(error).__name__
        raise Rejected(f"peer certificate cannot be read: {detail}") from error


def _validity_of(certificate: X509) -> LeafFacts:
    """The validity bounds alone, as OpenSSL reads them."""
    first, last = (
        datetime.strptime((text or b"").decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
        for text in (certificate.get_notBefore(), certificate.get_notAfter())
    )
    return LeafFacts(name="", subject=b"", spki=b"", not_before=first, not_after=last)
