"""Tests of stunnel_tx.negotiation.registry."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation.registry import BUILT_IN_NAMES, find_built_in
from stunnel_tx.negotiation.stages import Negotiation
from tests.doubles.processes import environment

SCRIPT = """
import sys
import stunnel_tx.service.application
print(*sorted(name for name in sys.modules if name.startswith("stunnel_tx.negotiation.protocols")))
print("stunnel_tx.tunnel.dialogues" in sys.modules, "twisted.plugin" in sys.modules)
"""


class RegistryTests(SynchronousTestCase):
    """The protocols by name."""

    def test_every_name(self) -> None:
        """Each word leads to the protocol that calls itself so."""
        for name in BUILT_IN_NAMES:
            found = find_built_in(name)
            assert isinstance(found, Negotiation)
            self.assertEqual(found.name, name)
            self.assertTrue(found.specification)

    def test_both_directions(self) -> None:
        """Each of them works in both modes."""
        for name in BUILT_IN_NAMES:
            found = find_built_in(name)
            assert found is not None
            self.assertIsNotNone(found.client, name)
            self.assertIsNotNone(found.server, name)

    def test_unknown(self) -> None:
        """No other word leads anywhere, least of all to another module."""
        for name in ("gopher", "", "__init__", "xmpp_server", "SMTP"):
            self.assertIs(find_built_in(name), None)

    def test_loaded_late(self) -> None:
        """A program without a protocol has loaded none, nor what runs them, nor plugins."""
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            check=True,
            capture_output=True,
            text=True,
            env=environment(),
        )
        self.assertEqual(done.stdout.splitlines(), ["", "False False"])
