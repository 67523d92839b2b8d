"""Reply lines and commands, taken apart."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import LimitExceeded, OperatingError, ProtocolViolation
from stunnel_tx.negotiation.limits import LINES
from stunnel_tx.negotiation.peer import NegotiationOptions
from stunnel_tx.negotiation.replies import (
    called,
    host_name,
    read_reply,
    shown,
    split_code,
    split_command,
)
from tests.doubles.conversations import ScriptedPeer, every_split, run


class ShownTests(SynchronousTestCase):
    """A peer's bytes in an error message."""

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=300))
    def test_harmless(self, line: bytes) -> None:
        """Whatever the bytes, the text is short, printable and on one line."""
        text = shown(line)
        self.assertTrue(text.isprintable())
        self.assertTrue(text.isascii())
        self.assertLessEqual(len(text), 60 * 4 + 3)

    def test_cut(self) -> None:
        """A long line is cut, and it shows."""
        self.assertEqual(shown(b"a" * 60), "a" * 60)
        self.assertEqual(shown(b"a" * 61), "a" * 60 + "...")
        self.assertEqual(shown(b"\x1b[2J\xff"), "\\x1b[2J\\xff")


class SplitCodeTests(SynchronousTestCase):
    """One reply line."""

    def test_lines(self) -> None:
        """Code, more to come, text."""
        for line, expected in (
            (b"220 hello you", (220, False, b"hello you")),
            (b"250-SIZE", (250, True, b"SIZE")),
            (b"250-", (250, True, b"")),
            (b"354", (354, False, b"")),
        ):
            self.assertEqual(split_code(line), expected)

    def test_no_code(self) -> None:
        """Anything but three digits and a separator is no reply."""
        for line in (
            b"",
            b"22",
            b"2200",
            b"220x",
            b" 220",
            b"000 x",
            b"620 x",
            b"+OK",
            b"2\xb20 x",
        ):
            self.assertRaises(ProtocolViolation, split_code, line)


class ReadReplyTests(SynchronousTestCase):
    """Replies of several lines."""

    def test_every_split(self) -> None:
        """All lines are read, nothing behind them is, and the first text is kept."""
        data = b"250-first\r\n250-\n250\r\n250 next reply\r\n"
        for splits in every_split(data):
            peer = ScriptedPeer(data, splits=splits)
            reply = run(read_reply(peer))
            self.assertEqual((reply.code, reply.text), (250, b"first"))
            self.assertEqual(peer.unread, b"250 next reply\r\n")

    def test_changing_code(self) -> None:
        """The lines of a reply bear one code (RFC 5321 §4.2.1)."""
        self.assertRaises(ProtocolViolation, run, read_reply(ScriptedPeer(b"250-a\r\n550 b\r\n")))

    def test_bounds(self) -> None:
        """A line that is too long and a reply that does not end are cut off."""
        for data in (b"220 " + b"a" * 3000 + b"\r\n", b"220-a\r\n" * (LINES + 1)):
            self.assertRaises(LimitExceeded, run, read_reply(ScriptedPeer(data)))

    def test_text(self) -> None:
        """A reply in a message is one short line."""
        for data, text in ((b"550 no\x1b\r\n", "550 no\\x1b"), (b"550\r\n", "550")):
            self.assertEqual(str(run(read_reply(ScriptedPeer(data)))), text)


class SplitCommandTests(SynchronousTestCase):
    """A client's command line."""

    def test_lines(self) -> None:
        """The verb in upper case, the argument as it is, without blanks around them."""
        for line, expected in (
            (b"ehlo  Me ", (b"EHLO", b"Me")),
            (b"  QUIT\t", (b"QUIT", b"")),
            (b"", (b"", b"")),
            (b"AUTH PLAIN x", (b"AUTH", b"PLAIN x")),
        ):
            self.assertEqual(split_command(line), expected)


class OptionTests(SynchronousTestCase):
    """What the service's options put on the wire."""

    def test_host_name(self) -> None:
        """Names and address literals pass; blanks, controls and markup do not."""
        for good in (
            b"mx.example.org",
            b"[192.0.2.1]",
            b"[IPv6:2001:db8::1]",
            b"my_host",
            b"a" * 255,
        ):
            self.assertEqual(host_name(good), good)
        for bad in (b"", b"a b", b"a\r\nb", b"a\n", b"<a>", b"\xc3\xa4", b"a" * 256, b"-a"):
            self.assertIsNone(host_name(bad))

    def test_called(self) -> None:
        """protocolHost, or localhost; never something that adds a line."""
        self.assertEqual(called(NegotiationOptions()), b"localhost")
        self.assertEqual(called(NegotiationOptions(host="mx.example.org")), b"mx.example.org")
        self.assertRaises(OperatingError, called, NegotiationOptions(host="a\r\nQUIT"))
