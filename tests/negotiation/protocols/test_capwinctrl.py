"""Test of the ``capwinctrl`` word."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation.protocols.capwinctrl import NEGOTIATION


class RecognisedTests(SynchronousTestCase):
    """The word is known and refused."""

    def test_reason(self) -> None:
        """Neither mode exists, and the operator is told why."""
        self.assertEqual(NEGOTIATION.name, "capwinctrl")
        self.assertIsNone(NEGOTIATION.client)
        self.assertIsNone(NEGOTIATION.server)
        self.assertIn("proprietary", NEGOTIATION.unsupported)
