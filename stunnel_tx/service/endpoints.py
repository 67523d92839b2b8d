"""Which endpoint strings this installation understands, and listening through them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen
from twisted.internet.interfaces import IStreamServerEndpoint
from zope.interface import implementer

from stunnel_tx.configuration.addresses import ENDPOINT_KINDS
from stunnel_tx.errors import OperatingError
from stunnel_tx.service.endpoint_words import look_at_listening
from stunnel_tx.tunnel.sockets import apply_options, is_inet

if TYPE_CHECKING:
    import socket

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IListeningPort, IProtocolFactory

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tunnel.sockets import OptionSetting

_BALANCED: Final = "haproxy:"
_FUNCTION: Final = re.compile(r"^[\w.]+\(\) ")

#: How a string of each kind is written.
_FORMS: Final = {
    "tcp": "tcp:PORT:interface=ADDRESS",
    "tcp6": "tcp6:PORT:interface=ADDRESS",
    "unix": "unix:/PATH",
    "systemd": "systemd:domain=INET:index=0",
    "": "a kind of endpoint and a colon",
}


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


def complaint(description: str, error: Exception, form: str | None) -> OperatingError:
    """What the parser of *description* meant by *error*; *form* is how such a string is written."""
    # Names of Python functions help nobody who writes a configuration.
    reason = _FUNCTION.sub("", str(error)) or type(error).__name__
    remedy = "" if form is None else f"; write {form}"
    return OperatingError(f"endpoint {description}: {reason}{remedy}")


class NotPassed(OperatingError):
    """A ``systemd:`` string means a socket that the process was not started with."""


def server_endpoint(
    description: str, reactor: Any, options: tuple[OptionSetting, ...] = ()
) -> StringEndpoint:
    """The endpoint of a string such as ``systemd:domain=INET:index=0``.

    Where it :func:`has_header`, that of what comes after the first word. *options* are set on
    its socket as soon as it listens.

    Raises :class:`~stunnel_tx.errors.OperatingError` for one that cannot be used, and of its
    kinds NotPassed for a socket that is not there.
    """
    from twisted.internet.endpoints import serverFromString

    plain = description.removeprefix(_BALANCED)
    kind = plain.partition(":")[0]
    try:
        look_at_listening(plain)
        endpoint: IStreamServerEndpoint = serverFromString(reactor, plain)
    except LookupError as error:
        if kind != "systemd":
            raise complaint(description, error, _FORMS.get(kind)) from error
        raise NotPassed(
            f"endpoint {description}: systemd has passed no such socket; start the .socket unit "
            "that belongs to it, and let it start the service"
        ) from error
    except Exception as error:
        raise complaint(description, error, _FORMS.get(kind)) from error
    return StringEndpoint(description, options, endpoint)


@implementer(IStreamServerEndpoint)
@frozen
class StringEndpoint:
    """What a string describes; two with the same string can share a socket over a reload."""

    description: str
    options: tuple[OptionSetting, ...] = ()
    endpoint: IStreamServerEndpoint = field(default=None, eq=False)

    def __str__(self) -> str:
        return self.description

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; see the endpoint of the string."""
        return self.endpoint.listen(factory)

    def fit(self, sock: socket.socket, scope: Scope) -> None:
        """Give *sock*, which listens already, the options of ``socket = a:...``."""
        if is_inet(sock.family):
            apply_options(sock, self.options, scope, "accept")
