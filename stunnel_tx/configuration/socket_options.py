"""``socket = a|l|r:NAME=VALUE``: every socket option's name, type and default, as data.

The names are those of the system calls; they are compared with regard to case.  Nothing
here touches a socket: who applies an option looks the name up in :mod:`socket`.
"""

from __future__ import annotations

import difflib
import re
from typing import Literal, cast

from attrs import field, frozen

from stunnel_tx.configuration.values import InvalidValue, quoted

__all__ = [
    "BACKEND_SEND_BUFFER",
    "DEFAULT_SOCKET_OPTIONS",
    "SOCKET_OPTION_KINDS",
    "Side",
    "SocketOption",
    "SocketOptionKind",
    "merge_socket_options",
    "parse_socket_option",
]

Side = Literal["a", "l", "r"]
"""a: listening socket, l: accepted (local) socket, r: outgoing (remote) socket."""

SocketValue = bool | int | tuple[int, int] | str

BOUND_DEVICE_BYTES = 15
"""IFNAMSIZ - 1 of Linux."""

MAX_INT = 2**31 - 1
"""Socket options are C ints."""

_INTEGER = re.compile(r"-?[0-9]{1,10}", re.ASCII)
_PAIR = re.compile(r"([0-9]{1,10})(?::([0-9]{1,10}))?", re.ASCII)


@frozen
class SocketOption:
    """One option for one side.

    ``value`` is a bool for flags, an int, a pair ``(on, seconds)`` for SO_LINGER and
    ``(seconds, microseconds)`` for the two time-outs, or a str.
    """

    side: Side
    name: str
    value: SocketValue


@frozen(eq=False, repr=False)
class SocketOptionKind:
    """What is known of one option: the type of its value, and where it means something.

    ``elsewhere`` names the systems that have it when Linux does not.
    """

    name: str
    type: Literal["flag", "int", "linger", "timeval", "string"]
    tcp: bool = True
    udp: bool = True
    elsewhere: str = ""
    tcp_defaults: tuple[Side, ...] = field(default=())
    udp_defaults: tuple[Side, ...] = field(default=())


def _kinds() -> tuple[SocketOptionKind, ...]:
    kind = SocketOptionKind
    return (
        kind("SO_DEBUG", "flag"),
        kind("SO_DONTROUTE", "flag"),
        kind("SO_KEEPALIVE", "flag"),
        kind("SO_LINGER", "linger"),
        kind("SO_OOBINLINE", "flag"),
        kind("SO_RCVBUF", "int"),
        kind("SO_SNDBUF", "int"),
        kind("SO_RCVLOWAT", "int"),
        kind("SO_SNDLOWAT", "int"),
        kind("SO_RCVTIMEO", "timeval"),
        kind("SO_SNDTIMEO", "timeval"),
        kind("SO_REUSEADDR", "flag", tcp_defaults=("a",), udp_defaults=("a", "l")),
        kind("SO_EXCLUSIVEADDRUSE", "flag", elsewhere="Windows"),
        kind("SO_BINDTODEVICE", "string"),
        kind("TCP_KEEPCNT", "int", udp=False),
        kind("TCP_KEEPIDLE", "int", udp=False),
        kind("TCP_KEEPINTVL", "int", udp=False),
        kind("IP_TOS", "int"),
        kind("IP_TTL", "int"),
        kind("TCP_MAXSEG", "int", udp=False),
        kind("TCP_NODELAY", "flag", udp=False, tcp_defaults=("l", "r")),
        kind("IP_FREEBIND", "flag"),
        kind("IP_BINDANY", "flag", elsewhere="BSD"),
        kind("IPV6_BINDANY", "flag", elsewhere="BSD"),
        kind("IPV6_V6ONLY", "flag"),
        kind("UDP_CORK", "flag", tcp=False),
        kind("UDP_NO_CHECK6_TX", "flag", tcp=False),
        kind("UDP_NO_CHECK6_RX", "flag", tcp=False),
        kind("UDP_GRO", "flag", tcp=False),
        kind("UDP_ENCAP", "int", tcp=False),
        kind("UDP_SEGMENT", "int", tcp=False),
    )


SOCKET_OPTION_KINDS = {kind.name: kind for kind in _kinds()}

DEFAULT_SOCKET_OPTIONS = tuple(
    SocketOption(side, kind.name, value=True)
    for kind in SOCKET_OPTION_KINDS.values()
    for side in kind.tcp_defaults
)
"""What a TCP service sets without being told."""

BACKEND_SEND_BUFFER = 131072
"""SO_SNDBUF of a plain remote socket, in bytes, where no ``socket = r:SO_SNDBUF`` says otherwise.

It is equal to one chunk of the relay. Larger ones cost cache misses, smaller ones wake-ups.
"""


def parse_socket_option(given: str) -> tuple[SocketOption, ...]:
    """Read one socket option.

    :raises InvalidValue: for an unknown side or name, or a value of the wrong type.
    """
    side, colon, assignment = given.partition(":")
    name, equals, value = assignment.partition("=")
    if side.strip() not in {"a", "l", "r"} or not colon or not equals:
        raise InvalidValue("Illegal socket option", f"write a|l|r:NAME=VALUE, not {quoted(given)}")
    kind = _kind(name.strip())
    return (SocketOption(cast("Side", side.strip()), kind.name, _value(kind, value.strip())),)


def _kind(name: str) -> SocketOptionKind:
    kind = SOCKET_OPTION_KINDS.get(name)
    if kind is None:
        close = difflib.get_close_matches(name.upper(), SOCKET_OPTION_KINDS, n=1)
        hint = f"did you mean {close[0]}?" if close else "see the list printed by -sockets"
        raise InvalidValue(f"Illegal socket option {quoted(name)}", hint)
    if kind.elsewhere:
        raise InvalidValue(
            f"Illegal socket option: {name} exists on {kind.elsewhere} only", "remove the line"
        )
    return kind


def _value(kind: SocketOptionKind, given: str) -> SocketValue:
    if kind.type == "flag":
        flags: dict[str, SocketValue] = {"yes": True, "1": True, "no": False, "0": False}
        return _among(flags, kind, given)
    if kind.type == "int":
        if not _INTEGER.fullmatch(given) or abs(int(given)) > MAX_INT:
            raise _wrong_type(kind, given, "a whole number")
        return int(given)
    if kind.type == "string":
        size = len(given.encode("utf-8", "surrogateescape"))
        if not 0 < size <= BOUND_DEVICE_BYTES:
            raise _wrong_type(kind, given, f"a name of 1 to {BOUND_DEVICE_BYTES} bytes")
        return given
    pair = _PAIR.fullmatch(given)
    if pair is None or int(pair[1]) > MAX_INT or int(pair[2] or 0) > MAX_INT:
        form = "ON:SECONDS" if kind.type == "linger" else "SECONDS:MICROSECONDS"
        raise _wrong_type(kind, given, form)
    return int(pair[1]), int(pair[2] or 0)


def _among(allowed: dict[str, SocketValue], kind: SocketOptionKind, given: str) -> SocketValue:
    try:
        return allowed[given.lower()]
    except KeyError:
        raise _wrong_type(kind, given, "yes, no, 1 or 0") from None


def _wrong_type(kind: SocketOptionKind, given: str, expected: str) -> InvalidValue:
    return InvalidValue(
        "Illegal socket option", f"{kind.name} takes {expected}, not {quoted(given)}"
    )


def merge_socket_options(
    older: tuple[SocketOption, ...], newer: tuple[SocketOption, ...]
) -> tuple[SocketOption, ...]:
    """Join two sets; for the same side and name the newer entry stands."""
    merged = {(option.side, option.name): option for option in older}
    merged.update({(option.side, option.name): option for option in newer})
    return tuple(merged.values())
