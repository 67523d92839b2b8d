"""Outgoing connections through Twisted endpoint strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Factory

from stunnel_tx.errors import PeerRefused, StunnelTxError
from stunnel_tx.telemetry import events
from stunnel_tx.tunnel.bridge import Handover, detach, to_socket

if TYPE_CHECKING:
    import socket

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tunnel.bridge import Pipe
    from stunnel_tx.tunnel.destination import Connector
    from stunnel_tx.tunnel.task import Task


class EndpointTarget:
    """A ``connect`` value that is a client endpoint string, such as ``tcp:host=h:port=1``.

    Raises ``ValueError`` (and what the endpoint's parser raises) for one that is malformed.
    """

    def __init__(self, description: str, reactor: Any) -> None:
        from twisted.internet.endpoints import clientFromString

        self._description = description
        self._reactor = reactor
        self._endpoint = clientFromString(reactor, description)

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
        return found[0]
