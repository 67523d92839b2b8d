"""Tests of SOCKS messages as values."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import LimitExceeded, ProtocolViolation, StunnelTxError
from stunnel_tx.negotiation.peer import Endpoint
from stunnel_tx.negotiation.socks_messages import (
    MAX_TEXT,
    Request,
    address_bytes,
    read_reply,
    read_text,
    read_v4,
    read_v5,
    reply,
)
from tests.doubles.conversations import ScriptedPeer, every_split, run

V4 = Request(4, 1)
V5 = Request(5, 1)


class ReplyTests(SynchronousTestCase):
    """Replies as bytes."""

    def test_version_4(self) -> None:
        """Granted or rejected, with the address we are bound to where it fits."""
        self.assertEqual(reply(V4, 0, Endpoint("1.2.3.4", 258)), b"\0\x5a\1\2\1\2\3\4")
        self.assertEqual(reply(V4, 0, Endpoint("2001:db8::1", 1)), b"\0\x5a\0\1\0\0\0\0")
        self.assertEqual(reply(V4, 2), b"\0\x5b\0\0\0\0\0\0")

    def test_version_5(self) -> None:
        """The address is that of the outgoing connection, IPv4 where it is v4-mapped."""
        self.assertEqual(reply(V5, 0, Endpoint("::ffff:1.2.3.4", 258)), b"\5\0\0\1\1\2\3\4\1\2")
        six = reply(V5, 0, Endpoint("2001:db8::1", 1))
        self.assertEqual(six, b"\5\0\0\4\x20\1\x0d\xb8" + bytes(11) + b"\1\0\1")
        for bound in (None, Endpoint("/run/x")):
            self.assertEqual(reply(V5, 5, bound), b"\5\5\0\1" + bytes(6))

    def test_addresses(self) -> None:
        """A destination is sent as the address it is, or as a name."""
        self.assertEqual(address_bytes("1.2.3.4", 80), b"\1\1\2\3\4\0\x50")
        self.assertEqual(address_bytes("a.b", 80), b"\3\3a.b\0\x50")
        self.assertEqual(address_bytes("::1", 80), b"\4" + bytes(15) + b"\1\0\x50")


class ReadTests(SynchronousTestCase):
    """Messages from the wire."""

    def test_text(self) -> None:
        """A text is taken up to its NUL, at every split, and bounded."""
        for splits in every_split(b"user\0next"):
            peer = ScriptedPeer(b"user\0next", splits=splits)
            self.assertEqual((run(read_text(peer)), peer.unread), (b"user", b"next"))
        longest = b"x" * MAX_TEXT
        self.assertEqual(run(read_text(ScriptedPeer(longest + b"\0"))), longest)
        self.assertRaises(LimitExceeded, run, read_text(ScriptedPeer(longest + b"x\0")))

    def test_replies(self) -> None:
        """A reply of every address type is taken whole, a name included."""
        for tail in (b"\1" + bytes(6), b"\3\5abcde\0\0", b"\3\0\0\0", b"\4" + bytes(18)):
            for splits in every_split(b"\5\0\0" + tail + b"SSH-2.0"):
                peer = ScriptedPeer(b"\5\0\0" + tail + b"SSH-2.0", splits=splits)
                self.assertEqual((run(read_reply(peer)), peer.unread), (0, b"SSH-2.0"))

    def test_bad_replies(self) -> None:
        """Another version or an unknown address type cannot be followed."""
        self.assertRaises(ProtocolViolation, run, read_reply(ScriptedPeer(b"\4\0\0\1" + bytes(6))))
        self.assertRaises(ProtocolViolation, run, read_reply(ScriptedPeer(b"\5\0\0\2" + bytes(6))))
        self.assertEqual(run(read_reply(ScriptedPeer(b"\5\1\0\0"))), 1)

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=300))
    def test_anything(self, data: bytes) -> None:
        """No bytes lead to anything but a request or one of our errors."""
        for read in (read_v4, read_v5, read_reply):
            for start in (b"", b"\5\1\0\3", b"\1\0\x50\0\0\0\1"):
                try:
                    run(read(ScriptedPeer(start + data)))
                except StunnelTxError:
                    continue
