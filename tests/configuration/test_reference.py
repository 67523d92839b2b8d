"""Tests of stunnel_tx.configuration.reference."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.option_flags import OPTION_FLAGS
from stunnel_tx.configuration.options import OPTIONS
from stunnel_tx.configuration.reference import render_reference
from stunnel_tx.configuration.socket_options import SOCKET_OPTION_KINDS


class ReferenceTests(SynchronousTestCase):
    """The generated page."""

    def setUp(self) -> None:
        self.page = render_reference()

    def chapter(self, title: str) -> str:
        """Return the text of one chapter."""
        return self.page.split(f"\n## {title}\n")[1].split("\n## ")[0]

    def test_complete(self) -> None:
        """Every option, alias, socket option and flag has its place on the page."""
        names = [name for option in OPTIONS for name in (option.name, *option.aliases)]
        for name in (*names, *SOCKET_OPTION_KINDS, *OPTION_FLAGS):
            self.assertIn(f"`{name}`", self.page)

    def test_chapters(self) -> None:
        """Options are sorted into chapters; what stunnel lacks stands in its own."""
        self.assertIn("`pid`", self.chapter("Global options"))
        self.assertIn("`accept`", self.chapter("Service options"))
        self.assertIn("`protocolHost`", self.chapter("Protocol negotiation"))
        self.assertIn("`verifyChain`", self.chapter("TLS"))
        self.assertIn("`requireCloseNotify`", self.chapter("Beyond stunnel"))
        self.assertNotIn("`requireCloseNotify`", self.chapter("Service options"))

    def test_rows_are_whole(self) -> None:
        """Every row of a table has as many cells as its head."""
        rows = [line.replace("\\|", "/") for line in self.chapter("TLS").split("\n") if line]
        self.assertEqual({row.count("|") for row in rows}, {8})

    def test_state(self) -> None:
        """The page says what is supported, what will be, and what cannot be."""
        self.assertIn("not supported yet: programs", self.page)
        self.assertIn("refused: engines are not available", self.page)
        self.assertIn("accepted, acts with OCSP", self.page)

    def test_no_trailing_blanks(self) -> None:
        """The page is tidy enough to be compared."""
        self.assertEqual([line for line in self.page.split("\n") if line.endswith(" ")], [])
