"""Tests of the dialogues before TLS, against a scripted server."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.load.dialing import receive_exactly, start_tls

_SMTP = b"220-one\r\n220 two\r\n250-localhost\r\n250-SIZE\r\n250 STARTTLS\r\n220 go\r\n"
_IMAP = b"* OK ready\r\na OK begin\r\n"


class StartTLSTests(SynchronousTestCase):
    """STARTTLS: the server's side of the dialogue is written beforehand."""

    def setUp(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)
        self.ours.settimeout(10)
        self.theirs.settimeout(10)

    def test_smtp(self) -> None:
        """Replies of several lines are read to their end, and nothing after the last."""
        self.theirs.sendall(_SMTP + b"\x16")
        start_tls(self.ours, "smtp")
        self.assertEqual(self.theirs.recv(100), b"EHLO localhost\r\nSTARTTLS\r\n")
        self.assertEqual(self.ours.recv(100), b"\x16")

    def test_imap(self) -> None:
        """The tagged answer is the last that is read."""
        self.theirs.sendall(_IMAP + b"\x16")
        start_tls(self.ours, "imap")
        self.assertEqual(self.theirs.recv(100), b"a STARTTLS\r\n")
        self.assertEqual(self.ours.recv(100), b"\x16")

    def test_refused(self) -> None:
        """Any other answer is an error that shows it."""
        self.theirs.sendall(b"554 no\r\n")
        error = self.assertRaises(ConnectionAbortedError, start_tls, self.ours, "smtp")
        self.assertIn("554 no", str(error))

    def test_endless_line(self) -> None:
        """A line has a bound."""
        self.theirs.sendall(b"2" * 600)
        self.assertRaises(ConnectionAbortedError, start_tls, self.ours, "smtp")

    def test_unknown(self) -> None:
        """Without a dialogue for it a protocol is our mistake."""
        self.assertRaises(ValueError, start_tls, self.ours, "ftp")

    def test_closed(self) -> None:
        """The end of the stream is an error, before the first byte and after some."""
        self.theirs.sendall(b"ab")
        self.theirs.close()
        self.assertRaises(ConnectionResetError, receive_exactly, self.ours, 3)
        self.assertRaises(ConnectionResetError, receive_exactly, self.ours, 1)
