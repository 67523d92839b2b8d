"""BER as LDAP uses it (ITU-T X.690 with the restrictions of RFC 4511 §5.1), bounded.

Only definite lengths, in every form: short, long, and long with leading zeros. Only single-byte
tags, of which LDAP needs no others. Nothing is parsed deeper than a caller asks for, so no
nesting can use up the stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from stunnel_tx.errors import LimitExceeded, ProtocolViolation

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Peer

INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
ENUMERATED: Final = 0x0A
SEQUENCE: Final = 0x30

#: Bytes in which a length may be written: four are enough for anything, the rest are zeros.
LENGTH_BYTES: Final = 8

#: Elements side by side; an LDAP message and a result have at most six.
ELEMENTS: Final = 32

_LONG: Final = 0x80


@frozen
class Element:
    """A tag with its undecoded content."""

    tag: int
    content: bytes


async def read_element(peer: Peer, tag: int, limit: int) -> Element:
    """The next element, which must have *tag* and, header included, at most *limit* bytes.

    Raises :class:`~stunnel_tx.errors.ProtocolViolation` for another tag or a length that is not
    definite, and :class:`~stunnel_tx.errors.LimitExceeded` before anything too long is read.
    """
    header = await peer.read_exactly(2)
    if header[0] != tag:
        raise ProtocolViolation(f"BER tag 0x{header[0]:02x} instead of 0x{tag:02x}")
    size = header[1]
    if size >= _LONG:
        header += await peer.read_exactly(_length_bytes(size))
        size = int.from_bytes(header[2:], "big")
    if len(header) + size > limit:
        raise LimitExceeded("message length in bytes", limit)
    return Element(tag, await peer.read_exactly(size) if size else b"")


def elements(data: bytes) -> tuple[Element, ...]:
    """The elements side by side in *data*, which they must fill exactly.

    Raises :class:`~stunnel_tx.errors.ProtocolViolation` when they do not.
    """
    found: list[Element] = []
    at = 0
    while at < len(data):
        if len(found) == ELEMENTS:
            raise ProtocolViolation(f"more than {ELEMENTS} BER elements side by side")
        if len(data) < at + 2:
            raise ProtocolViolation("cut BER element")
        tag, size = data[at], data[at + 1]
        if tag & 0x1F == 0x1F:
            raise ProtocolViolation("BER tag of several bytes")
        at += 2
        if size >= _LONG:
            end = at + _length_bytes(size)
            if end > len(data):
                raise ProtocolViolation("cut BER length")
            size = int.from_bytes(data[at:end], "big")
            at = end
        if at + size > len(data):
            raise ProtocolViolation("BER element reaches beyond the one it is in")
        found.append(Element(tag, data[at : at + size]))
        at += size
    return tuple(found)


def _length_bytes(first: int) -> int:
    """How many bytes follow the *first* one of a length in the long form (X.690 §8.1.3.5)."""
    count = first & 0x7F
    if not 0 < count <= LENGTH_BYTES:
        raise ProtocolViolation("BER length that is indefinite or too long")
    return count


def decode_integer(element: Element, tag: int = INTEGER) -> int:
    """The value of an INTEGER or, by its *tag*, an ENUMERATED of up to eight bytes."""
    if element.tag != tag or not 0 < len(element.content) <= 8:
        raise ProtocolViolation(f"BER tag 0x{element.tag:02x} is no number of type 0x{tag:02x}")
    return int.from_bytes(element.content, "big", signed=True)


def encode(tag: int, *contents: bytes) -> bytes:
    """An element around *contents*, with the shortest form of its length."""
    content = b"".join(contents)
    size = len(content)
    if size < _LONG:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG | len(length))) + length + content


def encode_integer(value: int, tag: int = INTEGER) -> bytes:
    """An INTEGER or, by its *tag*, an ENUMERATED, in as few bytes as it takes."""
    return encode(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
