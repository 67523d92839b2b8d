"""Tests of outgoing connections through endpoint strings."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import DeadlineExceeded, PeerRefused
from stunnel_tx.service.targets import EndpointTarget
from stunnel_tx.tunnel.destination import Connector
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
        target._endpoint = Hanging()
        connector = Connector((), 10.0)
        self.driven.run(lambda task: target.open(task, connector, self.driven.log.scope))
        self.driven.clock.advance(11)
        error = self.driven.error
        assert isinstance(error, DeadlineExceeded)
        self.assertEqual((error.option, cancelled), ("TIMEOUTconnect", [True]))

    def test_malformed(self) -> None:
        """A string that cannot be parsed is refused when the target is made."""
        self.assertRaises(ValueError, EndpointTarget, "nosuchkind:1", self.turner.reactor)
