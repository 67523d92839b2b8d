"""Tests of stunnel_tx.configuration.protocol_values; the samples are in option_samples."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.option import Context
from stunnel_tx.configuration.protocol_values import permitted_network, protocol
from stunnel_tx.configuration.protocols import Protocol
from stunnel_tx.configuration.values import InvalidValue


class ProtocolTests(SynchronousTestCase):
    """The word of ``protocol``."""

    def test_plugin(self) -> None:
        """Whoever reads the configuration says which words there are."""
        gopher = Protocol("gopher")
        context = Context(find_protocol={"gopher": gopher}.get)
        self.assertIs(protocol("Gopher", context), gopher)

    def test_unknown(self) -> None:
        """The refusal names the words that work, and not those that are refused."""
        error = self.assertRaises(InvalidValue, protocol, "gopher", Context())
        self.assertEqual(error.reason, "Protocol not supported")
        self.assertIn("imap", error.remedy)
        self.assertNotIn("capwin", error.remedy)


class NetworkTests(SynchronousTestCase):
    """Networks with ports."""

    def test_host_bits(self) -> None:
        """An address with a mask is answered with the network that may be meant."""
        error = self.assertRaises(InvalidValue, permitted_network, "10.1.2.3/8")
        self.assertIn("10.0.0.0/8", error.remedy)
