"""Tests of the numbers of socket options."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.service.option_numbers import option_number


class OptionNumberTests(SynchronousTestCase):
    """From a name to the kernel's numbers."""

    def test_named_by_python(self) -> None:
        """Level and number are those of the socket module."""
        for name, level in (
            ("SO_KEEPALIVE", socket.SOL_SOCKET),
            ("TCP_NODELAY", socket.IPPROTO_TCP),
            ("IP_TTL", socket.IPPROTO_IP),
            ("IPV6_V6ONLY", socket.IPPROTO_IPV6),
        ):
            self.assertEqual(option_number(name), (level, getattr(socket, name)))

    def test_unnamed_by_python(self) -> None:
        """Options that only the kernel's headers name are known too."""
        self.assertEqual(option_number("IP_FREEBIND"), (socket.IPPROTO_IP, 15))
        self.assertEqual(option_number("UDP_GRO"), (socket.IPPROTO_UDP, 104))

    def test_unknown(self) -> None:
        """Options of other systems, and names that are none, have no number here."""
        for name in ("SO_EXCLUSIVEADDRUSE", "AF_INET", "", "TCP"):
            self.assertIsNone(option_number(name), name)
