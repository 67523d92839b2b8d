"""Saying no once, and clients that start TLS unasked."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import DeadlineExceeded, PeerClosed, ProtocolViolation
from stunnel_tx.negotiation.upgrades import (
    go_ahead,
    implicit_tls,
    refusal,
    request_refusal,
    taken_leave,
    turning,
)
from tests.doubles.conversations import Notes, ScriptedPeer, conversation, run


class RefusalTests(SynchronousTestCase):
    """The protocol's own words for no."""

    def test_once(self) -> None:
        """A refusal is said once, whoever asks for it."""
        local = ScriptedPeer(eof=False)
        talk, refuse = conversation(local), refusal(b"no\r\n")
        run(refuse(talk, PeerClosed("a")))
        run(refuse(talk, PeerClosed("b")))
        self.assertEqual(local.sent, b"no\r\n")

    def test_words_for_the_error(self) -> None:
        """The words may depend on the error."""
        local = ScriptedPeer(eof=False)
        run(refusal(lambda error: str(error).encode())(conversation(local), PeerClosed("gone")))
        self.assertEqual(local.sent, b"gone")

    def test_implicit_tls(self) -> None:
        """A side that has started TLS unasked is told nothing, nor is one that is gone."""
        for said, heard in (
            (b"\x16", b""),
            (b"\x15", b"no\r\n"),
            (b"EHLO", b"no\r\n"),
            (b"", b"no\r\n"),
        ):
            local = ScriptedPeer(said, eof=False)
            run(refusal(b"no\r\n", implicit=True)(conversation(local), PeerClosed("a")))
            self.assertEqual((local.sent, local.unread), (heard, said))
        gone = ScriptedPeer()
        run(refusal(b"no\r\n", implicit=True)(conversation(gone), PeerClosed("a")))
        self.assertEqual(gone.sent, b"")

    def test_inside_tls(self) -> None:
        """Inside TLS nobody is waited for, and what looks like a ClientHello is none."""
        local = ScriptedPeer(b"\x16", eof=False)
        talk = conversation(local, inside_tls=True)
        run(refusal(b"no\r\n", implicit=True)(talk, PeerClosed("a")))
        self.assertEqual((local.sent, local.waits), (b"no\r\n", 0))

    def test_slow_request(self) -> None:
        """A side that does not ask in time hears other words than one that asks wrongly."""
        for error, heard in (
            (DeadlineExceeded("TIMEOUTbusy", 1), b"slow"),
            (ProtocolViolation("x"), b"wrong"),
        ):
            local = ScriptedPeer(eof=False)
            run(request_refusal(b"wrong", b"slow")(conversation(local), error))
            self.assertEqual(local.sent, heard)

    def test_turning(self) -> None:
        """TLS is where the client's part ends and the server's begins."""
        refuse = turning(refusal(b"you"), refusal(b"it"))
        for inside, heard in ((False, b"you"), (True, b"it")):
            local = ScriptedPeer(eof=False)
            run(refuse(conversation(local, inside_tls=inside), PeerClosed("x")))
            self.assertEqual(local.sent, heard)


class ImplicitTests(SynchronousTestCase):
    """Clients that start TLS unasked."""

    def test_detection(self) -> None:
        """The first byte tells; nothing is read, and the log says what was found."""
        for said, direct, text in (
            (b"\x16\x03", True, "RFC 2487 not detected"),
            (b"EHLO", False, "RFC 2487 detected"),
            (b"", False, "RFC 2487 detected"),
        ):
            local, notes = ScriptedPeer(said, eof=False), Notes()
            talk = conversation(local, note=notes)
            self.assertIs(run(implicit_tls(talk, "RFC 2487")), direct)
            self.assertEqual((local.unread, notes.texts), (said, [text]))
            self.assertIs(talk.refused, direct)


class LastWordTests(SynchronousTestCase):
    """The last words in plaintext."""

    def test_go_ahead(self) -> None:
        """After the go-ahead nothing is refused any more."""
        local = ScriptedPeer()
        talk = conversation(local)
        run(go_ahead(talk, b"yes\r\n"))
        run(refusal(b"no\r\n")(talk, PeerClosed("a")))
        self.assertEqual(local.sent, b"yes\r\n")

    def test_taken_leave(self) -> None:
        """A client that leaves hears good-bye and no refusal."""
        local = ScriptedPeer()
        talk = conversation(local)
        error = self.assertRaises(PeerClosed, run, taken_leave(talk, b"bye\r\n"))
        run(refusal(b"no\r\n")(talk, error))
        self.assertEqual(local.sent, b"bye\r\n")
