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


def to_socket(transport: ITransport, reactor: IReactorSocket) -> tuple[socket.socket, Protocol]:
    """A socket joined to *transport*, and the protocol the transport must be given."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    far = _Pipe()
    near = _Pipe()
    far.other, near.other = near, far
    reactor.adoptStreamConnection(theirs.fileno(), socket.AF_UNIX, _One(near))
    theirs.close()
    far.makeConnection(transport)  # type: ignore[no-untyped-call]
    return ours, far


class _One(ServerFactory):
    """A factory for the one protocol of an adopted connection."""

    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """The protocol."""
        return self._protocol


@implementer(interfaces.IHalfCloseableProtocol)
class _Pipe(Protocol):
    """Copies what arrives to the other pipe's transport, with back-pressure and half-close."""

    other: _Pipe
    _ended = False

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
        transport: Any = self.other.transport
        if interfaces.IHalfCloseableDescriptor.providedBy(transport) or hasattr(
            transport, "loseWriteConnection"
        ):
            transport.loseWriteConnection()
        else:
            transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our side takes no more bytes; its own direction may go on."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Our side is gone altogether."""
        if not self._ended:
            self._ended = True
            other: Any = self.other.transport
            if other is not None:
                other.unregisterProducer()
                other.loseConnection()
