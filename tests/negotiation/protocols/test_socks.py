"""Tests of ``protocol = socks`` as a client; its server has a module of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import (
    DeadlineExceeded,
    OperatingError,
    PeerClosed,
    PeerRefused,
    ProtocolViolation,
    StunnelTxError,
)
from stunnel_tx.negotiation.peer import Endpoint, NegotiationOptions
from stunnel_tx.negotiation.protocols.socks import NEGOTIATION
from tests.doubles.conversations import (
    Notes,
    ScriptedPeer,
    Turns,
    conversation,
    every_split,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


APP = b"SSH-2.0-x\r\n"
WANTED = b"\5\1\0\3\x09a.example\1\xbb"
GRANT = b"\5\0\0\1" + bytes(6)


class ClientTests(SynchronousTestCase):
    """Asking a SOCKS server."""

    def talk(
        self, turns: Sequence[tuple[bytes, bytes]], splits: tuple[int, ...] = (), **options: Any
    ) -> None:
        """Hold a dialogue with a server that keeps to *turns*."""
        assert NEGOTIATION.client is not None
        assert NEGOTIATION.client.late is not None
        self.note = Notes()
        self.local = ScriptedPeer(b"not to be read")
        self.server = ScriptedPeer(Turns(turns), splits=splits)
        chosen = NegotiationOptions(**{"host": "a.example:443", **options})
        talk = conversation(self.local, self.server, options=chosen, note=self.note)
        run(NEGOTIATION.client.late(talk))

    def refused(
        self, turns: Sequence[tuple[bytes, bytes]], kind: type[StunnelTxError], **options: Any
    ) -> str:
        """The error's text, the same at every split, with nothing leaked."""
        texts = set()
        for splits in every_split(Turns(turns)):
            texts.add(str(self.assertRaises(kind, self.talk, turns, splits, **options)))
            self.assertEqual((self.local.sent, self.local.consumed), (b"", b""))
        self.assertEqual(len(texts), 1)
        return texts.pop()

    def test_plain(self) -> None:
        """Without credentials one method is offered; what follows the reply stays."""
        for tail in (b"\1" + bytes(6), b"\3\4name\0\0", b"\4" + bytes(18)):
            turns = [(b"\5\1\0", b"\5\0"), (WANTED, b"\5\0\0" + tail + APP)]
            for splits in every_split(Turns(turns)):
                self.talk(turns, splits)
                self.assertEqual(self.server.sent, b"\5\1\0" + WANTED)
                self.assertEqual(self.server.unread, APP)
                self.assertEqual((self.local.sent, self.local.consumed), (b"", b""))

    def test_password(self) -> None:
        """User and password go out when the server asks for them, and never into the log."""
        turns = [
            (b"\5\2\0\2", b"\5\2"),
            (b"\1\2me\6secret", b"\1\0"),
            (WANTED, GRANT + APP),
        ]
        for splits in every_split(Turns(turns)):
            self.talk(turns, splits, username="me", password="secret")
            self.assertEqual(self.server.unread, APP)
        self.assertNotIn("secret", "".join(self.note.texts))

    def test_password_not_wanted(self) -> None:
        """A server that wants no login gets no password."""
        turns = [(b"\5\2\0\2", b"\5\0"), (WANTED, GRANT)]
        self.talk(turns, username="me", password="secret")
        self.assertNotIn(b"secret", self.server.sent)

    def test_wrong_password(self) -> None:
        """A refused login ends the dialogue."""
        turns = [(b"\5\2\0\2", b"\5\2"), (b"secret", b"\1\1")]
        text = self.refused(turns, PeerRefused, username="me", password="secret")
        self.assertNotIn("secret", text)

    def test_methods(self) -> None:
        """No method, one that was not offered, or another version ends the dialogue."""
        self.refused([(b"\5\1\0", b"\5\xff")], PeerRefused)
        self.refused([(b"\5\1\0", b"\5\2")], ProtocolViolation)
        self.refused([(b"\5\1\0", b"\5\1")], ProtocolViolation)
        self.refused([(b"\5\1\0", b"\4\0")], ProtocolViolation)
        self.refused([(b"\5\1\0", b"HTTP/1.1 400 Bad\r\n")], ProtocolViolation)

    def test_replies(self) -> None:
        """Each refusal is told in the words of the RFC."""
        words = {1: "general", 2: "ruleset", 5: "Connection refused", 8: "Address type", 99: "99"}
        for code, word in words.items():
            reply = bytes((5, code, 0, 1)) + bytes(6)
            text = self.refused([(b"\5\1\0", b"\5\0"), (WANTED, reply)], PeerRefused)
            self.assertIn(word, text)
        self.talk([(b"\5\1\0", b"\5\0"), (WANTED, GRANT)])
        self.assertEqual(self.note.texts, [])

    def test_truncated(self) -> None:
        """A server that goes away at any place ends the dialogue."""
        for place in range(2):
            self.refused([(b"\5\1\0", b"\5\0"[:place])], PeerClosed)
        for place in range(len(GRANT)):
            self.refused([(b"\5\1\0", b"\5\0"), (WANTED, GRANT[:place])], PeerClosed)

    def test_late(self) -> None:
        """A silent server is cut off by the deadline."""
        assert NEGOTIATION.client is not None
        assert NEGOTIATION.client.late is not None
        talk = conversation(
            ScriptedPeer(),
            ScriptedPeer(b"\5", eof=False),
            options=NegotiationOptions(host="a.example:443"),
        )
        self.assertRaises(DeadlineExceeded, run, NEGOTIATION.client.late(talk))

    def test_destinations(self) -> None:
        """Numeric hosts are sent as addresses."""
        wanted = b"\5\1\0\4\x20\1\x0d\xb8" + bytes(11) + b"\1\0\x16"
        self.talk([(b"\5\1\0", b"\5\0"), (wanted, GRANT)], host="[2001:db8::1]:22")
        wanted = b"\5\1\0\1\xc0\0\2\1\0\x16"
        self.talk([(b"\5\1\0", b"\5\0"), (wanted, GRANT)], host="192.0.2.1:22")

    def test_transparent(self) -> None:
        """Without protocolHost the original destination is asked for, where it is known."""
        assert NEGOTIATION.client is not None
        assert NEGOTIATION.client.late is not None
        server = ScriptedPeer(Turns([(b"\5\1\0", b"\5\0"), (b"\1\xc0\0\2\1\0\x16", GRANT)]))
        talk = conversation(ScriptedPeer(), server, destination=Endpoint("192.0.2.1", 22))
        run(NEGOTIATION.client.late(talk))
        self.assertEqual(server.unread, b"")

    def test_bad_options(self) -> None:
        """Options that cannot be sent are the operator's error, before anything is sent."""
        rows: tuple[dict[str, Any], ...] = (
            {"host": None},
            {"host": "a.example"},
            {"host": "x" * 256 + ":1"},
            {"username": "", "password": "secret"},
            {"username": "me", "password": "secret" * 50},
        )
        for options in rows:
            error = self.assertRaises(OperatingError, self.talk, [], **options)
            self.assertNotIn("secret", str(error))
            self.assertEqual(self.server.sent, b"")
