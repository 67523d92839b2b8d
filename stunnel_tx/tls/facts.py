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


def leaf_facts(certificate: x509.Certificate, *, names: bool = True, key: bool = True) -> LeafFacts:
    """The facts of *certificate*, those of the alternative *names* and the *key* if wanted.

    A subjectAltName extension that cannot be parsed counts as unreadable: names in it must not
    give way to the common name. Raises ``ValueError``, or another exception of the parser, when
    the certificate cannot be read.
    """
    subject = certificate.subject
    dns_names, emails, addresses, uris = _alternative_names(certificate if names else None)
    emails += _texts(subject, NameOID.EMAIL_ADDRESS)
    encoding = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    return LeafFacts(
        name=distinguished_name(subject),
        subject=subject.public_bytes(),
        spki=certificate.public_key().public_bytes(*encoding) if key else b"",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        dns_names=dns_names,
        common_names=_texts(subject, NameOID.COMMON_NAME),
        emails=emails,
        addresses=addresses,
        units=_texts(subject, NameOID.ORGANIZATIONAL_UNIT_NAME),
        organizations=_texts(subject, NameOID.ORGANIZATION_NAME),
        uris=uris,
        issuer=certificate.issuer.public_bytes(),
        serial=certificate.serial_number,
    )


def _alternative_names(
    certificate: x509.Certificate | None,
) -> tuple[
    tuple[str, ...], tuple[str, ...], tuple[IPv4Address | IPv6Address, ...], tuple[str, ...]
]:
    """DNS names, mail addresses, IP addresses and URIs."""
    if certificate is None:
        return (), (), (), ()
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return (), (), (), ()
    except x509.DuplicateExtension as error:
        raise ValueError("an extension occurs twice") from error
    names = extension.value
    addresses = names.get_values_for_type(x509.IPAddress)
    return (
        tuple(names.get_values_for_type(x509.DNSName)),
        tuple(names.get_values_for_type(x509.RFC822Name)),
        tuple(each for each in addresses if isinstance(each, (IPv4Address, IPv6Address))),
        tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
    )


def _texts(subject: x509.Name, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    values = (each.value for each in subject.get_attributes_for_oid(oid))
    return tuple(value for value in values if isinstance(value, str))
