"""Tests of stunnel_tx.telemetry.events."""

from __future__ import annotations

import re
import string

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.telemetry import events
from stunnel_tx.telemetry.events import Event

CATALOGUE = {name: event for name, event in vars(events).items() if isinstance(event, Event)}

#: Words that stunnel's own test suite takes for a failed test wherever they appear.
ALARMING = ("INTERNAL ERROR", "Connection lost", "Something went", "FORK")


class CatalogueTests(SynchronousTestCase):
    """The catalogue as a whole."""

    def test_levels_and_texts(self) -> None:
        """Every event has a syslog level and a one-line text whose values go in by position."""
        self.assertGreater(len(CATALOGUE), 50)
        for name, event in CATALOGUE.items():
            self.assertIn(event.level, range(8), name)
            self.assertEqual(len(event.text.splitlines()), 1, name)
            for _, field, _, conversion in string.Formatter().parse(event.text):
                self.assertIn((field, conversion), (("", None), (None, None)), name)

    def test_no_alarming_words(self) -> None:
        """No ordinary line contains what stunnel's test suite counts as a failure."""
        for name, event in CATALOGUE.items():
            for word in ALARMING:
                self.assertNotIn(word, event.text, name)

    def test_bound_to_means_one_thing(self) -> None:
        """Scripts read the port from ``bound to``: one event says that, with the address last."""
        naming = [event for event in CATALOGUE.values() if "bound to" in event.text]
        self.assertEqual(naming, [events.BOUND])
        self.assertTrue(re.search(r"bound to \{\}$", events.BOUND.text))
