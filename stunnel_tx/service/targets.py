"""Outgoing connections through Twisted endpoint strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Factory, Protocol

from stunnel_tx.errors import PeerRefused, StunnelTxError
from stunnel_tx.telemetry import events
from stunnel_tx.tunnel.bridge import detach, to_socket

if TYPE_CHECKING:
    import socket

    from stunnel_tx.telemetry.log import Scope
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
        joint = _Joint(self._reactor)
        with task.limit("TIMEOUTconnect", connector.timeout):
            try:
                await task.fired(self._endpoint.connect(Factory.forProtocol(lambda: joint)))
            except StunnelTxError:
                raise
            except Exception as error:
                raise PeerRefused(str(error)) from error
        scope(events.CONNECTED, self)
        if joint.socket is None:
            raise PeerRefused("the endpoint connected without a transport")
        return joint.socket


class _Joint(Protocol):
    """Turns the transport it is given into a socket."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._bridge: Protocol | None = None
        self.socket: socket.socket | None = None

    def connectionMade(self) -> None:
        """Take the socket, or bridge the transport."""
        transport: Any = self.transport
        self.socket = detach(transport)
        if self.socket is None:
            self.socket, self._bridge = to_socket(transport, self._reactor)

    def dataReceived(self, data: bytes) -> None:
        """Bytes of a bridged transport."""
        if self._bridge is not None:
            self._bridge.dataReceived(data)

    def connectionLost(self, reason: Any = None) -> None:
        """The end of a bridged transport."""
        if self._bridge is not None and reason is not None:
            self._bridge.connectionLost(reason)
