"""Where a line ends, and what is no line."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import LimitExceeded, ProtocolViolation
from stunnel_tx.negotiation.framing import find_line

LIMIT = 32
TEXT = st.binary(max_size=LIMIT - 2).filter(lambda text: not set(text) & set(b"\0\r\n"))


class FindLineTests(SynchronousTestCase):
    """:func:`find_line` on bytes that were only looked at."""

    @settings(deadline=None, max_examples=100)
    @given(TEXT, st.sampled_from([b"\r\n", b"\n"]), st.binary(max_size=40))
    def test_every_prefix(self, text: bytes, end: bytes, rest: bytes) -> None:
        """A line is partial up to its last byte, and whole whatever follows it."""
        line = text + end
        for size in range(len(line)):
            self.assertEqual(find_line(line[:size], LIMIT), (None, size))
        self.assertEqual(find_line(line + rest, LIMIT), (text, len(line)))

    def test_rejected(self) -> None:
        """NUL and a CR without LF are refused as soon as they are seen, but not behind a line."""
        for data in (b"a\0", b"\0\n", b"a\rb", b"a\r\r\n", b"\rSTARTTLS\n"):
            self.assertRaises(ProtocolViolation, find_line, data, LIMIT)
        self.assertEqual(find_line(b"a\n\0\rb", LIMIT), (b"a", 2))

    def test_limit(self) -> None:
        """The bound holds with the terminator, for whole and for partial lines."""
        self.assertEqual(find_line(b"a" * 30 + b"\r\n", LIMIT), (b"a" * 30, 32))
        self.assertEqual(find_line(b"a" * 31, LIMIT), (None, 31))
        for data in (b"a" * 31 + b"\r\n", b"a" * 32, b"a" * 32 + b"\n"):
            self.assertRaises(LimitExceeded, find_line, data, LIMIT)
