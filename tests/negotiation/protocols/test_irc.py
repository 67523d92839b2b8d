"""Tests of IRC STARTTLS."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation.limits import LINE, LINES
from stunnel_tx.negotiation.protocols.irc import NEGOTIATION, parse
from tests.doubles.conversations import Turns
from tests.negotiation.protocols.plays import both, play, play_cut, play_split, refusal

CLIENT, SERVER = both(NEGOTIATION)

GRANTED = b":irc.example.org 670 * :STARTTLS successful, go ahead with TLS handshake\r\n"
OURS = b":localhost 670 * :STARTTLS successful, proceed with TLS handshake\r\n"
FIRST = b":localhost 691 * :TLS is required: send STARTTLS first\r\n"
GONE = b"ERROR :Closing link: the server cannot be reached\r\n"
EXPECTED = b"ERROR :Closing link: STARTTLS expected\r\n"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00"


class ParseTests(SynchronousTestCase):
    """:func:`parse`."""

    def test_messages(self) -> None:
        """Tags and prefix are skipped, the command is in upper case, trailing text is one."""
        for line, command, parameters in (
            (b"starttls", b"STARTTLS", []),
            (b":irc.example.org 670 * :go ahead", b"670", [b"*", b"go ahead"]),
            (b"@time=1;x=y :a!b@c  CAP LS 302", b"CAP", [b"LS", b"302"]),
            (b"CAP REQ :tls sasl", b"CAP", [b"REQ", b"tls sasl"]),
            (b"", b"", []),
            (b":only.a.prefix", b"", []),
            (b"   ", b"", []),
        ):
            self.assertEqual(parse(line), (command, parameters))


class ClientTests(SynchronousTestCase):
    """Client mode."""

    def test_granted(self) -> None:
        """670 leads to TLS; notices before it are dropped, what follows stays for TLS."""
        chatter = (
            b":irc NOTICE AUTH :*** Looking up your hostname\r\n:irc 020 * :wait\r\nPING :1\r\n"
        )
        for before in (b"", chatter):
            played = play_split(
                self,
                CLIENT.middle,
                b"NICK me\r\n",
                Turns([(b"", before), (b"STARTTLS\r\n", GRANTED + b":irc 001 me :hi\r\n")]),
            )
            self.assertEqual((played.error, played.local), ("", b""))
            self.assertEqual(played.remote, b"STARTTLS\r\n")
            self.assertEqual(played.remote_unread, b":irc 001 me :hi\r\n")
            self.assertEqual(played.local_unread, b"NICK me\r\n")

    def test_refused(self) -> None:
        """691, unknown command, not registered and ERROR end it; the text reaches nobody."""
        for answer in (
            b":irc 691 * :SECRET\r\n", b":irc 421 * STARTTLS :SECRET\r\n",
            b"451 SECRET\r\n", b"ERROR :SECRET\r\n", b":irc NOTICE * :x\r\n:irc 502 * :x\r\n",
        ):  # fmt: skip
            played = play_split(self, CLIENT.middle, b"", answer)
            self.assertEqual((played.error, played.local), ("PeerRefused", GONE))
            self.assertEqual(played.reason, "Server does not support TLS")

    def test_wrong(self) -> None:
        """Other messages, NUL, a bare CR, long lines and endless notices end it."""
        for answer, error in (
            (b":irc 001 me :welcome\r\n", "ProtocolViolation"),
            (b"670x * :no\r\n", "ProtocolViolation"),
            (b"\r\n", "ProtocolViolation"),
            (b":irc 670\0 *\r\n", "ProtocolViolation"),
            (b":irc NOTICE * :a\r:irc 670 * :x\r\n", "ProtocolViolation"),
            (b":" + b"x" * LINE, "LimitExceeded"),
            (b":irc NOTICE * :x\r\n" * (LINES + 1), "LimitExceeded"),
        ):
            played = play(CLIENT.middle, b"", answer)
            self.assertEqual((played.error, played.local), (error, GONE), answer[:40])

    def test_truncated(self) -> None:
        """The server may go away, or fall silent, at every byte."""
        play_cut(self, CLIENT.middle, b"", GRANTED, of="remote")


class ServerTests(SynchronousTestCase):
    """Server mode."""

    def test_starttls(self) -> None:
        """STARTTLS is granted; what comes with it stays for TLS."""
        played = play_split(self, SERVER.early, b"starttls\r\nPASS SECRET\r\n")
        self.assertEqual((played.error, played.local, played.refused), ("", OURS, True))
        self.assertEqual((played.local_unread, played.remote), (b"PASS SECRET\r\n", b""))

    def test_capabilities(self) -> None:
        """The only capability is tls, and it may be asked for."""
        played = play_split(
            self,
            SERVER.early,
            b"CAP LS 302\r\nCAP LIST\r\nCAP REQ :tls\r\nCAP REQ :sasl\r\nCAP END\r\nSTARTTLS\r\n",
        )
        self.assertEqual(
            played.local,
            b":localhost CAP * LS :tls\r\n:localhost CAP * LIST :\r\n:localhost CAP * ACK :tls\r\n"
            b":localhost CAP * NAK :sasl\r\n" + FIRST + OURS,
        )

    def test_registration(self) -> None:
        """Registration before TLS is refused without being repeated, and STARTTLS may follow."""
        played = play_split(
            self,
            SERVER.early,
            b"PASS SECRET\r\n\r\nNICK SECRET\r\nUSER SECRET 0 * :x\r\nSTARTTLS\r\n",
        )
        self.assertEqual((played.error, played.local), ("", FIRST * 3 + OURS))
        self.assertEqual(played.remote, b"")

    def test_implicit(self) -> None:
        """A client that starts TLS at once is left to it."""
        played = play_split(self, SERVER.early, CLIENT_HELLO)
        self.assertEqual((played.local, played.local_unread), (b"", CLIENT_HELLO))
        self.assertTrue(played.refused)

    def test_ends(self) -> None:
        """QUIT is answered; endless or malformed lines are refused."""
        quit_words = b"ERROR :Closing link: Quit\r\n"
        for data, error, words in (
            (b"QUIT :bye\r\n", "PeerClosed", quit_words),
            (b"\0STARTTLS\r\n", "ProtocolViolation", EXPECTED),
            (b"STARTTLS\rNICK x\r\n", "ProtocolViolation", EXPECTED),
            (b"x" * LINE, "LimitExceeded", EXPECTED),
            (b"CAP LS\r\n" * (LINES + 1), "LimitExceeded", EXPECTED),
        ):
            played = play(SERVER.early, data)
            self.assertEqual(played.error, error)
            self.assertTrue(played.local.endswith(words))

    def test_truncated(self) -> None:
        """The client may go away, or fall silent, at every byte."""
        play_cut(self, SERVER.early, b"CAP LS\r\nSTARTTLS\r\n", of="local")

    def test_backend_down(self) -> None:
        """ERROR tells that there will be no connection."""
        for stages, inside in ((CLIENT, False), (SERVER, True)):
            self.assertEqual(refusal(stages, inside_tls=inside), GONE)
