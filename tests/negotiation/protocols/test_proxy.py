"""Tests of ``protocol = proxy``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import PeerClosed
from stunnel_tx.negotiation.peer import Endpoint
from stunnel_tx.negotiation.protocols.proxy import NEGOTIATION
from tests.doubles.conversations import ScriptedPeer, conversation, run

SOURCE, TARGET = Endpoint("::ffff:192.0.2.1", 1025), Endpoint("192.0.2.2", 443)


class ProxyTests(SynchronousTestCase):
    """The header goes out first, and nothing is read."""

    def test_server(self) -> None:
        """After TLS and before the relay the remote side learns who the client is."""
        assert NEGOTIATION.server is not None
        assert NEGOTIATION.server.late is not None
        local, remote = ScriptedPeer(b"payload"), ScriptedPeer(b"220 hello\r\n")
        run(NEGOTIATION.server.late(conversation(local, remote, source=SOURCE, target=TARGET)))
        self.assertEqual(remote.sent, b"PROXY TCP4 192.0.2.1 192.0.2.2 1025 443\r\n")
        self.assertEqual((local.sent, local.consumed, remote.consumed), (b"", b"", b""))

    def test_client(self) -> None:
        """A TLS server learns of the client in front of the handshake."""
        assert NEGOTIATION.client is not None
        assert NEGOTIATION.client.middle is not None
        remote = ScriptedPeer()
        run(
            NEGOTIATION.client.middle(
                conversation(ScriptedPeer(), remote, source=SOURCE, target=TARGET)
            )
        )
        self.assertEqual(remote.sent, b"PROXY TCP4 192.0.2.1 192.0.2.2 1025 443\r\n")

    def test_unix_client(self) -> None:
        """A client without an IP address is unknown, and no reason to fail."""
        assert NEGOTIATION.server is not None
        assert NEGOTIATION.server.late is not None
        remote = ScriptedPeer()
        run(
            NEGOTIATION.server.late(
                conversation(ScriptedPeer(), remote, target=Endpoint("/run/stunnel.sock"))
            )
        )
        self.assertEqual(remote.sent, b"PROXY UNKNOWN\r\n")

    def test_remote_gone(self) -> None:
        """A remote side that is gone ends the dialogue."""
        assert NEGOTIATION.server is not None
        assert NEGOTIATION.server.late is not None
        talk = conversation(ScriptedPeer(), ScriptedPeer(deaf=True), source=SOURCE, target=TARGET)
        self.assertRaises(PeerClosed, run, NEGOTIATION.server.late(talk))
