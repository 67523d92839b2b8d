"""Tests of stunnel_tx.configuration.verification_values."""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.values import InvalidValue
from stunnel_tx.configuration.verification_values import (
    dns_pattern,
    key_pin,
    system_store,
    uri_pattern,
)


class PinTests(SynchronousTestCase):
    """Digests of public keys."""

    @settings(deadline=None, max_examples=50)
    @given(st.binary(min_size=32, max_size=32))
    def test_digests(self, digest: bytes) -> None:
        """Base64 of 32 bytes is read, with and without curl's prefix."""
        text = base64.b64encode(digest).decode()
        for given_text in (text, f"sha256//{text}"):
            self.assertEqual(key_pin(given_text), (digest,))

    def test_how_to_get_one(self) -> None:
        """The error tells how to make a pin."""
        error = self.assertRaises(InvalidValue, key_pin, "AB" * 32)
        self.assertIn("openssl x509", error.remedy)


class PatternTests(SynchronousTestCase):
    """Rules with wildcards."""

    def test_misplaced_stars(self) -> None:
        """A star stands for one whole part, where a part may be open."""
        for parse, given_text in (
            (dns_pattern, "*"),
            (dns_pattern, "a.*"),
            (dns_pattern, "*a.b"),
            (uri_pattern, "*://td/a"),
            (uri_pattern, "spiffe://t*/a"),
            (uri_pattern, "spiffe://td/**/a"),
            (uri_pattern, "spiffe://td/a**"),
        ):
            self.assertRaises(InvalidValue, parse, given_text)

    def test_kept_as_given(self) -> None:
        """A good rule is kept as it was written."""
        self.assertEqual(dns_pattern("*.A.example."), ("*.A.example.",))
        self.assertEqual(uri_pattern("SPIFFE://td/*/**"), ("SPIFFE://td/*/**",))


class StoreTests(SynchronousTestCase):
    """CAstore."""

    def test_only_the_system(self) -> None:
        """OpenSSL's own stores are refused with a reason, the system's is not."""
        self.assertEqual(system_store("SYSTEM"), "system")
        error = self.assertRaises(InvalidValue, system_store, "file:/etc/ssl")
        self.assertIn("cannot be reached", error.reason)
        self.assertIn("CAstore = system", error.remedy)
