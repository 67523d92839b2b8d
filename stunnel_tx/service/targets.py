"""Outgoing connections through Twisted endpoint strings.

The socket of a TCP endpoint gets the options of ``socket = r:...`` once it is connected, and is
bound to the address of ``local`` by the endpoint itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.protocol import Factory

from stunnel_tx.errors import OperatingError, PeerRefused, StunnelTxError
from stunnel_tx.service.endpoint_words import look_at_connecting
from stunnel_tx.service.endpoints import complaint
from stunnel_tx.telemetry import events
from stunnel_tx.tunnel.bridge import Handover, detach, to_socket
from stunnel_tx.tunnel.sockets import apply_options, is_inet

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from twisted.internet.interfaces import IStreamClientEndpoint

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tunnel.bridge import Pipe
    from stunnel_tx.tunnel.destination import Connector, SocketAddress
    from stunnel_tx.tunnel.task import Task

#: Kinds whose strings can name the address to connect from.
_BINDABLE: Final = frozenset({"tcp", "tls", "ssl"})

#: How a string of each kind is written.
_FORMS: Final = {
    "tcp": "tcp:HOST:PORT",
    "tls": "tls:HOST:PORT",
    "ssl": "ssl:HOST:PORT",
    "unix": "unix:/PATH",
}


def client_endpoint(
    description: str, reactor: Any, sources: Sequence[SocketAddress] = ()
) -> IStreamClientEndpoint:
    """The endpoint of a string such as ``tcp:host=h:port=1``, connecting from one of *sources*.

    Raises :class:`~stunnel_tx.errors.OperatingError` for one that cannot be used.
    """
    from twisted.internet.endpoints import clientFromString, quoteStringArgument

    kind, _, rest = description.partition(":")
    bound, whole = ":bindAddress=" in rest, description
    if sources and not bound and kind != "unix":
        if kind not in _BINDABLE:
            raise OperatingError(
                f"endpoint {description}: 'local' cannot be applied to it; remove the 'local' "
                "line, or name the source address in the string if its kind can"
            )
        # Twisted takes one address; as with stunnel, that of IPv4 if there is one.
        whole += f":bindAddress={quoteStringArgument(sources[0].address[0])}"
    try:
        look_at_connecting(description)
        endpoint: IStreamClientEndpoint = clientFromString(reactor, whole)
    except Exception as error:
        raise complaint(description, error, _FORMS.get(kind)) from error
    return endpoint


class EndpointTarget:
    """A ``connect`` value that is a client endpoint string; see :func:`client_endpoint`."""

    def __init__(
        self, description: str, reactor: Any, sources: Sequence[SocketAddress] = ()
    ) -> None:
        self._description = description
        self._reactor = reactor
        self._endpoint = client_endpoint(description, reactor, sources)

    def __str__(self) -> str:
        return self._description

    async def open(self, task: Task, connector: Connector, scope: Scope) -> socket.socket:
        """See :class:`stunnel_tx.tunnel.destination.Target`."""
        scope(events.CONNECTING, self)
        found: list[socket.socket] = []

        def take(transport: Any) -> Pipe | None:
            sock, bridge = detach(transport), None
            if sock is None:
                sock, bridge = to_socket(transport, self._reactor)
            found.append(sock)
            return bridge

        with task.limit("TIMEOUTconnect", connector.timeout):
            try:
                await task.fired(
                    self._endpoint.connect(Factory.forProtocol(lambda: Handover(take)))
                )
            except StunnelTxError:
                raise
            except Exception as error:
                raise PeerRefused(str(error)) from error
        scope(events.CONNECTED, self)
        if not found:
            raise PeerRefused("the endpoint connected without a transport")
        if is_inet(found[0].family):
            apply_options(found[0], connector.options, scope, "remote")
        return found[0]
