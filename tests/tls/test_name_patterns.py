"""Tests of the patterns of access rules."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.name_patterns import dns_name_matches, text_matches, uri_matches


class TextTests(SynchronousTestCase):
    """CN, OU and O."""

    def test_table(self) -> None:
        """A star is any run of characters; everything else stands for itself, in its case."""
        for pattern, text, good in (
            ("web", "web", True),
            ("web", "Web", False),
            ("web", "webb", False),
            ("web*", "web-17", True),
            ("web*", "web", True),
            ("*", "", True),
            ("*eb", "web", True),
            ("a*b*c", "a1b2c", True),
            ("a*b*c", "a1c2b", False),
            ("ab*ba", "aba", False),
            ("a*b*b*a", "aba", False),
            ("w*", "w\x00eb", False),
            ("w\x00", "w\x00", True),
            ("[a-z]", "b", False),
            ("?", "b", False),
        ):
            self.assertEqual(text_matches(pattern, text), good, (pattern, text))

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=4), st.text("ab", max_size=3))
    def test_filled_stars(self, parts: list[str], filling: str) -> None:
        """A pattern matches whatever comes of it by putting text in place of its stars."""
        self.assertTrue(text_matches("*".join(parts), filling.join(parts)))


class DNSTests(SynchronousTestCase):
    """DNS names."""

    def test_table(self) -> None:
        """A star is one label at the left; case does not matter; certificates have no stars."""
        for pattern, name, good in (
            ("a.example", "A.Example", True),
            ("a.example.", "a.example", True),
            ("a.example", "b.a.example", False),
            ("*.example", "a.example", True),
            ("*.example", "a.b.example", False),
            ("*.example", "example", False),
            ("*.example", ".example", False),
            ("*.example", "*.example", False),
            ("*.example", "a*.example", False),
            ("*.example", "a\x00.example", False),
            ("*.example", "\u00e9.example", False),
            ("a.example", "", False),
        ):
            self.assertEqual(dns_name_matches(pattern, name), good, (pattern, name))


class URITests(SynchronousTestCase):
    """URIs, SPIFFE identities above all."""

    def test_table(self) -> None:
        """A star is one segment of the path, two at the end are one or more."""
        for pattern, uri, good in (
            ("spiffe://td/a", "spiffe://td/a", True),
            ("spiffe://td/a", "SPIFFE://TD/a", True),
            ("spiffe://td/a", "spiffe://td/A", False),
            ("spiffe://td/a", "spiffe://td/a/", False),
            ("spiffe://td/*/web", "spiffe://td/prod/web", True),
            ("spiffe://td/*/web", "spiffe://td/prod/x/web", False),
            ("spiffe://td/*/web", "spiffe://td//web", False),
            ("spiffe://td/*/web", "spiffe://td/../web", False),
            ("spiffe://td/*/web", "spiffe://td/%2e%2e/web", False),
            ("spiffe://td/*", "spiffe://td/a?b", False),
            ("spiffe://td/*", "spiffe://td/a#b", False),
            ("spiffe://td/*", "spiffe://td", False),
            ("spiffe://td/**", "spiffe://td/a", True),
            ("spiffe://td/**", "spiffe://td/a/b/c", True),
            ("spiffe://td/**", "spiffe://td/", False),
            ("spiffe://td/**", "spiffe://td", False),
            ("spiffe://td/**", "spiffe://td/a/../b", False),
            ("spiffe://td/a/**", "spiffe://td/b/c", False),
            ("spiffe://td/*", "spiffe://td.evil/a", False),
            ("spiffe://td/*", "https://td/a", False),
            ("spiffe://td/a", "spiffe://td/a\x00", False),
            ("urn:example:a", "urn:example:a", True),
            ("urn:example:a", "URN:example:a", False),
        ):
            self.assertEqual(uri_matches(pattern, uri), good, (pattern, uri))
