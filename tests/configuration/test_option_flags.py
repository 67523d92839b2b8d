"""Tests of stunnel_tx.configuration.option_flags."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.option_flags import (
    DEFAULT_OPTION_FLAGS,
    OPTION_FLAGS,
    OptionFlags,
    parse_option_flag,
)
from stunnel_tx.configuration.values import InvalidValue


class FlagTests(SynchronousTestCase):
    """OpenSSL's SSL_OP_ flags."""

    def test_agrees_with_the_library(self) -> None:
        """Every flag that pyOpenSSL names has the number we have for it, or none any more."""
        from OpenSSL import SSL

        checked = 0
        for name, mask in OPTION_FLAGS.items():
            theirs = getattr(SSL, f"OP_{name}", None)
            if theirs is not None and theirs != 0:
                self.assertEqual(mask & int(theirs), mask, name)
                checked += 1
        self.assertGreater(checked, 15)

    def test_count_and_order(self) -> None:
        """There are 59 names; those of OpenSSL 3.2 and later come last."""
        names = list(OPTION_FLAGS)
        self.assertEqual((len(names), names[0], names[-1]), (59, "ALL", "SERVER_PREFERENCE"))

    def test_masks(self) -> None:
        """Names for several bits at once cover exactly those."""
        versions = ("NO_SSLv3", "NO_TLSv1", "NO_TLSv1_1", "NO_TLSv1_2", "NO_TLSv1_3")
        union = 0
        for name in versions:
            union |= OPTION_FLAGS[name]
        self.assertEqual(OPTION_FLAGS["NO_SSL_MASK"], union)

    def test_clearing_wins(self) -> None:
        """A flag both set and cleared ends up cleared."""
        flags = parse_option_flag("NO_TICKET") | parse_option_flag("-NO_TICKET")
        self.assertEqual(flags.applied_to(0), 0)
        self.assertEqual(flags.applied_to(OPTION_FLAGS["NO_TICKET"] | 1), 1)

    def test_default(self) -> None:
        """SSLv3 is off unless cleared."""
        self.assertEqual(DEFAULT_OPTION_FLAGS, OptionFlags(1 << 25, 0))

    def test_suggestion(self) -> None:
        """A misspelt flag leads to the one that was probably meant."""
        error = self.assertRaises(InvalidValue, parse_option_flag, "NO_TICKETS")
        self.assertIn("NO_TICKET", error.remedy)
        self.assertIn("Illegal TLS option", error.reason)
