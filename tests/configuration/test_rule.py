"""Tests of stunnel_tx.configuration.rule."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.loader import examine, text_source
from stunnel_tx.configuration.rule import Rule, Subject


class RuleTests(SynchronousTestCase):
    """The parts that rules are made of."""

    def test_reads(self) -> None:
        """The options a rule reads are given as one text of names."""
        self.assertEqual(Rule("a b", lambda _subject: iter(())).reads, frozenset({"a", "b"}))

    def test_subject(self) -> None:
        """A subject answers with the settings of its scope."""
        text = b"[x]\nclient = yes\naccept = 1\nconnect = 2\n"
        (settings,) = examine(text_source(text, "f")).configuration.services
        self.assertIs(Subject(settings)["client"], True)
