"""Tests of outgoing connections through endpoint strings."""

from __future__ import annotations

import socket
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import DeadlineExceeded, OperatingError, PeerRefused
from stunnel_tx.service.targets import EndpointTarget, client_endpoint
from stunnel_tx.tunnel.destination import Connector, SocketAddress
from stunnel_tx.tunnel.sockets import OptionSetting
from tests.doubles.private_reactor import PrivateReactor, open_descriptors
from tests.doubles.tasks import DrivenTask


class TargetTests(SynchronousTestCase):
    """A ``connect`` value that is a client endpoint string."""

    def setUp(self) -> None:
        self.before = open_descriptors()
        self.turner = PrivateReactor()
        self.server = socket.socket()
        self.server.bind(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.driven = DrivenTask()

    def tearDown(self) -> None:
        self.server.close()
        for sock in self.driven.results:
            sock.close()
        for _ in range(5):
            self.turner.turn()
        self.turner.close()
        self.assertEqual(open_descriptors(), self.before)

    def open(self, description: str) -> EndpointTarget:
        """Begin to connect."""
        target = EndpointTarget(description, self.turner.reactor)
        connector = Connector((), 10.0)
        self.driven.run(lambda task: target.open(task, connector, self.driven.log.scope))
        return target

    def test_connects(self) -> None:
        """The socket below the transport is handed over, ready to use."""
        self.server.listen(1)
        target = self.open(f"tcp:127.0.0.1:{self.port}")
        self.turner.until(lambda: self.driven.errors)
        sock = self.driven.finish()
        peer, _ = self.server.accept()
        self.addCleanup(peer.close)
        peer.send(b"x")
        for _ in range(3):
            self.turner.turn()
        self.assertEqual(sock.recv(10), b"x", "the reactor must not have read it")
        self.assertEqual(
            self.driven.log.texts,
            [f"s_connect: connecting {target}", f"s_connect: connected {target}"],
        )
        peer.close()

    def test_refused(self) -> None:
        """A refusal is the peer's, in the endpoint's words."""
        self.open(f"tcp:127.0.0.1:{self.port}")
        self.turner.until(lambda: self.driven.errors)
        error = self.assertRaises(PeerRefused, self.driven.finish)
        self.assertIn("refused", str(error))

    def test_hanging(self) -> None:
        """An endpoint that does not answer is given up after TIMEOUTconnect, and cancelled."""
        cancelled: list[bool] = []

        class Hanging:
            def connect(self, _factory: object) -> Deferred[Any]:
                return Deferred(lambda _deferred: cancelled.append(True))

        target = EndpointTarget("tcp:127.0.0.1:1", self.turner.reactor)
        target._endpoint = cast("IStreamClientEndpoint", Hanging())
        connector = Connector((), 10.0)
        self.driven.run(lambda task: target.open(task, connector, self.driven.log.scope))
        self.driven.clock.advance(11)
        error = self.driven.error
        assert isinstance(error, DeadlineExceeded)
        self.assertEqual((error.option, cancelled), ("TIMEOUTconnect", [True]))

    def test_malformed(self) -> None:
        """A string that cannot be parsed is refused when the target is made, in a line."""
        for text, remedy in (
            ("nosuchkind:1", ""),
            ("tcp:nohost", "write tcp:HOST:PORT"),
            ("tcp:h:1:foo=bar", "write tcp:HOST:PORT"),
            ("unix:", "write unix:/PATH"),
        ):
            error = self.assertRaises(OperatingError, EndpointTarget, text, self.turner.reactor)
            self.assertTrue(str(error).startswith(f"endpoint {text}: "), str(error))
            self.assertTrue(str(error).endswith(remedy), str(error))
            self.assertNotIn("__init__", str(error))

    def test_options_and_local(self) -> None:
        """The socket has the options of the service, and comes from the address of local."""
        self.server.listen(1)
        sources = (SocketAddress(socket.AF_INET, ("127.0.0.2", 0)),)
        text = f"tcp:127.0.0.1:{self.port}"
        target = EndpointTarget(text, self.turner.reactor, sources)
        keep = OptionSetting("SO_KEEPALIVE", socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connector = Connector((keep,), 10.0, sources)
        self.driven.run(lambda task: target.open(task, connector, self.driven.log.scope))
        self.turner.until(lambda: self.driven.errors)
        sock = self.driven.finish()
        peer, address = self.server.accept()
        peer.close()
        self.assertEqual(address[0], "127.0.0.2")
        self.assertEqual(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)

    def test_local_of_other_kinds(self) -> None:
        """A string of its own address wins, a path needs none, other kinds are refused."""
        sources = (SocketAddress(socket.AF_INET6, ("::1", 0, 0, 0)),)
        reactor = self.turner.reactor
        for text in ("unix:/x", "tcp:h:1:bindAddress=127.0.0.3", "tcp:h:1"):
            self.assertTrue(
                IStreamClientEndpoint.providedBy(client_endpoint(text, reactor, sources))
            )
        error = self.assertRaises(OperatingError, client_endpoint, "onion:h:1", reactor, sources)
        self.assertIn("'local' cannot be applied", str(error))
