"""Tests of stunnel_tx.configuration.model."""

from __future__ import annotations

from attrs.exceptions import FrozenInstanceError
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.model import Place, Problem, Settings, Severity


class ProblemTests(SynchronousTestCase):
    """Problems as the operator sees them."""

    def test_place(self) -> None:
        """A place reads file:line, and places sort by line within a file."""
        self.assertEqual(str(Place("a.conf", 7)), "a.conf:7")
        self.assertLess(Place("a.conf", 9), Place("a.conf", 10))

    def test_complete(self) -> None:
        """A problem is one line: place, option, what is wrong, what would be right."""
        problem = Problem(
            Severity.ERROR, "wrong", Place("a.conf", 7), "x", "connect", "write it right"
        )
        self.assertEqual(str(problem), "a.conf:7: connect: wrong; write it right")

    def test_bare(self) -> None:
        """What is not known leaves no trace in the line."""
        self.assertEqual(str(Problem(Severity.WARNING, "doubtful")), "doubtful")


class SettingsTests(SynchronousTestCase):
    """The view of one scope."""

    def setUp(self) -> None:
        places = {"a": (Place("f", 1), Place("f", 2))}
        self.settings = Settings("x", {"a": 1}, {"a": 0, "b": 2}, places, Place("f", 1))

    def test_values_and_defaults(self) -> None:
        """A value given wins over the default; an option not given has its default."""
        self.assertEqual((self.settings["a"], self.settings["b"]), (1, 2))
        self.assertEqual(list(self.settings), ["a", "b"])

    def test_unknown(self) -> None:
        """A name that is no option of the scope is the programmer's mistake."""
        self.assertRaises(KeyError, self.settings.__getitem__, "c")
        self.assertNotIn("c", self.settings)
        self.assertIn("b", self.settings)

    def test_places(self) -> None:
        """The last line is the place of a value; a list has all of them; a default has none."""
        self.assertEqual(self.settings.place("a"), Place("f", 2))
        self.assertEqual(self.settings.places("a"), (Place("f", 1), Place("f", 2)))
        self.assertIsNone(self.settings.place("b"))
        self.assertEqual(self.settings.places("b"), ())

    def test_is_set(self) -> None:
        """An option is set when a line gave it."""
        self.assertTrue(self.settings.is_set("a"))
        self.assertFalse(self.settings.is_set("b"))

    def test_frozen(self) -> None:
        """Nobody can turn the settings of a running service into something else."""
        with self.assertRaises(FrozenInstanceError):
            self.settings.name = "y"  # type: ignore[misc]
