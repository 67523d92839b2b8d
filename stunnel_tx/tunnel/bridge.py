"""From a Twisted transport to a socket that a tunnel owns.

A transport over a real stream socket gives its socket up and is left inert. Any other transport
(a process, standard input and output, one wrapped by another protocol) keeps running and is joined
to a socket pair, so that there is one relay for everything.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, cast

from twisted.internet import interfaces, tcp, unix
from twisted.internet.protocol import Protocol, ServerFactory
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress, IReactorSocket, ITransport
    from twisted.python.failure import Failure

#: The kinds of transport whose socket can be taken, and no subclass of theirs: a subclass may
#: have state of its own (TLS, for one).
_DETACHABLE = (tcp.Server, tcp.Client, unix.Server, unix.Client)


def detach(transport: ITransport) -> socket.socket | None:
    """Take the socket out of *transport*, which forgets it; None when that cannot be done."""
    if type(transport) not in _DETACHABLE:
        return None
    connection = cast("tcp.Connection", transport)
    connection.stopReading()
    connection.stopWriting()
    # The transport must neither close the socket nor hear of its end.
    connection.connected = False
    connection.disconnected = True
    return connection.socket


def to_socket(transport: ITransport, reactor: IReactorSocket) -> tuple[socket.socket, Pipe]:
    """A socket joined to *transport*, and the protocol the transport must be given."""
    one, theirs = socket.socketpair()
    far = Pipe()
    near = Pipe()
    far.other, near.other = near, far
    ours = _BridgeEnd(fileno=one.detach())
    ours.on_close = near.abandoned
    for end in (ours, theirs):
        end.setblocking(False)
    reactor.adoptStreamConnection(theirs.fileno(), socket.AF_UNIX, _One(near))
    theirs.close()
    far.makeConnection(transport)  # type: ignore[no-untyped-call]
    return ours, far


class _BridgeEnd(socket.socket):
    """Our end of the socket pair; says when it is closed.

    To the far end of a UNIX socket a close looks the same as a half-close.
    """

    on_close: Callable[[], None] | None = None

    def close(self) -> None:
        """Close, and say so once."""
        super().close()
        on_close, self.on_close = self.on_close, None
        if on_close is not None:
            on_close()


class _One(ServerFactory):
    """A factory for the one protocol of an adopted connection."""

    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """The protocol."""
        return self._protocol


@implementer(interfaces.IHalfCloseableProtocol)
class Pipe(Protocol):
    """Copies what arrives to the other pipe's transport, with back-pressure and half-close."""

    other: Pipe
    #: The transport is gone.
    ended = False
    #: The transport has given its last byte.
    _read = False
    #: Nobody will read what could still come from the other transport.
    _abandoned = False

    def connectionMade(self) -> None:
        """Join the two transports once both are there."""
        if self.other.transport is not None:
            for one in (self, self.other):
                transport: Any = one.transport
                producer: Any = one.other.transport
                if interfaces.IPushProducer.providedBy(producer):
                    transport.registerProducer(producer, True)

    def dataReceived(self, data: bytes) -> None:
        """Pass on."""
        cast("ITransport", self.other.transport).write(data)

    def readConnectionLost(self) -> None:
        """Our side has sent its last byte: say so on the other."""
        self._read = True
        transport: Any = self.other.transport
        if self.other.ended or transport is None:
            return
        if self._abandoned:
            self._end_other()
        elif interfaces.IHalfCloseableDescriptor.providedBy(transport) or hasattr(
            transport, "loseWriteConnection"
        ):
            transport.loseWriteConnection()
        else:
            transport.loseConnection()

    def abandoned(self) -> None:
        """The end of the socket pair that is not ours was closed altogether."""
        self._abandoned = True
        if self._read and not self.other.ended:
            self._end_other()

    def _end_other(self) -> None:
        other: Any = self.other.transport
        if other is not None:
            other.unregisterProducer()
            other.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our side takes no more bytes; its own direction may go on."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Our side is gone altogether."""
        if not self.ended:
            self.ended = True
            self._end_other()


@implementer(interfaces.IHalfCloseableProtocol)
class Handover(Protocol):
    """The protocol of a transport that is given away as soon as it is connected.

    *take* gets the transport and answers with what its events are for from then on: the bridge
    it was joined to, or None when its socket was taken out.
    """

    def __init__(self, take: Callable[[Any], Pipe | None]) -> None:
        self._take = take
        self._bridge: Pipe | None = None

    def connectionMade(self) -> None:
        """Give the transport away."""
        self._bridge = self._take(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """Bytes of a bridged transport."""
        if self._bridge is not None:
            self._bridge.dataReceived(data)

    def readConnectionLost(self) -> None:
        """The end of input of a bridged transport."""
        if self._bridge is not None:
            self._bridge.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """A bridged transport takes no more."""
        if self._bridge is not None:
            self._bridge.writeConnectionLost()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The end of a bridged transport."""
        if self._bridge is not None:
            self._bridge.connectionLost(reason)
