"""Tests of stunnel_tx.configuration.socket_options."""

from __future__ import annotations

from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.socket_options import (
    DEFAULT_SOCKET_OPTIONS,
    SOCKET_OPTION_KINDS,
    SocketOption,
    SocketValue,
    merge_socket_options,
    parse_socket_option,
)
from stunnel_tx.configuration.values import InvalidValue

TCP_NAMES = [
    "SO_DEBUG",
    "SO_DONTROUTE",
    "SO_KEEPALIVE",
    "SO_LINGER",
    "SO_OOBINLINE",
    "SO_RCVBUF",
    "SO_SNDBUF",
    "SO_RCVLOWAT",
    "SO_SNDLOWAT",
    "SO_RCVTIMEO",
    "SO_SNDTIMEO",
    "SO_REUSEADDR",
    "SO_EXCLUSIVEADDRUSE",
    "SO_BINDTODEVICE",
    "TCP_KEEPCNT",
    "TCP_KEEPIDLE",
    "TCP_KEEPINTVL",
    "IP_TOS",
    "IP_TTL",
    "TCP_MAXSEG",
    "TCP_NODELAY",
    "IP_FREEBIND",
    "IP_BINDANY",
    "IPV6_BINDANY",
    "IPV6_V6ONLY",
]

UDP_NAMES = [
    "UDP_CORK",
    "UDP_NO_CHECK6_TX",
    "UDP_NO_CHECK6_RX",
    "UDP_GRO",
    "UDP_ENCAP",
    "UDP_SEGMENT",
]

VALUES: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "flag": ({"yes": True, "NO": False, "1": True, "0": False}, ("", "2", "on")),
    "int": ({"0": 0, "-1": -1, "131072": 131072}, ("", "1k", "1.5", "99999999999")),
    "linger": ({"1:60": (1, 60), "1": (1, 0)}, ("", "yes", "1:", ":1", "1:2:3")),
    "timeval": ({"1:500000": (1, 500000), "30": (30, 0)}, ("", "1s", "1.5")),
    "string": ({"eth0": "eth0", "x" * 15: "x" * 15}, ("", "x" * 16)),
}


class ParseTests(SynchronousTestCase):
    """One line of socket =."""

    def test_names(self) -> None:
        """All names of both of stunnel's tables are known."""
        self.assertEqual(sorted(SOCKET_OPTION_KINDS), sorted(TCP_NAMES + UDP_NAMES))
        self.assertEqual([name for name in UDP_NAMES if SOCKET_OPTION_KINDS[name].tcp], [])

    def test_types(self) -> None:
        """Every name takes the values of its type on every side, and no other."""
        for kind in SOCKET_OPTION_KINDS.values():
            good, bad = VALUES[kind.type]
            for text, value in good.items():
                if kind.elsewhere:
                    continue
                read = parse_socket_option(f"r:{kind.name}={text}")
                self.assertEqual(read, (SocketOption("r", kind.name, cast("SocketValue", value)),))
            for text in bad:
                self.assertRaises(InvalidValue, parse_socket_option, f"r:{kind.name}={text}")

    def test_elsewhere(self) -> None:
        """A name of another system is refused with the system's name."""
        error = self.assertRaises(InvalidValue, parse_socket_option, "a:IP_BINDANY=yes")
        self.assertIn("BSD", error.reason)

    def test_suggestion(self) -> None:
        """A name in the wrong case leads to the right one."""
        error = self.assertRaises(InvalidValue, parse_socket_option, "a:so_keepalive=yes")
        self.assertIn("SO_KEEPALIVE", error.remedy)
        self.assertIn("Illegal socket option", error.reason)

    @settings(deadline=None, max_examples=100)
    @given(st.text(alphabet="alr:=SO_LINGER019 -yesno", max_size=30))
    def test_any_text(self, text: str) -> None:
        """Any text is one option or refused."""
        try:
            (read,) = parse_socket_option(text)
        except InvalidValue as error:
            self.assertTrue(error.reason)
        else:
            self.assertIn(read.name, SOCKET_OPTION_KINDS)


class MergeTests(SynchronousTestCase):
    """Global entries and those of a section."""

    def test_defaults(self) -> None:
        """Listening sockets can be bound again at once; data is not held back."""
        self.assertEqual(
            DEFAULT_SOCKET_OPTIONS,
            (
                SocketOption("a", "SO_REUSEADDR", value=True),
                SocketOption("l", "TCP_NODELAY", value=True),
                SocketOption("r", "TCP_NODELAY", value=True),
            ),
        )

    def test_per_key(self) -> None:
        """The newer entry for a side and name stands; all others stay."""
        newer = (SocketOption("l", "TCP_NODELAY", value=False),)
        merged = merge_socket_options(DEFAULT_SOCKET_OPTIONS, newer)
        self.assertEqual(len(merged), 3)
        self.assertIn(newer[0], merged)
        self.assertNotIn(SocketOption("l", "TCP_NODELAY", value=True), merged)
