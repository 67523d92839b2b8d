"""Tests of taking sockets out of transports, and of bridging those that have none."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tunnel.bridge import detach, to_socket
from tests.doubles.private_reactor import PrivateReactor, open_descriptors


class Keeper(Protocol):
    """Remembers what happens to it; forwards to a bridge once there is one."""

    def __init__(self) -> None:
        self.lost = False
        self.bridge: Any = None

    def dataReceived(self, data: bytes) -> None:
        assert self.bridge is not None, data
        self.bridge.dataReceived(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True
        if self.bridge is not None:
            self.bridge.connectionLost(reason)


class BridgeTests(SynchronousTestCase):
    """Transports of a real reactor."""

    def setUp(self) -> None:
        self.before = open_descriptors()
        self.turner = PrivateReactor()
        self.reactor = self.turner.reactor
        self.own = open_descriptors() - self.before
        self.closing: list[socket.socket] = []

    def tearDown(self) -> None:
        for sock in self.closing:
            sock.close()
        for _ in range(200):
            if open_descriptors() - self.before <= self.own:
                break
            self.turner.turn(0.001)
        self.turner.close()
        self.assertEqual(open_descriptors(), self.before)

    def connected(self, *, wrapped: bool = False) -> tuple[Keeper, socket.socket]:
        """A protocol on a server's transport, and the client's socket."""
        made: list[Keeper] = []

        class Made(Factory):
            noisy = False

            def buildProtocol(self, _addr: object) -> Protocol:
                made.append(Keeper())
                return made[-1]

        factory: Any = WrappingFactory(Made()) if wrapped else Made()
        factory.noisy = False
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        client = socket.create_connection(("127.0.0.1", port.getHost().port))
        client.setblocking(False)
        self.closing.append(client)
        self.turner.until(lambda: made)
        port.stopListening()
        self.turner.turn()
        return made[-1], client

    def receive(self, sock: socket.socket, count: int) -> bytes:
        """*count* bytes, the reactor turning meanwhile; fewer when the input ends."""
        got = bytearray()

        def enough() -> bool:
            try:
                data = sock.recv(count - len(got))
            except BlockingIOError:
                return False
            got.extend(data)
            return not data or len(got) == count

        self.turner.until(enough)
        return bytes(got)

    def test_detached(self) -> None:
        """The socket of a plain transport is ours; the transport touches it no more."""
        keeper, client = self.connected()
        transport: Any = keeper.transport
        sock = detach(transport)
        assert sock is not None
        self.closing.append(sock)
        client.send(b"for us")
        self.turner.turn()
        self.assertEqual(sock.recv(10), b"for us")
        transport.loseConnection()
        client.close()
        for _ in range(5):
            self.turner.turn()
        self.assertFalse(keeper.lost)
        self.assertGreaterEqual(sock.fileno(), 0)

    def test_wrapped_is_not_detached(self) -> None:
        """A transport that belongs to another protocol keeps its socket."""
        keeper, _client = self.connected(wrapped=True)
        assert keeper.transport is not None
        self.assertIsInstance(keeper.transport, ProtocolWrapper)
        self.assertIsNone(detach(keeper.transport))
        keeper.transport.loseConnection()
        self.turner.until(lambda: keeper.lost)

    def bridged(self) -> tuple[Keeper, socket.socket, socket.socket]:
        """A wrapped protocol, our end of its bridge, and the client."""
        keeper, client = self.connected(wrapped=True)
        assert keeper.transport is not None
        ours, keeper.bridge = to_socket(keeper.transport, self.reactor)
        self.closing.append(ours)
        return keeper, ours, client

    def test_bytes_both_ways(self) -> None:
        """Bytes cross the bridge in both directions."""
        _, ours, client = self.bridged()
        client.send(b"to us")
        self.assertEqual(self.receive(ours, 5), b"to us")
        ours.send(b"to them")
        self.assertEqual(self.receive(client, 7), b"to them")

    def test_our_end(self) -> None:
        """When we close, everything we wrote still arrives, and then the end."""
        keeper, ours, client = self.bridged()
        data = bytes(range(256)) * 400
        sent = ours.send(data)
        ours.close()
        self.assertEqual(self.receive(client, sent), data[:sent])
        self.assertEqual(self.receive(client, 1), b"")
        self.turner.until(lambda: keeper.lost)

    def test_our_half_close(self) -> None:
        """The end of our direction reaches the client, whose answer still reaches us."""
        _, ours, client = self.bridged()
        ours.send(b"question")
        ours.shutdown(socket.SHUT_WR)
        self.assertEqual(self.receive(client, 100), b"question")
        client.send(b"answer")
        self.assertEqual(self.receive(ours, 6), b"answer")

    def test_their_end(self) -> None:
        """When the client goes, we get its last bytes and the end."""
        _, ours, client = self.bridged()
        client.send(b"last words")
        client.close()
        self.assertEqual(self.receive(ours, 100), b"last words")

    def test_back_pressure(self) -> None:
        """A reader that does not read stops the other side: memory is bounded."""
        for deaf in ("us", "them"):
            _, ours, client = self.bridged()
            talker = client if deaf == "us" else ours
            sent = quiet = 0
            while quiet < 20 and sent < 40_000_000:
                try:
                    sent += talker.send(bytes(65536))
                    quiet = 0
                except BlockingIOError:
                    quiet += 1
                self.turner.turn()
            self.assertLess(sent, 20_000_000, deaf)
            listener = ours if deaf == "us" else client
            self.assertEqual(len(self.receive(listener, sent)), sent)
