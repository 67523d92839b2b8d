"""The service options of protocol negotiation."""

from __future__ import annotations

from functools import partial

from stunnel_tx.configuration.option import Group, Ignored, Option, Repeat
from stunnel_tx.configuration.protocol_values import (
    header_senders,
    permitted_network,
    protocol,
    proxy_version,
)
from stunnel_tx.configuration.values import one_text, text

__all__ = ["PROTOCOL_OPTIONS"]

_option = partial(Option, group=Group.PROTOCOL)

PROTOCOL_OPTIONS = (
    _option(
        *("acceptProxy", "NETWORK,...|unix", "peers that send a PROXY header first; no others may"),
        header_senders,
        default=(),
        repeat=Repeat.LIST,
        beyond=True,
    ),
    _option(
        *("protocol", "NAME", "protocol that agrees on TLS in its own words", protocol),
        contextual=True,
    ),
    _option(
        *("protocolAllow", "NETWORK [PORT,PORT-PORT,...]"),
        "where clients that choose (socks, connect) may go, beyond or instead of the default",
        permitted_network,
        default=(),
        repeat=Repeat.LIST,
        roles="S",
        beyond=True,
    ),
    _option(
        *("protocolAuthentication", "basic|plain|login", "how to log in to the peer", text),
        default="basic",
        roles="C",
    ),
    _option(
        *("protocolDomain", "TEXT", "domain of the user, for NTLM", text),
        roles="C",
        support=Ignored("only NTLM has domains, and NTLM is not available"),
    ),
    _option(
        *("protocolHeader", "NAME: VALUE", "further header line of a CONNECT request", one_text),
        default=(),
        repeat=Repeat.LIST,
        roles="C",
    ),
    _option(
        *("protocolHost", "HOST[:PORT]", "name or address to ask the peer for", text), roles="C"
    ),
    _option("protocolPassword", "TEXT", "password to log in with, or that clients need", text),
    _option("protocolUsername", "TEXT", "user to log in as, or that clients need", text),
    _option(
        *("sendProxy", "1|2|none", "PROXY header to send to the other side", proxy_version),
        default=0,
        beyond=True,
    ),
)
