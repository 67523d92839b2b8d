"""Tests of stunnel_tx.configuration.options_names."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.loader import examine, text_source
from stunnel_tx.configuration.options_names import NAME_OPTIONS
from tests.configuration.table_checks import check_bad_values, check_good_values

SERVER = "[x]\ncert = c\naccept = 1\nconnect = 2\n"


class TableTests(SynchronousTestCase):
    """The values of the options of this table."""

    def test_good_values(self) -> None:
        """Every option of the table reads its good samples as the values they stand for."""
        check_good_values(self, NAME_OPTIONS)

    def test_bad_values(self) -> None:
        """Every option of the table refuses its bad samples, with a reason and a remedy."""
        check_bad_values(self, NAME_OPTIONS)


class TogetherTests(SynchronousTestCase):
    """Several lines, and other options."""

    def errors(self, text: str) -> list[str]:
        """The errors of a configuration."""
        return [str(each) for each in examine(text_source(text.encode(), "f")).errors]

    def test_lines_add_up(self) -> None:
        """All lines of sni and alpn are kept, in their order."""
        text = f"{SERVER}alpn = h2\nalpn = b,c\n[y]\ncert = c\nconnect = 3\nsni = x:a\nsni = x:b\n"
        examination = examine(text_source(text.encode(), "f"))
        self.assertEqual(examination.errors, ())
        first, second = examination.configuration.services
        self.assertEqual(first["alpn"], (b"h2", b"b", b"c"))
        self.assertEqual(second["sni"], ("x:a", "x:b"))

    def test_required_of_nothing(self) -> None:
        """A protocol can be required only of a list."""
        self.assertIn("has to be configured", " ".join(self.errors(f"{SERVER}requireALPN = yes")))
        self.assertEqual(self.errors(f"{SERVER}requireALPN = yes\nalpn = h2"), [])

    def test_default_for_clients(self) -> None:
        """Identities may stand above servers too, which have no use for them."""
        self.assertEqual(self.errors(f"clientIdentity = f\n{SERVER}"), [])
