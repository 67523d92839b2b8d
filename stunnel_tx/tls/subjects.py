"""Subject checks: is this certificate for one of the names we expect?

DNS names go to service-identity (RFC 9525 §6). On top of it stand the rules of stunnel's
``checkHost`` that it does not have, each deviation named at its function. Every certificate
text comes from the peer: a name that is malformed matches nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stunnel_tx.telemetry.events import (
    CERT_EMAIL_MATCHED,
    CERT_HOST_MATCHED,
    CERT_IP_MATCHED,
    CERT_NO_SUBJECT_CHECKS,
    CERT_RULE_MATCHED,
)
from stunnel_tx.tls.name_patterns import dns_name_matches, text_matches, uri_matches

if TYPE_CHECKING:
    from stunnel_tx.telemetry.events import Event
    from stunnel_tx.tls.facts import LeafFacts
    from stunnel_tx.tls.policy import VerificationPolicy

__all__ = ["Note", "host_matches", "match_subject", "prepare_host_checks"]

#: An event to put out, with its values.
Note = tuple["Event", tuple[object, ...]]

_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


def match_subject(policy: VerificationPolicy, leaf: LeafFacts) -> Note | None:
    """The first check of *policy* that *leaf* satisfies, as an event; ``None`` when none does."""
    if not policy.names:
        return CERT_NO_SUBJECT_CHECKS, ()
    # RFC 9525 §6.3 ignores the common name; stunnel uses it when there is no DNS name at all.
    names = leaf.dns_names or leaf.common_names
    for host in policy.hosts:
        for name in names:
            if host_matches(host, name):
                return CERT_HOST_MATCHED, (host, name)
    for email in policy.emails:
        if any(email_matches(email, each) for each in leaf.emails):
            return CERT_EMAIL_MATCHED, (email,)
    for address in policy.addresses:
        if address in leaf.addresses:
            return CERT_IP_MATCHED, (address,)
    return _match_rules(policy, leaf)


def _match_rules(policy: VerificationPolicy, leaf: LeafFacts) -> Note | None:
    """The first access rule that *leaf* satisfies: CN, OU, O, DNS name or URI."""
    for word, patterns, found, matches in (
        ("CN", policy.common_names, leaf.common_names, text_matches),
        ("OU", policy.units, leaf.units, text_matches),
        ("O", policy.organizations, leaf.organizations, text_matches),
        ("DNS name", policy.dns_names, leaf.dns_names, dns_name_matches),
        ("URI", policy.uris, leaf.uris, uri_matches),
    ):
        for pattern in patterns:
            # A SPIFFE identity stands alone (X509-SVID, section 2).
            if pattern.lower().startswith("spiffe:") and len(found) != 1:
                continue
            for name in found:
                if matches(pattern, name):
                    return CERT_RULE_MATCHED, (word, pattern, name)
    return None


def prepare_host_checks() -> None:
    """Import what :func:`host_matches` needs now rather than in the first handshake."""
    import service_identity.hazmat  # noqa: F401


def host_matches(host: str, name: str) -> bool:
    """True when the certificate's DNS name *name* is good for the expected *host*."""
    # A name with an embedded NUL or non-ASCII text is an attack or a mistake.
    if not name.isascii() or not name.isprintable():
        return False
    name = name.lower()
    if host.startswith("."):
        return _is_subdomain(host.lower(), name)
    from service_identity.exceptions import CertificateError
    from service_identity.hazmat import DNS_ID, DNSPattern

    try:
        expected = DNS_ID(host)
    except ValueError:
        return host.lower() == name
    try:
        if expected.verify(DNSPattern.from_bytes(name.encode("ascii"))):
            return True
    except CertificateError:
        return False
    return _wildcard_matches(expected.hostname.decode("ascii"), name)


def _is_subdomain(suffix: str, name: str) -> bool:
    """Deviation: an expected ``.example.com`` stands for every name below example.com."""
    if len(suffix) == 1 or not name.endswith(suffix):
        return False
    labels = name.removesuffix(suffix).removeprefix("*.")
    return labels == "*" or all(_is_label(each) for each in labels.split("."))


def _wildcard_matches(host: str, pattern: str) -> bool:
    """Deviation: ``f*.example.com`` matches, and a whole ``*`` matches an A-label too.

    One wildcard, in the left-most label, for one label; a part of a label never stands for a
    part of an A-label (RFC 6125 §6.4.3).
    """
    head, _, tail = pattern.partition(".")
    label, _, rest = host.partition(".")
    if head.count("*") != 1 or tail != rest or not _is_label(label):
        return False
    before, after = head.split("*")
    if not before and not after:
        return True
    if head.startswith("xn--") or label.startswith("xn--"):
        return False
    return (
        len(label) >= len(before) + len(after)
        and label.startswith(before)
        and label.endswith(after)
    )


def _is_label(label: str) -> bool:
    return bool(label) and _LABEL.issuperset(label)


def email_matches(expected: str, found: str) -> bool:
    """Equal addresses: the domain in any case, the local part as it is (RFC 5321 §2.4)."""
    local, at, domain = expected.rpartition("@")
    found_local, found_at, found_domain = found.rpartition("@")
    return (local, at) == (found_local, found_at) and domain.lower() == found_domain.lower()
