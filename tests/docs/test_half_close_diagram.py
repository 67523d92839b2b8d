"""Tests of the picture of half-closing in the documentation."""

from __future__ import annotations

import importlib.util
import itertools
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.relay.half_close import TRANSITIONS, Event, State

SOURCE = Path(__file__).resolve().parents[2] / "docs" / "half_close_diagram.py"
SVG = "{http://www.w3.org/2000/svg}"


def load() -> Any:
    """The module; the folder of the documentation is no package."""
    spec = importlib.util.spec_from_file_location("half_close_diagram", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class DiagramTests(SynchronousTestCase):
    """The picture and the table say what the program's table says."""

    def setUp(self) -> None:
        self.module = load()
        self.picture = ET.fromstring(self.module.diagram())

    def test_states_and_events(self) -> None:
        """Each state is a box with its name, and each pair of neighbours has its arrow."""
        texts = [str(each.text) for each in self.picture.iter(f"{SVG}text")]
        for state in State:
            self.assertEqual(texts.count(state.name), 1)
        self.assertEqual(len(list(self.picture.iter(f"{SVG}rect"))), len(State))
        pairs = {(before, after) for (before, _), after in TRANSITIONS.items()}
        arrows = [each for each in self.picture.iter(f"{SVG}path") if "marker-end" in each.attrib]
        self.assertEqual(len(arrows), len(pairs))
        words = itertools.chain.from_iterable(each.split(", ") for each in texts)
        events = sorted(word for word in words if word in Event.__members__)
        self.assertEqual(events, sorted(event.name for _, event in TRANSITIONS))

    def test_boxes_are_apart(self) -> None:
        """No box lies on another, and none outside of the picture."""
        _, _, width, height = map(int, self.picture.attrib["viewBox"].split())
        boxes = [
            tuple(int(each.attrib[name]) for name in ("x", "y", "width", "height"))
            for each in self.picture.iter(f"{SVG}rect")
        ]
        for x, y, wide, high in boxes:
            self.assertTrue(0 <= x <= width - wide, (x, width))
            self.assertTrue(0 <= y <= height - high, (y, height))
        for one, two in itertools.combinations(boxes, 2):
            aside = abs(one[0] - two[0]) >= one[2]
            below = abs(one[1] - two[1]) >= one[3]
            self.assertTrue(aside or below, (one, two))

    def test_one_line(self) -> None:
        """The picture is one block of HTML to Markdown: no line break may end it."""
        self.assertNotIn("\n", self.module.diagram())

    def test_table(self) -> None:
        """Each cell of the table is a row of the program's table, and there is no other."""
        head, _, *rows = self.module.table().splitlines()
        events = [Event[name] for name in re.findall(r"`(\w+)`", head)]
        found = {}
        for row in rows:
            before, *cells = [cell.strip() for cell in row.strip("|").split("|")]
            for event, after in zip(events, cells, strict=True):
                if after:
                    found[State[before], event] = State[after]
        self.assertEqual(found, TRANSITIONS)
