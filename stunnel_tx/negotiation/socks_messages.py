"""Messages of SOCKS 4, 4a and 5 (RFC 1928) as values: requests as they come, replies as they go."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from attrs import define

from stunnel_tx.errors import LimitExceeded, ProtocolViolation
from stunnel_tx.negotiation.destinations import canonical, host_text

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Endpoint, Peer

__all__ = [
    "CONNECT",
    "REPLIES",
    "RESOLVE",
    "Request",
    "address_bytes",
    "read_text",
    "read_v4",
    "read_v5",
    "reply",
]

CONNECT: Final = 0x01

#: Not in the RFC: Tor's extension, which wants a name's address and no connection.
RESOLVE: Final = 0xF0

IPV4: Final = 0x01
NAME: Final = 0x03
IPV6: Final = 0x04

#: Longest user id of SOCKS 4, which has no bound of its own, in bytes.
MAX_TEXT: Final = 255

SUCCEEDED: Final = 0
GENERAL_FAILURE: Final = 1
NOT_ALLOWED: Final = 2
NETWORK_UNREACHABLE: Final = 3
HOST_UNREACHABLE: Final = 4
REFUSED: Final = 5
TTL_EXPIRED: Final = 6
COMMAND_NOT_SUPPORTED: Final = 7
ADDRESS_TYPE_NOT_SUPPORTED: Final = 8

#: The words of RFC 1928 §6, by reply code.
REPLIES: Final = (
    "succeeded",
    "general SOCKS server failure",
    "connection not allowed by ruleset",
    "Network unreachable",
    "Host unreachable",
    "Connection refused",
    "TTL expired",
    "Command not supported",
    "Address type not supported",
)

_GRANTED: Final = 0x5A
_REJECTED: Final = 0x5B


@define
class Request:
    """What a client asks for; ``answered`` once it has its reply.

    ``problem`` is the reply code due at once, 0 for none; *host* is empty where it is not known.
    """

    version: int
    command: int
    host: str = ""
    port: int = 0
    problem: int = SUCCEEDED
    answered: bool = False


async def read_text(peer: Peer) -> bytes:
    """A text up to its NUL (SOCKS 4), of at most :data:`MAX_TEXT` bytes."""
    held = b""
    while True:
        seen = await peer.peek(MAX_TEXT + 1 - len(held))
        end = seen.find(b"\0")
        held += await peer.read_exactly(end + 1 if end >= 0 else len(seen))
        if end >= 0:
            return held[:-1]
        if len(held) > MAX_TEXT:
            raise LimitExceeded("SOCKS text length in bytes", MAX_TEXT)


async def read_v4(peer: Peer) -> Request:
    """A request of SOCKS 4 or 4a, its version byte already taken."""
    fixed = await peer.read_exactly(7)
    await read_text(peer)
    request = Request(4, fixed[0], port=int.from_bytes(fixed[1:3], "big"))
    address = fixed[3:]
    if address[:3] == bytes(3) and address[3]:
        # 4a: an impossible address says that a name follows.
        _name(request, await read_text(peer))
    else:
        request.host = str(IPv4Address(address))
    return request


async def read_v5(peer: Peer) -> Request:
    """A request of SOCKS 5 (RFC 1928 §4), after the methods."""
    version, command, _, kind = await peer.read_exactly(4)
    if version != 5:
        raise ProtocolViolation("SOCKS version changed between greeting and request")
    request = Request(5, command)
    if kind == NAME:
        size = (await peer.read_exactly(1))[0]
        _name(request, await peer.read_exactly(size))
    elif kind in {IPV4, IPV6}:
        request.host = str(ip_address(await peer.read_exactly(4 if kind == IPV4 else 16)))
    else:
        # Where the address ends is unknown, so nothing more can be read.
        request.problem = ADDRESS_TYPE_NOT_SUPPORTED
        return request
    request.port = int.from_bytes(await peer.read_exactly(2), "big")
    return request


def _name(request: Request, name: bytes) -> None:
    try:
        request.host = host_text(name)
    except ValueError:
        request.problem = HOST_UNREACHABLE


def reply(request: Request, code: int, bound: Endpoint | None = None) -> bytes:
    """The reply to *request* with a *code* of SOCKS 5, and the address we are bound to."""
    address, port = _numeric(bound)
    if request.version == 4:
        packed = address.packed if isinstance(address, IPv4Address) else bytes(4)
        result = _REJECTED if code else _GRANTED
        return bytes((0, result)) + port.to_bytes(2, "big") + packed
    kind = IPV4 if isinstance(address, IPv4Address) else IPV6
    return bytes((5, code, 0, kind)) + address.packed + port.to_bytes(2, "big")


def _numeric(bound: Endpoint | None) -> tuple[IPv4Address | IPv6Address, int]:
    try:
        return (canonical(bound.host), bound.port) if bound is not None else (IPv4Address(0), 0)
    except ValueError:
        return IPv4Address(0), 0


def address_bytes(host: str, port: int) -> bytes:
    """A destination as a request of SOCKS 5 has it: type, address, port (RFC 1928 §5)."""
    try:
        address = canonical(host)
    except ValueError:
        name = host.encode("ascii")
        where = bytes((NAME, len(name))) + name
    else:
        kind = IPV4 if isinstance(address, IPv4Address) else IPV6
        where = bytes((kind,)) + address.packed
    return where + port.to_bytes(2, "big")


_ADDRESS_LENGTHS: Final = {IPV4: 4, IPV6: 16}


async def read_reply(peer: Peer) -> int:
    """Take a whole reply of SOCKS 5 (RFC 1928 §6), a name in it included; its code."""
    version, code, _, kind = await peer.read_exactly(4)
    if version != 5:
        raise ProtocolViolation("the SOCKS server answered in another version")
    if kind == NAME:
        size = (await peer.read_exactly(1))[0]
    elif kind in _ADDRESS_LENGTHS:
        size = _ADDRESS_LENGTHS[kind]
    elif code:
        # A refusal ends the conversation anyway.
        return code
    else:
        raise ProtocolViolation("the SOCKS server bound to an address of unknown type")
    await peer.read_exactly(size + 2)
    return code
