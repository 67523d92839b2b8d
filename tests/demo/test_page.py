"""Tests of the demo page's texts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.demo.page import TLSFacts, as_html, as_text

_FACTS = TLSFacts(
    version="TLSv1.3",
    cipher="TLS_AES_256_GCM_SHA384",
    group="X25519MLKEM768",
    server_name="localhost",
    alpn="http/1.1",
)
_EMPTY = TLSFacts("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", None, None, None)


class TextTests(SynchronousTestCase):
    """The page for curl."""

    def test_all_facts(self) -> None:
        """Every fact is on a line of its own, behind its name."""
        rows = dict(line.split(":", 1) for line in as_text(_FACTS).splitlines() if ":" in line)
        self.assertEqual(
            {name: value.strip() for name, value in rows.items()},
            {
                "TLS version": "TLSv1.3",
                "Cipher": "TLS_AES_256_GCM_SHA384",
                "Key exchange group": "X25519MLKEM768",
                "Server name (SNI)": "localhost",
                "ALPN": "http/1.1",
            },
        )

    def test_missing_facts(self) -> None:
        """What the client did not send, or the library does not know, is said in words."""
        text = as_text(_EMPTY)
        for line in ("not known", "none sent", "none agreed on"):
            self.assertIn(line, text)

    def test_no_tunnel(self) -> None:
        """A visitor who reached the back end directly is told so."""
        self.assertIn("did not come through the tunnel", as_text(None))

    def test_control_characters(self) -> None:
        """A name from the wire cannot bring control characters to a terminal."""
        text = as_text(TLSFacts("v", "c", None, "a\x1b[31m\r\nX: y", "\x00"))
        self.assertIn("a?[31m??X: y", text)
        self.assertNotIn("\x1b", text)
        self.assertNotIn("\x00", text)


class HTMLTests(SynchronousTestCase):
    """The page for browsers."""

    def test_all_facts(self) -> None:
        """Every fact is a cell of the table."""
        html = as_html(_FACTS)
        for value in ("TLSv1.3", "TLS_AES_256_GCM_SHA384", "X25519MLKEM768", "http/1.1"):
            self.assertIn(f"<td>{value}</td>", html)

    def test_markup_is_escaped(self) -> None:
        """A name from the wire cannot bring markup to a browser."""
        html = as_html(TLSFacts("v", "c", None, "<script>", '"&'))
        self.assertNotIn("<script>", html)
        self.assertIn("<td>&lt;script&gt;</td>", html)
        self.assertIn("<td>&quot;&amp;</td>", html)

    def test_nothing_is_loaded(self) -> None:
        """The page refers to no other address, so it works without a network."""
        for word in ("http:", "https:", "src=", "href=", "url("):
            self.assertNotIn(word, as_html(_FACTS))
