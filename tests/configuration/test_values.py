"""Tests of stunnel_tx.configuration.values (the option samples cover most parsers)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration import values
from stunnel_tx.configuration.values import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable

PARSERS: tuple[Callable[[str], object], ...] = (
    values.yes_no,
    values.text,
    values.words,
    values.ip_address,
    values.level_only,
    values.debug_level,
    values.retry_delay,
    values.verify_level,
    values.protocol_version,
    values.ocsp_flag,
    values.responder_url,
    values.transparency,
    values.environment_assignment,
    values.hex_key("key"),
    values.integer("number", 0, 9),
    values.seconds("timeout"),
    values.choice("a", "b"),
)


class ReasonTests(SynchronousTestCase):
    """The words of refusals, which scripts look for."""

    def reason(self, parse: Callable[[str], object], given_text: str) -> str:
        """Return the reason a text is refused for."""
        reason: str = self.assertRaises(InvalidValue, parse, given_text).reason
        return reason

    def test_yes_no(self) -> None:
        """The classic answer to a wrong yes-or-no."""
        expected = "The argument needs to be either 'yes' or 'no'"
        self.assertEqual(self.reason(values.yes_no, "true"), expected)

    def test_three_words(self) -> None:
        """A choice of three is listed with commas and a final or."""
        parse = values.choice("yes", "quiet", "no")
        expected = "The argument needs to be either 'yes', 'quiet' or 'no'"
        self.assertEqual(self.reason(parse, "x"), expected)

    def test_versions(self) -> None:
        """SSLv3 is told apart from words that never were a version."""
        self.assertEqual(self.reason(values.protocol_version, "x"), "Invalid protocol version")
        sslv3 = self.reason(values.protocol_version, "SSLv3")
        self.assertIn("Invalid protocol version", sslv3)
        self.assertIn("not available in this OpenSSL", sslv3)

    def test_debug(self) -> None:
        """Level and facility are told apart; an empty level is an error, not a crash."""
        self.assertEqual(self.reason(values.debug_level, "daemon."), "Illegal debug level")
        self.assertEqual(self.reason(values.debug_level, "x.3"), "Illegal syslog facility")

    def test_unit(self) -> None:
        """A time-out with a unit is answered with the unit it has anyway."""
        error = self.assertRaises(InvalidValue, values.seconds("idle timeout"), "30s")
        self.assertEqual(error.reason, "Illegal idle timeout")
        self.assertIn("without a unit", error.remedy)


class QuotedTests(SynchronousTestCase):
    """Operator's text in messages."""

    def test_control_characters(self) -> None:
        """A control character or a stray byte cannot reach the terminal."""
        self.assertEqual(values.quoted("a\x1b[1m\udcff"), '"a.[1m."')

    def test_long(self) -> None:
        """A long text is cut."""
        self.assertEqual(len(values.quoted("x" * 500)), 82)


class LevelTests(SynchronousTestCase):
    """Debug levels."""

    def test_shown(self) -> None:
        """A level is shown as it is written."""
        self.assertEqual(str(values.DebugLevel("daemon", 5)), "daemon.notice")
        self.assertEqual(str(values.DebugLevel(None, 0)), "emerg")

    def test_all_levels(self) -> None:
        """Every name and every digit is a level; there is no eighth."""
        for number, name in enumerate(values.LEVELS):
            self.assertEqual(values.level_only(name.upper()).level, number)
            self.assertEqual(values.level_only(str(number)).level, number)
        self.assertRaises(InvalidValue, values.level_only, "8")

    def test_all_facilities(self) -> None:
        """Every facility can stand before the dot, in any case."""
        for name in values.FACILITIES:
            self.assertEqual(values.debug_level(f"{name.upper()}.7").facility, name)


class AnyTextTests(SynchronousTestCase):
    """Whatever is written, a parser answers or refuses."""

    @settings(deadline=None, max_examples=100)
    @given(st.text(max_size=40))
    def test_no_other_exception(self, given_text: str) -> None:
        """No text makes a parser fail in any way but InvalidValue."""
        for parse in PARSERS:
            try:
                parse(given_text)
            except InvalidValue as error:
                self.assertTrue(error.reason)
                self.assertTrue(error.remedy)

    @settings(deadline=None, max_examples=50)
    @given(st.integers(-(10**17), 10**17))
    def test_numbers(self, number: int) -> None:
        """A decimal number of ordinary size is read as itself."""
        self.assertEqual(values.integer("number")(str(number)), number)
