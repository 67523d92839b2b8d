"""The service options of protocol negotiation, and which protocol has which mode."""

from __future__ import annotations

from functools import partial

from stunnel_tx.configuration.option import Group, NotYet, Option, Repeat
from stunnel_tx.configuration.values import one_text, protocol_name, text

__all__ = ["CLIENT_ONLY", "CONNECTS_FIRST", "OWN_ENDPOINT", "PROTOCOL_OPTIONS", "SERVER_ONLY"]

CLIENT_ONLY = frozenset({"capwinctrl", "ldap", "nntp"})
SERVER_ONLY = frozenset({"proxy"})

CONNECTS_FIRST = frozenset({"imap", "pop3", "smtp"})
"""Server-mode protocols that reach the back end before TLS starts."""

OWN_ENDPOINT = frozenset({("socks", False), ("capwinctrl", True)})
"""(protocol, client mode) pairs that find the remote side themselves, without ``connect``."""

_option = partial(Option, group=Group.PROTOCOL, support=NotYet("protocol negotiation"))

PROTOCOL_OPTIONS = (
    _option("protocol", "NAME", "protocol that agrees on TLS in its own words", protocol_name),
    _option(
        *("protocolAuthentication", "basic|ntlm|plain|login", "how to log in to the peer", text),
        default="basic",
        roles="C",
    ),
    _option("protocolDomain", "TEXT", "domain of the user, for NTLM", text, roles="C"),
    _option(
        *("protocolHeader", "NAME: VALUE", "further header line of a CONNECT request", one_text),
        default=(),
        repeat=Repeat.LIST,
        roles="C",
    ),
    _option("protocolHost", "HOST[:PORT]", "name or address to ask the peer for", text),
    _option("protocolPassword", "TEXT", "password to log in with", text, roles="C"),
    _option("protocolUsername", "TEXT", "user to log in as", text, roles="C"),
)
