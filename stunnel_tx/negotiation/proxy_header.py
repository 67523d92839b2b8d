"""The PROXY protocol, versions 1 and 2: who the client of a proxied connection really is.

Source: the HAProxy project's "The PROXY protocol", sections 2.1 and 2.2. A header comes before
everything else on a connection. Times and networks to take it from are the caller's business.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from attrs import frozen

from stunnel_tx.errors import LimitExceeded, ProtocolViolation
from stunnel_tx.negotiation.destinations import canonical
from stunnel_tx.negotiation.peer import Endpoint

if TYPE_CHECKING:
    from stunnel_tx.negotiation.destinations import IPAddress
    from stunnel_tx.negotiation.peer import Peer

__all__ = ["NOT_RELAYED", "Header", "decode_v1", "encode_v1", "encode_v2", "read_header"]

#: Longest header of version 1 in bytes, CRLF included (section 2.1).
V1_LENGTH: Final = 107

#: Longest body of version 2 taken, in bytes: addresses (at most 216) and TLVs.
V2_LENGTH: Final = 4096

V2_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"

_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6, _UNIX = 0x11, 0x21, 0x31
_ADDRESS_BYTES: Final = {0x0: 0, 0x1: 12, 0x2: 36, 0x3: 216}
_PATH_BYTES: Final = 108

TLV = tuple[int, bytes]

#: TLV types (section 2.2.1 and following).
ALPN: Final = 0x01
AUTHORITY: Final = 0x02
CRC32C: Final = 0x03


@frozen
class Header:
    """What a header says; without ``source`` the connection's own ends are the true ones.

    ``tlvs`` are the extensions of version 2 as ``(type, value)``, the checksum left out.
    """

    version: int
    source: Endpoint | None = None
    target: Endpoint | None = None
    tlvs: tuple[TLV, ...] = ()

    def value(self, kind: int) -> bytes | None:
        """The value of the first TLV of type *kind*."""
        return next((value for found, value in self.tlvs if found == kind), None)


#: The header of a connection that is nobody else's.
NOT_RELAYED: Final = Header(0)


# --- sending -------------------------------------------------------------------------------


def _internet(
    source: Endpoint | None, target: Endpoint | None
) -> tuple[IPAddress, IPAddress] | None:
    """Both addresses in one family, v4-mapped ones as IPv4; None when they are no IP addresses."""
    if source is None or target is None:
        return None
    try:
        ends = canonical(source.host), canonical(target.host)
    except ValueError:
        return None
    if ends[0].version != ends[1].version:
        return _widened(ends[0]), _widened(ends[1])
    # A zone index means nothing to anybody else.
    return type(ends[0])(int(ends[0])), type(ends[1])(int(ends[1]))


def _widened(address: IPAddress) -> IPv6Address:
    if isinstance(address, IPv4Address):
        return IPv6Address(0xFFFF << 32 | int(address))
    return IPv6Address(int(address))


def encode_v1(source: Endpoint | None, target: Endpoint | None) -> bytes:
    """The header of version 1; ``UNKNOWN`` for what is no TCP connection (UNIX, pipes)."""
    ends = _internet(source, target)
    if ends is None or source is None or target is None:
        return b"PROXY UNKNOWN\r\n"
    family = f"TCP{ends[0].version}"
    line = f"PROXY {family} {ends[0]} {ends[1]} {source.port} {target.port}\r\n"
    return line.encode("ascii")


def encode_v2(
    source: Endpoint | None,
    target: Endpoint | None,
    tlvs: tuple[TLV, ...] = (),
    *,
    checksum: bool = True,
) -> bytes:
    """The header of version 2 with *tlvs*, and with a CRC32C unless told otherwise.

    A UNIX connection is passed on with its paths, one without addresses as LOCAL.
    """
    command, family, body = _PROXY, 0, b""
    ends = _internet(source, target)
    if source is None or target is None:
        command = _LOCAL
    elif ends is not None:
        family = _TCP4 if ends[0].version == 4 else _TCP6
        body = ends[0].packed + ends[1].packed
        body += source.port.to_bytes(2, "big") + target.port.to_bytes(2, "big")
    else:
        family = _UNIX
        body = b"".join(_path(end.host) for end in (source, target))
    body += b"".join(pack_tlv(kind, value) for kind, value in tlvs)
    if checksum:
        body += pack_tlv(CRC32C, bytes(4))
    header = V2_SIGNATURE + bytes((command, family)) + len(body).to_bytes(2, "big") + body
    return header[:-4] + crc32c(header).to_bytes(4, "big") if checksum else header


def _path(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")[:_PATH_BYTES].ljust(_PATH_BYTES, b"\0")


def pack_tlv(kind: int, value: bytes) -> bytes:
    """One extension: type, length in two bytes, value."""
    return bytes((kind,)) + len(value).to_bytes(2, "big") + value


# --- receiving -----------------------------------------------------------------------------


async def read_header(peer: Peer) -> Header:
    """Take one header of either version off *peer*, and not a byte more.

    Raises :class:`~stunnel_tx.errors.ProtocolViolation` for anything else, at its first wrong
    byte where that tells, and :class:`~stunnel_tx.errors.LimitExceeded` for one that is too
    long.
    """
    first = await peer.read_exactly(1)
    if first == b"P":
        return decode_v1(await _read_v1(peer, first))
    if first != V2_SIGNATURE[:1]:
        raise ProtocolViolation("no PROXY protocol header from a peer that has to send one")
    start = first + await peer.read_exactly(len(V2_SIGNATURE) + 3)
    if not start.startswith(V2_SIGNATURE):
        raise ProtocolViolation("no PROXY protocol header from a peer that has to send one")
    size = int.from_bytes(start[-2:], "big")
    if size > V2_LENGTH:
        raise LimitExceeded("PROXY header length in bytes", V2_LENGTH)
    return decode_v2(start, await peer.read_exactly(size))


async def _read_v1(peer: Peer, held: bytes) -> bytes:
    """The rest of a line that must end with CRLF and nothing less (section 2.1)."""
    while not held.endswith(b"\n"):
        if len(held) >= V1_LENGTH:
            raise LimitExceeded("PROXY header length in bytes", V1_LENGTH)
        seen = await peer.peek(V1_LENGTH - len(held))
        end = seen.find(b"\n") + 1
        held += await peer.read_exactly(end or len(seen))
        if not b"PROXY "[: len(held)] == held[:6]:
            raise ProtocolViolation("no PROXY protocol header from a peer that has to send one")
    return held


def decode_v1(line: bytes) -> Header:
    """A header of version 1 from a whole *line*, CRLF included."""
    if not line.endswith(b"\r\n") or len(line) > V1_LENGTH or not line.isascii():
        raise ProtocolViolation("malformed PROXY header of version 1")
    words = line[:-2].decode("ascii").split(" ")
    if words[:2] == ["PROXY", "UNKNOWN"]:
        # Whatever follows is to be ignored (section 2.1).
        return Header(1)
    if len(words) != 6 or words[0] != "PROXY" or words[1] not in {"TCP4", "TCP6"}:
        raise ProtocolViolation("malformed PROXY header of version 1")
    _, family, *rest = words
    try:
        ends = [ip_address(text) for text in rest[:2]]
        ports = [_port(text) for text in rest[2:]]
    except ValueError as error:
        raise ProtocolViolation("malformed address in a PROXY header") from error
    if any(end.version != int(family[3]) for end in ends) or "%" in line.decode("ascii"):
        raise ProtocolViolation("a PROXY header of one family with addresses of another")
    source, target = (Endpoint(str(end), port) for end, port in zip(ends, ports, strict=True))
    return Header(1, source, target)


def _port(text: str) -> int:
    number = int(text) if text.isdigit() and len(text) <= 5 else -1
    if number < 0 or str(number) != text or number > 65535:
        raise ValueError("not a port")
    return number


def decode_v2(start: bytes, body: bytes) -> Header:
    """A header of version 2 from its first 16 bytes and its *body*."""
    command, combination = start[12], start[13]
    family, transport = combination >> 4, combination & 0x0F
    if command not in {_LOCAL, _PROXY} or family > 3 or transport > 2:
        raise ProtocolViolation("malformed PROXY header of version 2")
    if command == _LOCAL:
        # Its body is skipped whatever it holds (section 2.2).
        return Header(2)
    size = _ADDRESS_BYTES[family]
    if len(body) < size:
        raise ProtocolViolation("a PROXY header that is shorter than its addresses")
    tlvs = tuple(_tlvs(body[size:]))
    _verify(start + body, tlvs)
    others = tuple(tlv for tlv in tlvs if tlv[0] != CRC32C)
    # Datagrams and unspecified families are taken as if nothing was said (section 2.2).
    source, target = _addresses(combination, body[:size])
    return Header(2, source, target, others)


def _addresses(combination: int, data: bytes) -> tuple[Endpoint | None, Endpoint | None]:
    if combination == _UNIX:
        paths = data[:_PATH_BYTES], data[_PATH_BYTES:]
        texts = [path.partition(b"\0")[0].decode("utf-8", "surrogateescape") for path in paths]
        return Endpoint(texts[0]), Endpoint(texts[1])
    if combination not in {_TCP4, _TCP6}:
        return None, None
    width = 4 if combination == _TCP4 else 16
    hosts = [str(ip_address(data[place : place + width])) for place in (0, width)]
    ports = [int.from_bytes(data[place : place + 2], "big") for place in (2 * width, 2 * width + 2)]
    return Endpoint(hosts[0], ports[0]), Endpoint(hosts[1], ports[1])


def _tlvs(data: bytes) -> list[TLV]:
    found = []
    while data:
        size = int.from_bytes(data[1:3], "big")
        if len(data) < 3 + size:
            raise ProtocolViolation("a PROXY header with a truncated extension")
        found.append((data[0], data[3 : 3 + size]))
        data = data[3 + size :]
    return found


def _verify(header: bytes, tlvs: tuple[TLV, ...]) -> None:
    """Check the checksum, where there is one (section 2.2.3)."""
    place = len(header)
    for kind, value in reversed(tlvs):
        place -= len(value)
        if kind == CRC32C:
            blank = header[:place] + bytes(len(value)) + header[place + len(value) :]
            if len(value) != 4 or crc32c(blank) != int.from_bytes(value, "big"):
                raise ProtocolViolation("a PROXY header with a wrong checksum")
        place -= 3


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            # The Castagnoli polynomial, bits reversed (RFC 9260 appendix A).
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC_TABLE: Final = _crc_table()


def crc32c(data: bytes) -> int:
    """CRC-32C of *data* (RFC 9260 appendix A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
