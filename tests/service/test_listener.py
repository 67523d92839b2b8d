"""Tests of listeners: accepting, running out of descriptors, closing."""

from __future__ import annotations

import os
import resource
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.service.listener import BATCH, PAUSE, Listener
from stunnel_tx.service.sockets import SocketEndpoint
from stunnel_tx.tunnel.destination import SocketAddress
from stunnel_tx.tunnel.sockets import address_text
from tests.doubles.polling import PATIENCE
from tests.doubles.private_reactor import PrivateReactor
from tests.doubles.tunnels import TunnelRig

LOOPBACK = SocketEndpoint(SocketAddress(2, ("127.0.0.1", 0)))


class FailingSocket:
    """A listening socket whose accept fails in a given way."""

    def __init__(self, real: socket.socket, error: OSError) -> None:
        self._real = real
        self._error = error
        self.tries = 0

    def accept(self) -> None:
        """Fail."""
        self.tries += 1
        raise self._error

    def fileno(self) -> int:
        """The real one's."""
        return self._real.fileno()

    def getsockname(self) -> Any:
        """The real one's."""
        return self._real.getsockname()


class ListenerTests(SynchronousTestCase):
    """A listener on a polled loop."""

    def setUp(self) -> None:
        self.rig = TunnelRig()
        self.addCleanup(self.rig.close)
        self.limit = 1000
        self.listener = self.opened(LOOPBACK)
        self.listener.start()

    def opened(self, endpoint: Any) -> Listener:
        """A listener, open, and closed at the end of the test."""
        made = Listener(self.rig.runtime, endpoint, self.rig.policy, lambda: self.limit)
        self.successResultOf(made.open())
        self.addCleanup(made.close)
        return made

    def dial(self) -> socket.socket:
        """A connection to the listener."""
        host, _, port = self.listener.where().rpartition(":")
        sock = socket.create_connection((host, int(port)))
        self.rig.open.append(sock)
        return sock

    def test_accepts(self) -> None:
        """Each connection becomes a tunnel, named after its peer."""
        for _ in range(3):
            self.dial()
        self.rig.loop.settle()
        self.assertEqual(len(self.rig.runtime.tunnels), 3)
        peers = {tunnel.peer for tunnel in self.rig.runtime.tunnels}
        local = {address_text(sock.getsockname()) for sock in self.rig.open[-3:]}
        self.assertEqual(peers, local)

    def test_batches(self) -> None:
        """A crowd is taken in batches, so that others get their turn."""
        crowd = BATCH + 10
        for _ in range(crowd):
            self.dial()
        before = 0
        while before < crowd:
            self.assertTrue(self.rig.loop.turn(PATIENCE), "the queue is not empty yet")
            taken = len(self.rig.runtime.tunnels) - before
            self.assertTrue(1 <= taken <= BATCH, taken)
            before += taken

    def test_out_of_descriptors(self) -> None:
        """Without descriptors accepting pauses for a second, and then goes on by itself."""
        self.dial()
        probe = os.dup(self.listener.fd)
        os.close(probe)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
        try:
            for _ in range(3):
                self.rig.loop.turn(PATIENCE)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        where = self.listener.where()
        wanted = [
            f"accept on {where}: Too many open files",
            "Accepting new connections suspended for 1 second",
        ]
        self.assertEqual(self.rig.log.texts, wanted)
        self.rig.loop.settle()
        self.assertEqual(len(self.rig.runtime.tunnels), 0)
        self.rig.clock.advance(PAUSE + 0.5)
        self.rig.loop.settle()
        self.assertEqual(len(self.rig.runtime.tunnels), 1)
        self.assertIn("Accepting new connections resumed", self.rig.log.texts)

    def test_start_while_suspended(self) -> None:
        """A reload in the pause does not end it early; closing in the pause is final."""
        real = self.listener._socket
        assert real is not None
        for number in (24, 23, 105, 12):
            failing = FailingSocket(real, OSError(number, os.strerror(number)))
            self.listener._socket = failing  # type: ignore[assignment]
            self.dial()
            self.rig.loop.turn(PATIENCE)
            self.listener.start()
            self.rig.loop.settle()
            self.assertEqual(failing.tries, 1, number)
            self.listener._socket = real
            self.rig.clock.advance(PAUSE + 0.5)
            self.rig.loop.settle()
        self.listener._socket = FailingSocket(real, OSError(24, "full"))  # type: ignore[assignment]
        self.dial()
        self.rig.loop.turn(PATIENCE)
        self.listener.close()
        self.rig.clock.advance(PAUSE + 0.5)
        self.assertEqual(self.rig.log.texts.count("Accepting new connections resumed"), 4)

    def test_connection_that_is_gone(self) -> None:
        """A connection that went away before it was accepted is no news."""
        real = self.listener._socket
        assert real is not None
        self.listener._socket = FailingSocket(real, OSError(103, "aborted"))  # type: ignore[assignment]
        self.dial()
        self.rig.loop.turn(PATIENCE)
        self.listener._socket = real
        self.rig.loop.settle()
        self.assertEqual(len(self.rig.runtime.tunnels), 1)
        self.assertNotIn("accept on", " ".join(self.rig.log.texts))

    def test_limit(self) -> None:
        """Beyond the limit connections are closed at once, with a warning each."""
        self.limit = 2
        dialled = [self.dial() for _ in range(4)]
        self.rig.loop.settle()
        self.assertEqual(len(self.rig.runtime.tunnels), 2)
        self.assertEqual(self.rig.runtime.counters.refused_by_limit, 2)
        self.assertEqual([sock.recv(1) for sock in dialled[2:]], [b"", b""])
        text = "Connection rejected: too many clients (>=2)"
        self.assertEqual(self.rig.log.texts.count(text), 2)

    def test_close(self) -> None:
        """A closed listener refuses, watches nothing, and can be closed again."""
        where = self.listener.where()
        self.listener.close()
        self.listener.close()
        self.assertEqual((self.rig.loop.interest, self.listener.fd), ({}, -1))
        with socket.socket() as sock:
            host, _, port = where.rpartition(":")
            self.assertEqual(sock.connect_ex((host, int(port))), 111)

    def test_policy_of_the_moment(self) -> None:
        """A connection gets the policy in force when it is accepted."""
        self.dial()
        self.rig.loop.settle()
        other = TunnelRig()
        self.addCleanup(other.close)
        self.listener.policy = other.policy
        self.dial()
        self.rig.loop.settle()
        policies = {id(tunnel.policy) for tunnel in self.rig.runtime.tunnels}
        self.assertEqual(policies, {id(self.rig.policy), id(other.policy)})


class EndpointTests(ListenerTests):
    """The same on a port of Twisted's, whose socket is taken over."""

    def setUp(self) -> None:
        self.turner = PrivateReactor()
        self.addCleanup(self.turner.close)
        super().setUp()

    def opened(self, endpoint: Any) -> Listener:
        """As above, on Twisted's endpoint."""
        theirs = TCP4ServerEndpoint(self.turner.reactor, 0, interface="127.0.0.1")
        return super().opened(theirs)

    def test_close(self) -> None:
        """A closed listener refuses, once the reactor has turned."""
        port: Any = self.listener._port
        self.listener.close()
        self.turner.turn()
        self.turner.turn()
        self.assertEqual(self.rig.loop.interest, {})
        self.assertFalse(port.connected)


class LateEndpointTests(SynchronousTestCase):
    """An endpoint whose port takes its time."""

    def setUp(self) -> None:
        self.rig = TunnelRig()
        self.addCleanup(self.rig.close)
        self.deferred: Deferred[Any] = Deferred()
        self.listener = Listener(self.rig.runtime, self, self.rig.policy, lambda: 9)  # type: ignore[arg-type]
        self.listener.open()
        self.port: Any = self.successResultOf(LOOPBACK.listen(None))  # type: ignore[arg-type]
        self.addCleanup(self.port.stopListening)

    def listen(self, _factory: object) -> Deferred[Any]:
        """Not yet."""
        return self.deferred

    def test_starts_when_it_is_there(self) -> None:
        """A port that comes after the start is served all the same."""
        self.listener.start()
        self.deferred.callback(self.port)
        self.assertIn(self.listener.fd, self.rig.loop.interest)
        self.listener.close()

    def test_waits_for_the_start(self) -> None:
        """A port that comes before the start is not."""
        self.deferred.callback(self.port)
        self.assertEqual(self.rig.loop.interest, {})

    def test_closed_before_it_is_there(self) -> None:
        """A port that comes after the close is closed at once."""
        self.listener.start()
        self.listener.close()
        self.deferred.callback(self.port)
        self.assertEqual((self.port.socket.fileno(), self.rig.loop.interest), (-1, {}))
