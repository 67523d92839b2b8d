"""The words of ``protocol``, and what the rules need to know of each.

What the protocols say is written in :mod:`stunnel_tx.negotiation.protocols`; here are only the
traits by which a configuration is judged, so that reading one loads no protocol.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

__all__ = ["BUILT_IN", "OPTIONS_IN_USE", "FindProtocol", "Protocol", "built_in"]


@frozen
class Protocol:
    """A negotiation as the configuration knows it.

    ``client`` and ``server`` tell whether it exists in that mode. The rest is about server
    mode: ``before_tls``, it is spoken with the client before TLS; ``connects_first``, its
    server is reached before TLS starts; ``chooses_destination``, its clients say where to go,
    so that no ``connect`` is needed. ``unsupported`` is the reason why the word is recognised
    and refused, if it is.
    """

    name: str
    client: bool = True
    server: bool = True
    before_tls: bool = True
    connects_first: bool = False
    chooses_destination: bool = False
    unsupported: str = ""

    def __str__(self) -> str:
        return self.name


FindProtocol = Callable[[str], Protocol | None]
"""From a word in lower case to the protocol it names, None for none."""

_CAPWIN = (
    "the CapWIN protocols are proprietary, carry a password in the clear on the local side, "
    "and belong to a product that is gone"
)


def _connecting_first(name: str) -> Protocol:
    return Protocol(name, connects_first=True)


BUILT_IN = {
    protocol.name: protocol
    for protocol in (
        Protocol("capwin", client=False, server=False, before_tls=False, unsupported=_CAPWIN),
        Protocol("capwinctrl", client=False, server=False, before_tls=False, unsupported=_CAPWIN),
        Protocol("cifs"),
        Protocol("connect", chooses_destination=True),
        _connecting_first("ftp"),
        _connecting_first("imap"),
        Protocol("irc"),
        Protocol("ldap"),
        _connecting_first("lmtp"),
        _connecting_first("mysql"),
        _connecting_first("nntp"),
        Protocol("pgsql"),
        _connecting_first("pop3"),
        Protocol("proxy", before_tls=False),
        _connecting_first("sieve"),
        _connecting_first("smtp"),
        Protocol("socks", before_tls=False, chooses_destination=True),
        Protocol("xmpp"),
        Protocol("xmpp-server"),
    )
}
"""The protocols of this program; those of stunnel are among them."""

_LOGIN = ("protocolUsername", "protocolPassword")

OPTIONS_IN_USE: dict[tuple[str, str], tuple[str, ...]] = {
    ("connect", "client"): (*_LOGIN, "protocolHost", "protocolAuthentication", "protocolHeader"),
    ("connect", "server"): _LOGIN,
    ("lmtp", "client"): (*_LOGIN, "protocolHost", "protocolAuthentication"),
    ("smtp", "client"): (*_LOGIN, "protocolHost", "protocolAuthentication"),
    ("socks", "client"): (*_LOGIN, "protocolHost"),
    ("socks", "server"): _LOGIN,
    ("xmpp", "client"): ("protocolHost",),
    ("xmpp-server", "client"): ("protocolHost",),
}
"""The options around ``protocol`` that a protocol goes by in a mode; others have no effect."""


def built_in(name: str) -> Protocol | None:
    """Find one of the protocols of this program."""
    return BUILT_IN.get(name)
