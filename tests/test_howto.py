"""The configurations in the documentation, loaded as they stand."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.check import security_warnings
from stunnel_tx.configuration.loader import load
from stunnel_tx.configuration.protocols import BUILT_IN
from stunnel_tx.configuration.sources import text_source
from tests.interop.howto import pages

_HOWTO = Path(__file__).resolve().parent.parent / "docs" / "howto"
_FAMILIES = ("mail", "directories", "databases", "chat", "ftp", "proxies")


def _blocks() -> list[tuple[str, str]]:
    """Page and text of every complete configuration."""
    return [(page, text) for page in pages.pages() for text in pages.blocks(page)]


class ConfigurationTests(SynchronousTestCase):
    """Complete configurations are those in blocks marked ``ini``."""

    def test_load(self) -> None:
        """Each one is without an error, a note, and anything a security check would warn of."""
        blocks = _blocks()
        self.assertGreaterEqual(len(blocks), 2 * len(_FAMILIES))
        for page, text in blocks:
            configuration = load(text_source(text.encode(), page))
            self.assertEqual(configuration.notes, (), page)
            warnings = [
                str(warning)
                for warning in security_warnings(configuration)
                if "unless that is meant" not in str(warning)
            ]
            self.assertEqual(warnings, [], page)

    def test_run(self) -> None:
        """The interop tests know of each one; they run them."""
        found = {page: len(pages.blocks(page)) for page in pages.pages()}
        self.assertEqual(found, pages.RUN)

    def test_every_protocol(self) -> None:
        """Every protocol that works is shown in both modes."""
        shown = set()
        for page, text in _blocks():
            for settings in load(text_source(text.encode(), page)).services:
                if settings["protocol"] is not None:
                    shown.add((settings["protocol"].name, bool(settings["client"])))
        works = {name for name, each in BUILT_IN.items() if not each.unsupported} - {"proxy"}
        wanted = {(name, client) for name in works for client in (False, True)}
        self.assertEqual(wanted - shown, set())

    def test_every_option(self) -> None:
        """Both options that go along with any protocol are shown, too."""
        text = (_HOWTO / "upgrade-proxies.md").read_text(encoding="utf-8")
        for option in ("sendProxy", "acceptProxy", "protocolAllow", "protocolHeader"):
            self.assertIn(f"{option} = ", text)

    def test_pages_are_found(self) -> None:
        """Each family of protocols has its page, and the index leads there."""
        index = (_HOWTO.parent / "index.md").read_text(encoding="utf-8")
        for page in _FAMILIES:
            self.assertTrue((_HOWTO / f"upgrade-{page}.md").exists(), page)
            self.assertIn(f"howto/upgrade-{page}\n", index)
