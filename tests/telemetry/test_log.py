"""Tests of stunnel_tx.telemetry.log."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.telemetry.events import Event
from stunnel_tx.telemetry.levels import DEBUG, ERR, INFO, NOTICE
from stunnel_tx.telemetry.log import MAX_PENDING, MAX_TEXT, Log, clean
from tests.doubles.programs import RecordingSink, recording_log

DETAIL = Event(INFO, "detail {}")
TROUBLE = Event(ERR, "trouble {} {}")


class Unformattable:
    """Fails the test that makes a text of it."""

    def __format__(self, spec: str) -> str:
        raise AssertionError("formatted a line nobody wants")


class CleanTests(SynchronousTestCase):
    """What a peer sends cannot forge lines, steer a terminal or fill a disk."""

    def test_control_characters(self) -> None:
        """Control characters and Unicode line separators become dots."""
        self.assertEqual(clean("a\r\nb\x1b[1m\x7f\x85\u2028c\n"), "a..b.[1m...c")

    def test_high_characters_are_kept(self) -> None:
        """Names in any script stay readable."""
        self.assertEqual(clean("Zażółć, 東京"), "Zażółć, 東京")

    @settings(deadline=None, max_examples=100)
    @given(st.text(alphabet=st.characters(codec=None), max_size=3000))
    def test_any_text(self, text: str) -> None:
        """Any text comes out as one bounded line that can be encoded."""
        line = clean(text)
        self.assertLessEqual(len(line.splitlines()), 1)
        self.assertLessEqual(len(line), MAX_TEXT * len("\\udfff"))
        line.encode("utf-8")


class ScopeTests(SynchronousTestCase):
    """Levels are compared before anything is formatted."""

    def test_line_below_the_threshold_is_never_formatted(self) -> None:
        """An event nobody takes costs no formatting."""
        log, sink = recording_log(NOTICE)
        log.main(DETAIL, Unformattable())
        self.assertEqual(sink.lines, [])

    def test_own_threshold_of_a_service(self) -> None:
        """A scope with a threshold of its own does not follow the log's."""
        log, sink = recording_log(NOTICE)
        scope = log.scope("7", DEBUG)
        scope(DETAIL, 1)
        scope.child("8", ERR)(DETAIL, 2)
        self.assertEqual(sink.lines, [(INFO, "7", "detail 1")])

    def test_main_scope_can_be_renamed(self) -> None:
        """The main program is ``ui`` until it becomes a daemon."""
        log, sink = recording_log()
        log.main(DETAIL, 1)
        log.main.ident = "main"
        log.main(DETAIL, 2)
        self.assertEqual([ident for _, ident, _ in sink.lines], ["ui", "main"])


class LogTests(SynchronousTestCase):
    """Lines are kept until the sinks are known."""

    def test_kept_lines_meet_the_final_threshold(self) -> None:
        """Lines from before the opening are delivered in order, if the level allows them."""
        log, sink = Log(), RecordingSink()
        log.main(DETAIL, 1)
        log.main(TROUBLE, 2, 3)
        log.open([sink], NOTICE)
        self.assertEqual(sink.texts, ["trouble 2 3"])
        self.assertFalse(log.main.enabled(INFO))

    def test_kept_lines_are_bounded(self) -> None:
        """A start that logs without end does not take all memory."""
        log = Log()
        for number in range(MAX_PENDING + 5):
            log.main(DETAIL, number)
        self.assertEqual(len(log.take_pending()), MAX_PENDING)
        self.assertEqual(log.take_pending(), ())

    def test_reopen_and_close_reach_every_sink(self) -> None:
        """Each sink is asked once; after the close nothing is delivered."""
        log, sink = recording_log()
        log.reopen()
        log.close()
        log.main(DETAIL, 1)
        self.assertEqual((sink.reopened, sink.closed, sink.lines), (1, 1, []))
