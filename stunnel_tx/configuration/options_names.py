"""The options that tell services, protocols and identities apart by name."""

from __future__ import annotations

import re
from functools import partial

from stunnel_tx.configuration.option import Group, Option, Repeat
from stunnel_tx.configuration.values import InvalidValue, choice, one_text, quoted, yes_no

__all__ = ["NAME_OPTIONS", "protocol_names", "server_names"]

#: Bytes of one protocol name (RFC 7301 §3.1).
MAX_PROTOCOL_NAME = 255

_tls = partial(Option, group=Group.TLS)


def server_names(given: str) -> tuple[str, ...]:
    """Read one line of ``sni``; what it may say depends on the mode of the service."""
    return (given,)


def protocol_names(given: str) -> tuple[bytes, ...]:
    """Read protocol names, the best first, with commas, colons or blanks between them."""
    names = tuple(each.encode("utf-8", "surrogateescape") for each in re.split(r"[,:\s]+", given))
    if not all(names) or any(len(each) > MAX_PROTOCOL_NAME for each in names):
        raise InvalidValue(
            "Invalid list of protocol names",
            f"write names of 1 to {MAX_PROTOCOL_NAME} bytes like h2,http/1.1, not {quoted(given)}",
        )
    return names


NAME_OPTIONS = (
    _tls(
        *("alpn", "NAME[,NAME...]"),
        "application protocols (ALPN), the best first; a server turns clients away that offer"
        " others only",
        protocol_names,
        default=(),
        repeat=Repeat.LIST,
        beyond=True,
    ),
    _tls(
        *("clientIdentity", "FILE"),
        "certificate, chain and key to send where the server names their issuer; else cert is"
        " sent, or the first of these",
        one_text,
        default=(),
        repeat=Repeat.LIST,
        roles="C",
        beyond=True,
    ),
    _tls(
        *("requireALPN", "yes|no", "turn peers away that agree on none of the alpn names", yes_no),
        default=False,
        beyond=True,
    ),
    _tls(
        *("sni", "NAME|SERVICE:PATTERN"),
        "client: name to ask for, empty for none; server: names, *.example.org or *, for which"
        " this section takes over from SERVICE",
        server_names,
        default=(),
        repeat=Repeat.LIST,
    ),
    _tls(
        *("sniUnknown", "primary|refuse"),
        "name without a pattern: serve it here, or send the alert unrecognized_name unless the"
        " certificate here is for it",
        choice("primary", "refuse"),
        default="primary",
        roles="S",
        beyond=True,
    ),
)
