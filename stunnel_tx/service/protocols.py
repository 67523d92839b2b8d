"""The words of ``protocol``: our own protocols, and those of plugins when another word is met."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from stunnel_tx.configuration.protocols import Protocol, built_in
from stunnel_tx.errors import OperatingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stunnel_tx.negotiation.stages import Negotiation

__all__ = ["find_negotiation", "find_protocol", "traits_of"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def find_protocol(name: str) -> Protocol | None:
    """What the configuration has to know of the protocol called *name*; None for no protocol.

    Raises :class:`~stunnel_tx.errors.OperatingError` when plugins are looked for and one of
    them cannot be used.
    """
    known = built_in(name)
    if known is not None:
        return known
    plugin = _plugins().get(name)
    return None if plugin is None else traits_of(plugin)


def find_negotiation(name: str) -> Negotiation:
    """The protocol that :func:`find_protocol` knows as *name*."""
    from stunnel_tx.negotiation.registry import find_built_in

    found = find_built_in(name) or _plugins().get(name)
    if found is None:
        raise OperatingError(f"protocol = {name}: there is no such protocol")
    return found


def traits_of(negotiation: Negotiation) -> Protocol:
    """What the configuration has to know of *negotiation*."""
    server = negotiation.server
    early = server is not None and (server.early is not None or server.connects_first)
    return Protocol(
        negotiation.name,
        client=negotiation.client is not None,
        server=server is not None,
        before_tls=early,
        connects_first=server is not None and server.connects_first,
        chooses_destination=server is not None and server.chooses_destination,
    )


@cache
def _plugins() -> Mapping[str, Negotiation]:
    """The protocols of plugins, by name.

    Found once, the first time they are asked for: the process may change its root afterwards.
    """
    from twisted.plugin import getPlugins

    from stunnel_tx import plugins
    from stunnel_tx.interfaces import INegotiation

    found: dict[str, Negotiation] = {}
    for plugin in getPlugins(INegotiation, plugins):
        negotiation = _checked(plugin)
        if negotiation.name in found or built_in(negotiation.name) is not None:
            raise OperatingError(f"two protocols are called {negotiation.name}")
        found[negotiation.name] = negotiation
    return found


def _checked(plugin: Any) -> Negotiation:
    """The record of a *plugin*, which provides INegotiation by its own account."""
    from zope.interface.exceptions import Invalid
    from zope.interface.verify import verifyObject

    from stunnel_tx.interfaces import INegotiation
    from stunnel_tx.negotiation.stages import Negotiation

    try:
        verifyObject(INegotiation, plugin)
    except Invalid as error:
        raise OperatingError(f"a protocol plugin cannot be used: {error}") from error
    if not isinstance(plugin.name, str) or not _NAME.fullmatch(plugin.name):
        raise OperatingError(f"a protocol plugin has the name {plugin.name!r:.80}")
    return Negotiation(
        plugin.name, plugin.client, plugin.server, plugin.specification, tuple(plugin.alpn)
    )
