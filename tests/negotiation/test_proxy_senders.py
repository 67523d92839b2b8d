"""Tests of who may send PROXY headers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation.peer import Endpoint
from stunnel_tx.negotiation.proxy_senders import EVERYBODY, Senders
from tests.doubles.destinations import senders


class SendersTests(SynchronousTestCase):
    """Networks and UNIX sockets."""

    def test_networks(self) -> None:
        """Peers in a listed network are included, v4-mapped ones as IPv4, and no others."""
        listed = senders("10.0.0.0/8, 2001:db8::/32,192.0.2.1")
        for host in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "192.0.2.1"):
            self.assertTrue(listed.include(Endpoint(host, 1)), host)
        for host in ("11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1", "192.0.2.2", "/run/x"):
            self.assertFalse(listed.include(Endpoint(host, 1)), host)
        self.assertFalse(listed.include(None))

    def test_unix(self) -> None:
        """Peers on a UNIX socket are included by a word of their own."""
        listed = senders("UNIX, 10.0.0.0/8")
        self.assertTrue(listed.include(None))
        self.assertTrue(listed.include(Endpoint("/run/x")))
        self.assertFalse(listed.include(Endpoint("192.0.2.1", 1)))

    def test_nobody(self) -> None:
        """Without a list nobody is believed."""
        for peer in (None, Endpoint("127.0.0.1", 1)):
            self.assertFalse(Senders().include(peer))

    def test_everybody(self) -> None:
        """Everybody is everybody, on sockets of any kind."""
        for host in ("/run/x", "127.0.0.1", "2001:db8::1"):
            self.assertTrue(EVERYBODY.include(Endpoint(host, 1)))
        self.assertTrue(EVERYBODY.include(None))
