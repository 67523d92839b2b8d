"""Tests of CIFS: the session request and its refusals."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation.protocols.cifs import NEGOTIATION
from tests.doubles.conversations import Turns
from tests.negotiation.protocols.plays import both, play, play_cut, play_split, refusal

CLIENT, SERVER = both(NEGOTIATION)

USE_TLS = bytes.fromhex("830000018e")
NOT_LISTENING = bytes.fromhex("8300000181")
UNSPECIFIED = bytes.fromhex("830000018f")
REQUEST = bytes.fromhex("81000000")


class ClientTests(SynchronousTestCase):
    """Client mode."""

    def test_use_tls(self) -> None:
        """Only the refusal "use TLS" leads to TLS; what follows it stays for TLS."""
        for answer in (USE_TLS, bytes.fromhex("83ff00018e")):
            played = play_split(self, CLIENT.middle, b"x", Turns([(REQUEST, answer + b"injected")]))
            self.assertEqual((played.error, played.local, played.remote), ("", b"", REQUEST))
            self.assertEqual((played.remote_unread, played.local_unread), (b"injected", b"x"))

    def test_refused(self) -> None:
        """Any other answer ends it."""
        for answer in ("8300000181", "82000000", "830000028e00", "830001018e", "8200000183"):
            played = play_split(self, CLIENT.middle, b"", bytes.fromhex(answer))
            self.assertEqual((played.error, played.local), ("PeerRefused", UNSPECIFIED))

    def test_truncated(self) -> None:
        """The server may go away, or fall silent, at every byte."""
        play_cut(self, CLIENT.middle, b"", USE_TLS, of="remote")


class ServerTests(SynchronousTestCase):
    """Server mode."""

    def test_request(self) -> None:
        """A session request, with names or without, is answered "use TLS"."""
        for names in (b"", bytes(68), bytes(124)):
            header = b"\x81\0" + len(names).to_bytes(2, "big")
            played = play_split(self, SERVER.early, header + names + b"injected")
            self.assertEqual((played.error, played.local, played.refused), ("", USE_TLS, True))
            self.assertEqual((played.local_unread, played.remote), (b"injected", b""))

    def test_refused(self) -> None:
        """Other messages and longer ones are refused before they are read."""
        for data, error in (
            (b"\x00\0\0\x40", "ProtocolViolation"),
            (b"\x16\3\1\2", "ProtocolViolation"),
            (b"\x81\0\0\x7d", "LimitExceeded"),
            (b"\x81\1\0\0", "LimitExceeded"),
        ):
            played = play(SERVER.early, data, eof=False)
            self.assertEqual((played.error, played.local), (error, NOT_LISTENING))

    def test_truncated(self) -> None:
        """The client may go away, or fall silent, at every byte."""
        play_cut(self, SERVER.early, b"\x81\0\0\x08namename", of="local")

    def test_backend_down(self) -> None:
        """The refusal gives no particular reason."""
        for stages, inside in ((CLIENT, False), (SERVER, True)):
            self.assertEqual(refusal(stages, inside_tls=inside), UNSPECIFIED)
