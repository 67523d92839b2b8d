"""Tests of stunnel_tx.telemetry.observer."""

from __future__ import annotations

import io
import sys
import types

from twisted.logger import LogBeginner, Logger, LogPublisher
from twisted.python import log as legacy_log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.telemetry.levels import NOTICE
from stunnel_tx.telemetry.observer import MAX_TRACEBACK_LINES, LogObserver, begin_logging
from tests.doubles.programs import recording_log


class Unprintable(Exception):
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError


class ObserverTests(SynchronousTestCase):
    """What becomes of Twisted's messages."""

    def _told(self, threshold: int = 7) -> tuple[Logger, list[tuple[int, str, str]]]:
        log, sink = recording_log(threshold)
        return Logger("twisted.test", observer=LogObserver(log.main)), sink.lines

    def test_failure_is_one_line(self) -> None:
        """A failure is one line at level 2 with its type and text, and no traceback."""
        logger, lines = self._told(NOTICE)
        logger.failure("while testing", Failure(ValueError("broken")))
        self.assertEqual(
            lines,
            [
                (
                    2,
                    "ui",
                    "Internal error in twisted.test: ValueError: broken; please report this",
                )
            ],
        )

    def test_traceback_is_for_debugging(self) -> None:
        """At level 7 the traceback follows, bounded, each line on its own."""

        def descend(depth: int) -> None:
            if depth == 0:
                raise ValueError("deep")
            descend(depth - 1)

        logger, lines = self._told()
        try:
            descend(100)
        except ValueError:
            logger.failure("while testing")
        self.assertEqual({level for level, _, _ in lines[1:]}, {7})
        self.assertLessEqual(len(lines) - 1, MAX_TRACEBACK_LINES)
        self.assertIn("ValueError: deep", lines[-1][2])

    def test_unprintable_error(self) -> None:
        """An exception that cannot be shown does not break the log."""
        logger, lines = self._told(NOTICE)
        logger.failure("while testing", Failure(Unprintable()))
        self.assertEqual(len(lines), 1)
        self.assertIn("Unprintable", lines[0][2])

    def test_error_message(self) -> None:
        """An error without an exception is a line at level 3."""
        logger, lines = self._told(NOTICE)
        logger.error("no {what}", what="luck")
        self.assertEqual(lines, [(3, "ui", "twisted.test: no luck")])

    def test_chatter_is_for_debugging(self) -> None:
        """Information and warnings of Twisted appear at level 7 only."""
        logger, lines = self._told(6)
        logger.info("Starting factory")
        logger.warn("old function")  # noqa: G010 - Twisted has no other name
        self.assertEqual(lines, [])
        logger, lines = self._told()
        logger.info("Starting factory")
        self.assertEqual(lines, [(7, "ui", "twisted.test: Starting factory")])

    def test_legacy_error(self) -> None:
        """An error reported through ``twisted.python.log`` is an error, too."""
        log, sink = recording_log(NOTICE)
        publisher = LogPublisher(LogObserver(log.main))
        legacy = legacy_log.LogPublisher(observerPublisher=publisher, publishPublisher=publisher)
        legacy.msg("old style", isError=True, system="old")
        self.assertEqual([level for level, _, _ in sink.lines], [3])

    def test_line_breaks_cannot_forge_lines(self) -> None:
        """A message with line breaks stays one line."""
        logger, lines = self._told(NOTICE)
        logger.error("a\nLOG5[ui]: forged")
        self.assertEqual(lines, [(3, "ui", "twisted.test: a.LOG5[ui]: forged")])


class BeginTests(SynchronousTestCase):
    """The observer is in place before anything can be printed elsewhere."""

    def test_early_messages_arrive_and_stderr_stays_silent(self) -> None:
        """Messages sent before the beginning are delivered; later ones print nothing."""
        publisher, errors = LogPublisher(), io.StringIO()
        warnings = types.SimpleNamespace(showwarning=None)
        streams = types.SimpleNamespace(stdout=sys.stdout, stderr=sys.stderr)
        beginner = LogBeginner(publisher, errors, streams, warnings)
        log, sink = recording_log()
        logger = Logger("early", observer=publisher)
        logger.info("before")
        begin_logging(log.main, beginner)
        logger.critical("after")
        self.assertEqual([text for _, _, text in sink.lines], ["early: before", "early: after"])
        self.assertEqual(errors.getvalue(), "")
        self.assertIs(streams.stderr, sys.stderr)
