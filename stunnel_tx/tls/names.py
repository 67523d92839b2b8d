"""Distinguished names as text, in the form stunnel logs them.

Attributes in the order of the certificate, ``, `` between RDNs, `` + `` inside one, no blanks
around ``=``, values with special characters in double quotes, UTF-8 left as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Name, NameAttribute

__all__ = ["distinguished_name"]

# Short names of the attribute types seen in certificates (RFC 4519 §2, RFC 2985 §5).
_SHORT_NAMES = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.13": "description",
    "2.5.4.15": "businessCategory",
    "2.5.4.17": "postalCode",
    "2.5.4.41": "name",
    "2.5.4.42": "GN",
    "2.5.4.43": "initials",
    "2.5.4.44": "generationQualifier",
    "2.5.4.45": "x500UniqueIdentifier",
    "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
    "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
    "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
    "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

# RFC 2253 §2.4: what may not stand bare in a value.
_SPECIAL = re.compile(r'[,+"\\<>;]|^[ #]| $')
_ESCAPED = re.compile(r'(["\\])')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def distinguished_name(name: Name) -> str:
    """*name* as one line of text; an empty name is an empty string."""
    return ", ".join(" + ".join(_attribute(part) for part in rdn) for rdn in name.rdns)


def _attribute(attribute: NameAttribute[str | bytes]) -> str:
    oid = attribute.oid.dotted_string
    value = attribute.value
    text = f"#{value.hex().upper()}" if isinstance(value, bytes) else _quoted(value)
    return f"{_SHORT_NAMES.get(oid, oid)}={text}"


def _quoted(value: str) -> str:
    special = _SPECIAL.search(value) is not None
    if special:
        value = _ESCAPED.sub(r"\\\1", value)
    value = _CONTROL.sub(lambda found: f"\\{ord(found[0]):02X}", value)
    return f'"{value}"' if special else value
