"""Addresses of ``accept``, ``connect`` and their like: text to value, and nothing resolved.

Three forms: a :class:`HostPort`, a :class:`UnixPath`, and an :class:`EndpointString`, which
is left to Twisted's endpoint parsers.  The first ``:``-separated word decides whether a
value is an endpoint string.
"""

from __future__ import annotations

import ipaddress
import re

from attrs import frozen

from stunnel_tx.configuration.values import InvalidValue, quoted

__all__ = [
    "ENDPOINT_KINDS",
    "Address",
    "EndpointString",
    "HostPort",
    "UnixPath",
    "is_ip",
    "parse_address",
    "parse_host_port",
    "parse_local",
]

ENDPOINT_KINDS = frozenset({"tcp", "tcp6", "unix", "ssl", "tls", "systemd", "haproxy", "stdio"})
"""First words of the endpoint strings Twisted itself understands."""

UNIX_PATH_BYTES = 107
"""Longest path that fits ``sun_path`` with its closing zero (unix(7))."""

MAX_PORT = 65535

_SERVICE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+\-]*", re.ASCII)
_FORBIDDEN_IN_HOST = re.compile(r"[\s/\\;#\"'\[\]@,]")


@frozen
class HostPort:
    """A host (None: not given) and a port, a number or a service name; ``text`` as written."""

    host: str | None
    port: int | str
    text: str

    def __str__(self) -> str:
        return self.text


@frozen
class UnixPath:
    """A UNIX stream socket."""

    path: str

    def __str__(self) -> str:
        return self.path


@frozen
class EndpointString:
    """A Twisted endpoint description; ``kind`` is its first word."""

    kind: str
    text: str

    def __str__(self) -> str:
        return self.text


Address = HostPort | UnixPath | EndpointString


def parse_address(
    given: str, kinds: frozenset[str] = ENDPOINT_KINDS, *, passive: bool = False
) -> Address:
    """Read one address; ``passive`` ones (to listen on) may have port 0.

    :raises InvalidValue: when it is none of the three forms.
    """
    if not given:
        raise InvalidValue("The address is missing", "write [HOST:]PORT or /PATH")
    if given.startswith("/"):
        return _unix_path(given)
    kind, colon, _ = given.partition(":")
    if colon and kind in kinds:
        return EndpointString(kind, given)
    return parse_host_port(given, passive=passive)


def _unix_path(given: str) -> UnixPath:
    size = len(given.encode("utf-8", "surrogateescape"))
    if size > UNIX_PATH_BYTES:
        raise InvalidValue(
            f"The path is {size} bytes long", f"a socket's path has at most {UNIX_PATH_BYTES}"
        )
    return UnixPath(given)


def parse_host_port(given: str, *, passive: bool = False) -> HostPort:
    """Read ``[HOST:]PORT``, split at the last colon; IPv6 with or without brackets."""
    if re.search(r"\s[;#]", given):
        raise InvalidValue(f"Invalid address {quoted(given)}", "a comment needs a line of its own")
    host, colon, port = given.rpartition(":")
    if given.endswith("]") or (not colon and _looks_like_host(given)):
        raise InvalidValue(f"The port is missing in {quoted(given)}", "write HOST:PORT")
    return HostPort(_host(host, given) if colon else None, _port(port, passive=passive), given)


def _looks_like_host(given: str) -> bool:
    return "." in given and not re.search(r"[\s/]", given)


def _port(given: str, *, passive: bool) -> int | str:
    if given.isascii() and given.isdigit():
        number = int(given) if len(given) <= 20 else MAX_PORT + 1
        if number > MAX_PORT or (number == 0 and not passive):
            low = 0 if passive else 1
            raise InvalidValue(
                f"Invalid port {quoted(given)}", f"a port is a number from {low} to {MAX_PORT}"
            )
        return number
    if not _SERVICE_NAME.fullmatch(given):
        raise InvalidValue(
            f"Invalid port {quoted(given)}", "write [HOST:]PORT with a number or a service name"
        )
    return given


def _host(given: str, whole: str) -> str | None:
    """Check a host; "" and ``*`` are no host at all, as getaddrinfo(3) of glibc takes them."""
    if given in {"", "*"}:
        return None
    bracketed = given.startswith("[") and given.endswith("]")
    host = given[1:-1] if bracketed else given
    if _FORBIDDEN_IN_HOST.search(host):
        raise InvalidValue(f"Invalid host name in {quoted(whole)}", "write HOST:PORT")
    if bracketed or ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise InvalidValue(
                f"Invalid IPv6 address in {quoted(whole)}", "write [ADDRESS]:PORT"
            ) from None
    return host


def parse_local(given: str) -> str:
    """Read ``local``: a host alone, the source address of outgoing connections."""
    host = given[1:-1] if given.startswith("[") and given.endswith("]") else given
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise InvalidValue(
                f"Invalid local address {quoted(given)}", "write a host without a port"
            ) from None
    elif not host or _FORBIDDEN_IN_HOST.search(host):
        raise InvalidValue(f"Invalid local address {quoted(given)}", "write a host name or address")
    return host


def is_ip(text: str) -> bool:
    """True for an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
