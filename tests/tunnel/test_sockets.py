"""Tests of the small facts about sockets."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tunnel.sockets import OptionSetting, address_text, apply_options, is_inet
from tests.doubles.recording import Recording


class AddressTextTests(SynchronousTestCase):
    """Addresses as text."""

    def test_forms(self) -> None:
        """Every form a socket address comes in has its text."""
        wanted = {
            ("192.0.2.1", 443): "192.0.2.1:443",
            ("2001:db8::1", 443, 0, 0): "2001:db8::1:443",
            "/run/service": "/run/service",
            b"\0abstract\xff": "\0abstract\\xff",
            "": "unnamed socket",
            b"": "unnamed socket",
        }
        for address, text in wanted.items():
            self.assertEqual(address_text(address), text)


class OptionTests(SynchronousTestCase):
    """Socket options."""

    def setUp(self) -> None:
        self.log = Recording()
        self.tcp = socket.socket()
        self.unix = socket.socket(socket.AF_UNIX)
        for sock in (self.tcp, self.unix):
            self.addCleanup(sock.close)

    def test_set(self) -> None:
        """Numbers and packed structures are set."""
        settings = (
            OptionSetting("SO_KEEPALIVE", socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            OptionSetting(
                "SO_LINGER", socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\x05\0\0\0"
            ),
        )
        apply_options(self.tcp, settings, self.log.scope, "local")
        self.assertEqual(self.tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
        linger = self.tcp.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
        self.assertEqual((linger, self.log.texts), (b"\x01\0\0\0\x05\0\0\0", []))

    def test_failure_is_a_warning(self) -> None:
        """An option that fails is named in one line, and the rest is still set."""
        settings = (
            OptionSetting("IP_TTL", socket.IPPROTO_IP, socket.IP_TTL, 100_000),
            OptionSetting("TCP_NODELAY", socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        )
        apply_options(self.tcp, settings, self.log.scope, "remote")
        self.assertEqual(
            self.log.lines,
            [(4, "0", "Cannot set socket option IP_TTL on remote: Invalid argument")],
        )
        self.assertEqual(self.tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 1)

    def test_tcp_options_on_unix_sockets(self) -> None:
        """What a UNIX socket cannot have is no news."""
        nodelay = OptionSetting("TCP_NODELAY", socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        apply_options(self.unix, (nodelay,), self.log.scope, "local")
        self.assertEqual(self.log.texts, [])

    def test_is_inet(self) -> None:
        """IPv4 and IPv6 are, UNIX is not."""
        families = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
        self.assertEqual([is_inet(family) for family in families], [True, True, False])
