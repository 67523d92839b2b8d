"""What matters of a certificate when it is judged, taken out of it once."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from stunnel_tx.tls.names import distinguished_name

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["LeafFacts", "leaf_facts"]


@frozen
class LeafFacts:
    """A peer's certificate as the verdict sees it.

    ``subject``, ``issuer`` and ``spki`` are DER; ``name`` is the subject as text. ``emails`` are
    those of the alternative names and of the subject. The validity bounds are in UTC.
    """

    name: str
    subject: bytes
    spki: bytes
    not_before: datetime
    not_after: datetime
    dns_names: tuple[str, ...] = ()
    common_names: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    units: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    issuer: bytes = b""
    serial: int = 0


def leaf_facts(certificate: x509.Certificate) -> LeafFacts:
    """The facts of *certificate*; raises ``ValueError`` when it cannot be read.

    A subjectAltName extension that cannot be parsed counts as unreadable: names in it must not
    give way to the common name.
    """
    try:
        subject = certificate.subject
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names: x509.SubjectAlternativeName | None = extension.value
    except x509.ExtensionNotFound:
        names = None
    except x509.DuplicateExtension as error:
        raise ValueError("an extension occurs twice") from error
    dns_names, emails, addresses = _alternative_names(names)
    emails += _texts(subject, NameOID.EMAIL_ADDRESS)
    key = certificate.public_key()
    return LeafFacts(
        name=distinguished_name(subject),
        subject=subject.public_bytes(),
        spki=key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        dns_names=dns_names,
        common_names=_texts(subject, NameOID.COMMON_NAME),
        emails=emails,
        addresses=addresses,
        units=_texts(subject, NameOID.ORGANIZATIONAL_UNIT_NAME),
        organizations=_texts(subject, NameOID.ORGANIZATION_NAME),
        uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names else (),
        issuer=certificate.issuer.public_bytes(),
        serial=certificate.serial_number,
    )


def _alternative_names(
    names: x509.SubjectAlternativeName | None,
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[IPv4Address | IPv6Address, ...]]:
    if names is None:
        return (), (), ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return (
        tuple(names.get_values_for_type(x509.DNSName)),
        tuple(names.get_values_for_type(x509.RFC822Name)),
        tuple(each for each in addresses if isinstance(each, (IPv4Address, IPv6Address))),
    )


def _texts(subject: x509.Name, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    values = (each.value for each in subject.get_attributes_for_oid(oid))
    return tuple(value for value in values if isinstance(value, str))
