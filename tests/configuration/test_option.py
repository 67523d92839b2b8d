"""Tests of stunnel_tx.configuration.option."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.option import Context, Ignored, NotYet, Option, Refused, Supported
from stunnel_tx.configuration.values import yes_no


def an_option(support: Supported | NotYet | Refused | Ignored) -> Option:
    """Make an option that is no by default."""
    return Option("thing", "yes|no", "a thing", yes_no, default=False, support=support)


class ObjectionTests(SynchronousTestCase):
    """What this release says to a value."""

    def test_supported(self) -> None:
        """A supported option takes every value in silence."""
        option = an_option(Supported())
        self.assertIsNone(option.objection(value=True))
        self.assertEqual(option.note, "")

    def test_not_yet(self) -> None:
        """An option of a later release is refused, but for its harmless values."""
        objection = an_option(NotYet("things")).objection(value=True)
        assert objection is not None
        self.assertIn("not supported yet", objection[0])
        self.assertIn("things", objection[0])
        self.assertIsNone(an_option(NotYet("things")).objection(value=False))
        self.assertIsNone(an_option(NotYet("things", (True,))).objection(value=True))

    def test_harmless_alone(self) -> None:
        """An option that only tunes a refused one needs no refusal of its own."""
        self.assertIsNone(an_option(NotYet("things", harmless_alone=True)).objection(value=True))

    def test_refused(self) -> None:
        """An option that cannot exist says why and what to do."""
        option = an_option(Refused("no things here", "remove it"))
        self.assertEqual(option.objection(value=True), ("no things here", "remove it"))
        self.assertIsNone(option.objection(value=False))

    def test_ignored(self) -> None:
        """An ignored option warns and is never refused."""
        option = an_option(Ignored("there are no things"))
        self.assertIsNone(option.objection(value=True))
        self.assertIn("there are no things", option.note)

    def test_note(self) -> None:
        """A supported option may have something to say."""
        self.assertEqual(an_option(Supported("careful")).note, "careful")

    def test_read(self) -> None:
        """Reading passes the text to the option's parser."""
        self.assertIs(an_option(Supported()).read("yes", Context()), True)
