"""Where a client may let us connect it to: a pure policy on resolved addresses.

The address that is judged is the one given to ``connect()``, never the name it came from; one
address has many spellings, so every IPv4 address hidden in an IPv6 one is judged as well.
"""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import TYPE_CHECKING, Final

from attrs import frozen

from stunnel_tx.errors import PeerRefused, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "DestinationPolicy",
    "Permit",
    "Unresolved",
    "canonical",
    "host_text",
    "split_host_port",
]

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

MAX_PORT: Final = 65535

#: Longest host name in bytes: the length field of SOCKS5 (RFC 1928 §5); DNS ends at 253.
MAX_NAME: Final = 255

# IPv6 ranges whose last 32 bits are an IPv4 address that the packets, or some translator on the
# way, end up at: v4-compatible (RFC 4291 §2.5.5.1), translated (RFC 2765 §2.1), NAT64
# (RFC 6052 §2.1) and its local-use range (RFC 8215).
_LAST_32_BITS: Final = tuple(
    IPv6Network(text) for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
_TRANSLATED_48: Final = IPv6Network("64:ff9b:1::/48")

#: Interface identifiers of ISATAP (RFC 5214 §6.1): the next 32 bits are an IPv4 address.
_ISATAP: Final = (0x00005EFE, 0x02005EFE)

#: "This network" (RFC 791 §3.2): Linux takes 0.0.0.0 for itself.
_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")
_BROADCAST: Final = IPv4Address("255.255.255.255")

#: Where clouds keep the credentials of a machine, outside the link-local range.
_METADATA: Final = frozenset(
    ip_address(text)
    for text in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)


class Unresolved(PeerRefused):
    """A name has no address, or none that can be used."""


def canonical(address: str | IPAddress) -> IPAddress:
    """*address*, with a v4-mapped one (RFC 4291 §2.5.5.2) as the IPv4 address it is.

    Raises ``ValueError`` for a text that is no numeric address.
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def _hidden(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that *address* may stand for."""
    value = int(address)
    if any(address in network for network in _LAST_32_BITS):
        yield IPv4Address(value & 0xFFFFFFFF)
    if address in _TRANSLATED_48:
        # RFC 6052 §2.2: 16 bits, an octet of zeros, 16 bits. Which of the two formats a network
        # uses is its own affair, so both meanings are judged.
        yield IPv4Address((value >> 64 & 0xFFFF) << 16 | (value >> 40 & 0xFFFF))
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if value >> 32 & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(value & 0xFFFFFFFF)


def _objection(address: IPAddress) -> str:
    """What *address* is, when nobody from outside has any business there; else empty."""
    if address.is_unspecified or (isinstance(address, IPv4Address) and address in _THIS_NETWORK):
        return "an unspecified address"
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast:
        return "a multicast address"
    if address == _BROADCAST:
        return "the broadcast address"
    if isinstance(address, IPv4Address) and address.is_reserved:
        return "a reserved address"
    if address in _METADATA:
        return "the metadata address of a cloud"
    return ""


@frozen
class Permit:
    """A network the operator lists, and the ports in it (none: all)."""

    network: IPNetwork
    ports: tuple[range, ...] = ()

    def covers(self, address: IPAddress, port: int) -> bool:
        """True for a canonical *address* and a *port* that are listed here."""
        return address in self.network and self.opens(port)

    def opens(self, port: int) -> bool:
        """True for a *port* that is listed here."""
        return not self.ports or any(port in ports for ports in self.ports)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > MAX_PORT:
        raise ValueError(f"{text[:20]!r} is no port number")
    return int(text)


@frozen
class DestinationPolicy:
    """Which destinations a client may choose.

    What a permit covers may be reached, whatever it is. Of the rest, addresses of this machine
    and those without a business outside their link are never reached; with ``only_listed``,
    nothing is.
    """

    permits: tuple[Permit, ...] = ()
    only_listed: bool = False

    def conceivable(self, host: str, port: int) -> bool:
        """False when *host*, a name or an address, cannot be on the list whatever it resolves to.

        Without ``only_listed`` everything can be had so far as this tells.
        """
        if not self.only_listed:
            return True
        try:
            address = canonical(host)
        except ValueError:
            return any(permit.opens(port) for permit in self.permits)
        return any(permit.covers(address, port) for permit in self.permits)

    def judge(self, address: str, port: int, is_own: Callable[[IPAddress], bool]) -> None:
        """Raise :class:`~stunnel_tx.errors.Rejected` unless *address* may be connected.

        *address* is numeric, as the resolver gave it; *is_own* tells whether an address belongs
        to this machine.
        """
        try:
            plain = canonical(address)
        except ValueError as error:
            raise Rejected("not an IP address") from error
        unscoped = IPv6Address(int(plain)) if isinstance(plain, IPv6Address) else plain
        if any(permit.covers(unscoped, port) for permit in self.permits):
            return
        if self.only_listed:
            raise Rejected("not listed")
        hidden = _hidden(unscoped) if isinstance(unscoped, IPv6Address) else ()
        for candidate in (unscoped, *hidden):
            objection = _objection(candidate)
            if not objection and is_own(candidate):
                objection = "an address of this machine"
            if objection:
                raise Rejected(objection)


def split_host_port(text: str) -> tuple[str, int]:
    """Split ``HOST:PORT``, IPv6 in brackets (RFC 3986 §3.2); the host without them.

    Raises ``ValueError`` for anything else: a missing or zero port, an empty or over-long
    host, characters that no host name has.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError("the port is missing")
    number = _port(port)
    if number == 0:
        raise ValueError("port 0 cannot be connected")
    if host.startswith("[") and host.endswith("]"):
        return str(IPv6Address(host[1:-1])), number
    if ":" in host:
        raise ValueError("an IPv6 address needs brackets")
    return host_text(host.encode("utf-8", "surrogateescape")), number


def host_text(name: bytes) -> str:
    """A host name or numeric address from the wire, as text for the resolver.

    Raises ``ValueError`` for one that is empty, too long, or not of visible ASCII characters
    without ``/``, ``@``, ``,`` and brackets: internationalised names come in their ASCII form.
    """
    if not name or len(name) > MAX_NAME:
        raise ValueError("the host name is empty or too long")
    if not all(0x21 <= byte <= 0x7E for byte in name) or set(name) & _NOT_IN_NAMES:
        raise ValueError("the host name has characters that no host name has")
    return name.decode("ascii")


_NOT_IN_NAMES: Final = frozenset(b"/\\@,[]\"'`<>(){}|;?#&=*")
