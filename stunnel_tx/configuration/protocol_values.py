"""Text to value, for the options of protocol negotiation."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from attrs import frozen

from stunnel_tx.configuration.protocols import BUILT_IN
from stunnel_tx.configuration.values import InvalidValue, quoted

if TYPE_CHECKING:
    from stunnel_tx.configuration.option import Context
    from stunnel_tx.configuration.protocols import Protocol

__all__ = [
    "UNIX_CLIENTS",
    "Network",
    "PermittedNetwork",
    "header_senders",
    "permitted_network",
    "protocol",
    "proxy_version",
]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNIX_CLIENTS = "unix"
"""The word of ``acceptProxy`` for clients on a UNIX socket."""

MAX_PORT = 65535

_VERSIONS = {"none": 0, "1": 1, "2": 2}


def protocol(given: str, context: Context) -> Protocol:
    """Read the name of a negotiation, in any case."""
    found = context.find_protocol(given.lower())
    if found is None:
        words = ", ".join(name for name, each in sorted(BUILT_IN.items()) if not each.unsupported)
        raise InvalidValue(
            "Protocol not supported",
            f"write one of {words}, or the name that a plugin defines, not {quoted(given)}",
        )
    return found


def proxy_version(given: str) -> int:
    """Read the version of the PROXY header to send; ``none`` is 0."""
    version = _VERSIONS.get(given.lower())
    if version is None:
        raise InvalidValue("Invalid version of the PROXY protocol", "write 1, 2 or none")
    return version


def header_senders(given: str) -> tuple[Network | str, ...]:
    """Read ``NETWORK,NETWORK,...``; :data:`UNIX_CLIENTS` is a network, too."""
    words = [word.strip() for word in given.split(",")]
    return tuple(UNIX_CLIENTS if word.lower() == UNIX_CLIENTS else _network(word) for word in words)


@frozen
class PermittedNetwork:
    """A network that clients may be connected to, and the ports in it (none: all)."""

    network: Network
    ports: tuple[range, ...] = ()


def permitted_network(given: str) -> tuple[PermittedNetwork, ...]:
    """Read ``NETWORK [PORT,FIRST-LAST,...]``, as in ``10.0.0.0/8 443,8000-8099``."""
    words = given.split()
    if not 1 <= len(words) <= 2:
        raise InvalidValue("Invalid network", "write NETWORK [PORT,PORT-PORT,...]")
    ports = tuple(_ports(word) for word in words[1].split(",")) if words[1:] else ()
    return (PermittedNetwork(_network(words[0]), ports),)


def _network(word: str) -> Network:
    try:
        return ipaddress.ip_network(word)
    except ValueError:
        pass
    try:
        meant = f"{ipaddress.ip_network(word, strict=False)}"
    except ValueError:
        meant = "an IP address, or a network such as 10.0.0.0/8 or 2001:db8::/32"
    raise InvalidValue(f"Invalid network {quoted(word)}", f"write {meant}")


def _ports(word: str) -> range:
    first, dash, last = word.partition("-")
    low = _port(first)
    high = _port(last) if dash else low
    if high < low:
        raise InvalidValue(f"Invalid ports {quoted(word)}", "write the lower port first")
    return range(low, high + 1)


def _port(word: str) -> int:
    if not (word.isascii() and word.isdigit()) or len(word) > 5 or not 0 < int(word) <= MAX_PORT:
        raise InvalidValue(f"Invalid port {quoted(word)}", f"write a number from 1 to {MAX_PORT}")
    return int(word)
