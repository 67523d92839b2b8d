"""Which endpoint strings this installation understands, and listening through them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from stunnel_tx.configuration.addresses import ENDPOINT_KINDS
from stunnel_tx.errors import OperatingError

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamServerEndpoint

_BALANCED: Final = "haproxy:"


@cache
def plugin_kinds() -> frozenset[str]:
    """First words of the endpoint strings that Twisted plugins add."""
    from twisted.internet import interfaces
    from twisted.plugin import getPlugins

    wanted = (
        interfaces.IStreamServerEndpointStringParser,
        interfaces.IStreamClientEndpointStringParserWithReactor,
    )
    found: list[Any] = [plugin for kind in wanted for plugin in getPlugins(kind)]
    return frozenset(plugin.prefix for plugin in found)


class EndpointKinds(frozenset[str]):
    """The kinds of Twisted itself, and, only when another word is met, those of plugins.

    Looking for plugins takes longer than the rest of a start.
    """

    def __contains__(self, word: object) -> bool:
        if super().__contains__(word):
            return True
        if not isinstance(word, str) or not word.isalpha() or word == "localhost":
            return False
        return word in plugin_kinds()


def endpoint_kinds() -> EndpointKinds:
    """All kinds that can stand in ``accept`` and ``connect``."""
    return EndpointKinds(ENDPOINT_KINDS)


def has_header(description: str) -> bool:
    """True for an endpoint string that begins with ``haproxy:``, a word that is read here.

    Twisted's own endpoint of that name makes a transport which tells the client's address only
    with the first byte after the header. Headers are taken by the tunnel instead, in bounded time.
    """
    return description.startswith(_BALANCED)


def server_endpoint(description: str, reactor: Any) -> IStreamServerEndpoint:
    """The endpoint of a string such as ``systemd:domain=INET:index=0``.

    Where it :func:`has_header`, that of what comes after the first word.

    Raises :class:`~stunnel_tx.errors.OperatingError` for one that cannot be used.
    """
    from twisted.internet.endpoints import serverFromString

    try:
        endpoint: IStreamServerEndpoint = serverFromString(
            reactor, description.removeprefix(_BALANCED)
        )
    except Exception as error:
        raise OperatingError(f"endpoint {description}: {error}") from error
    return endpoint
