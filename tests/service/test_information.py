"""Tests of stunnel_tx.service.information."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.socket_options import SOCKET_OPTION_KINDS
from stunnel_tx.service.information import introduce, library_lines, platform, socket_default
from tests.doubles.programs import recording_log


class BannerTests(SynchronousTestCase):
    """The lines every run starts with; stunnel's own test suite reads them."""

    def test_version_pattern(self) -> None:
        """The first line has stunnel's version where scripts look for it."""
        log, sink = recording_log()
        introduce(log.main)
        self.assertEqual([level for level, _, _ in sink.lines], [5, 5, 5])
        match = re.match(r"^stunnel\s+((?:[5-9]|[1-9][0-9]*)\.\S+)", sink.texts[0])
        self.assertIsNotNone(match)
        self.assertIn("(stunnel_tx ", sink.texts[0])

    def test_library_and_features(self) -> None:
        """OpenSSL is named as stunnel does, and nothing says FORK, which skips tests there."""
        log, sink = recording_log()
        introduce(log.main)
        self.assertRegex(sink.texts[1], r"^Compiled/running with OpenSSL \d+\.\d+\.\d+")
        self.assertRegex(sink.texts[2], r"^Threading:\S+ Sockets:\S+ TLS:\S+$")
        self.assertNotIn("FORK", "".join(sink.texts))

    def test_triplet(self) -> None:
        """The platform is a GNU triplet."""
        self.assertRegex(platform(), r"^\w+-(pc|unknown)-linux-\w+$")


class LibraryTests(SynchronousTestCase):
    """What is underneath this installation."""

    def test_versions_and_capabilities(self) -> None:
        """Each library is named with its version, each capability with yes or no."""
        text = "\n".join(library_lines())
        for name in ("Twisted", "pyOpenSSL", "cryptography", "Python"):
            self.assertRegex(text, rf"{name} \d+\.\d+")
        self.assertRegex(text, r"Capabilities: groups: (yes|no), .*raw records: (yes|no)")


class SocketDefaultTests(SynchronousTestCase):
    """The operating system's own values of socket options."""

    def test_known_values(self) -> None:
        """Values of a fresh socket are written as the configuration would write them."""
        for name, udp, expected in (
            ("TCP_NODELAY", False, "no"),
            ("SO_LINGER", False, "0:0"),
            ("SO_RCVTIMEO", True, "0:0"),
            ("SO_BINDTODEVICE", False, ""),
            ("SO_RCVLOWAT", False, "1"),
            ("UDP_GRO", True, "no"),
        ):
            self.assertEqual(socket_default(name, udp), expected, name)

    def test_every_option_of_linux_has_a_value(self) -> None:
        """No option of the table that Linux knows is missing here."""
        for kind in SOCKET_OPTION_KINDS.values():
            if not kind.elsewhere:
                self.assertIsNotNone(socket_default(kind.name, not kind.tcp), kind.name)

    def test_options_of_other_systems(self) -> None:
        """What this system does not have, has no value."""
        self.assertIsNone(socket_default("SO_EXCLUSIVEADDRUSE", udp=False))
