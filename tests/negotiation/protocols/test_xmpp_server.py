"""Test of the ``xmpp-server`` word; the dialogues are tested with xmpp_stream."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation.protocols.xmpp_server import NEGOTIATION
from tests.negotiation.protocols.plays import both, play


class NamespaceTests(SynchronousTestCase):
    """Both modes speak jabber:server."""

    def test_namespace(self) -> None:
        """The word, its ALPN name and its content namespace belong together."""
        self.assertEqual((NEGOTIATION.name, NEGOTIATION.alpn), ("xmpp-server", (b"xmpp-server",)))
        header = (
            b"<stream:stream xmlns='jabber:server' to='example.org' version='1.0' "
            b"xmlns:stream='http://etherx.jabber.org/streams'>"
        )
        starttls = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
        client, server = both(NEGOTIATION)
        self.assertEqual(play(client.early, header).error, "")
        self.assertEqual(play(server.early, header + starttls).error, "")
        self.assertEqual(
            play(server.early, header.replace(b"jabber:server", b"other")).error,
            "ProtocolViolation",
        )
