"""Tests of which endpoint strings are understood."""

from __future__ import annotations

import socket

from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError
from stunnel_tx.service import endpoints
from stunnel_tx.service.endpoints import (
    NotPassed,
    endpoint_kinds,
    has_header,
    plugin_kinds,
    server_endpoint,
)
from stunnel_tx.tunnel.sockets import OptionSetting
from tests.doubles.private_reactor import PrivateReactor
from tests.doubles.recording import Recording


class KindTests(SynchronousTestCase):
    """First words."""

    def test_own_kinds_need_no_plugins(self) -> None:
        """Twisted's own words, numbers, addresses and localhost are decided without plugins."""
        self.patch(endpoints, "plugin_kinds", lambda: self.fail("plugins were looked for"))
        kinds = endpoint_kinds()
        for word in ("tcp", "tcp6", "unix", "systemd", "haproxy"):
            self.assertIn(word, kinds)
        for word in ("443", "127.0.0.1", "localhost", "host.example", ""):
            self.assertNotIn(word, kinds)

    def test_other_words(self) -> None:
        """Any other word is one of a plugin, or the name of a host."""
        self.patch(endpoints, "plugin_kinds", lambda: frozenset(["onion"]))
        self.assertIn("onion", endpoint_kinds())
        self.assertNotIn("myhost", endpoint_kinds())

    def test_plugins_are_found(self) -> None:
        """Twisted's own plugins are among what is found."""
        self.assertLessEqual({"systemd", "haproxy", "tls"}, plugin_kinds())


class ServerEndpointTests(SynchronousTestCase):
    """Strings to listen on."""

    def setUp(self) -> None:
        self.turner = PrivateReactor()
        self.addCleanup(self.turner.close)

    def test_good(self) -> None:
        """A good string is an endpoint."""
        endpoint = server_endpoint("tcp:0:interface=127.0.0.1", self.turner.reactor)
        self.assertTrue(IStreamServerEndpoint.providedBy(endpoint))

    def test_behind_a_balancer(self) -> None:
        """After the word haproxy comes the string of the socket, and nothing wraps it."""
        plain = server_endpoint("tcp:0:interface=127.0.0.1", self.turner.reactor)
        balanced = server_endpoint("haproxy:tcp:0:interface=127.0.0.1", self.turner.reactor)
        self.assertIs(type(balanced.endpoint), type(plain.endpoint))
        self.assertTrue(has_header("haproxy:tcp:0"))
        self.assertFalse(has_header("tcp:0:interface=haproxy"))

    def test_bad(self) -> None:
        """Whatever is wrong with a string, the operator hears of the string."""
        texts = "haproxy:", "tcp:", "tcp:x", "unix:", "unix:a:b=c", "systemd:x", "tcp:1:foo=bar"
        for text in (*texts, "nosuchkind:1"):
            error = self.assertRaises(OperatingError, server_endpoint, text, self.turner.reactor)
            self.assertIn(f"endpoint {text}: ", str(error))
            self.assertNotIn("_parse", str(error))

    def test_sockets_of_systemd(self) -> None:
        """One that was not passed is told apart from a string that is wrong."""
        for word in ("index=99", "name=nobody"):
            text = f"systemd:domain=INET:{word}"
            error = self.assertRaises(NotPassed, server_endpoint, text, self.turner.reactor)
            self.assertIn("start the .socket unit", str(error))
        text = "systemd:domain=NOSUCH:index=99"
        error = self.assertRaises(OperatingError, server_endpoint, text, self.turner.reactor)
        self.assertIn("no address family NOSUCH", str(error))
        self.assertNotIsInstance(error, NotPassed)

    def test_options(self) -> None:
        """A TCP socket gets them; two with equal strings and options are equal."""
        text = "tcp:0:interface=127.0.0.1"
        keep = (OptionSetting("SO_KEEPALIVE", socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),)
        endpoint = server_endpoint(text, self.turner.reactor, keep)
        self.assertEqual(endpoint, server_endpoint(text, self.turner.reactor, keep))
        self.assertNotEqual(endpoint, server_endpoint(text, self.turner.reactor))
        with socket.socket() as sock:
            endpoint.fit(sock, Recording().scope)
            self.assertEqual(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
