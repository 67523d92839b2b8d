"""Tests of who may send PROXY headers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation.peer import Endpoint
from stunnel_tx.negotiation.proxy_senders import Senders


class SendersTests(SynchronousTestCase):
    """Networks and UNIX sockets."""

    def test_networks(self) -> None:
        """Peers in a listed network are included, v4-mapped ones as IPv4, and no others."""
        senders = Senders.parse("10.0.0.0/8, 2001:db8::/32,192.0.2.1")
        for host in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "192.0.2.1"):
            self.assertTrue(senders.include(Endpoint(host, 1)), host)
        for host in ("11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1", "192.0.2.2", "/run/x"):
            self.assertFalse(senders.include(Endpoint(host, 1)), host)
        self.assertFalse(senders.include(None))

    def test_unix(self) -> None:
        """Peers on a UNIX socket are included by a word of their own."""
        senders = Senders.parse("UNIX, 10.0.0.0/8")
        self.assertTrue(senders.include(None))
        self.assertTrue(senders.include(Endpoint("/run/x")))
        self.assertFalse(senders.include(Endpoint("192.0.2.1", 1)))

    def test_nobody(self) -> None:
        """Without a list nobody is believed."""
        for peer in (None, Endpoint("127.0.0.1", 1)):
            self.assertFalse(Senders().include(peer))

    def test_bad(self) -> None:
        """What is no network is refused."""
        for text in ("", "x", "10.0.0.1/8", "10.0.0.0/8,", "a.example"):
            self.assertRaises(ValueError, Senders.parse, text)
