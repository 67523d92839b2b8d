"""Tests of FTP: AUTH TLS in both directions, and honest answers about data connections."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation.limits import LINE, LINES
from stunnel_tx.negotiation.protocols.ftp import NEGOTIATION
from tests.doubles.conversations import Turns
from tests.negotiation.protocols.plays import both, play, play_cut, play_split, refusal

CLIENT, SERVER = both(NEGOTIATION)

OURS = b"220 Service ready\r\n"
GONE = b"421 Service not available, closing control connection\r\n"
REQUIRED = b"530 AUTH TLS is required\r\n"
GO = b"234 Proceed with TLS\r\n"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00"
WELCOME = b"220-SECRET\r\n 220 not yet\r\n220-nor now\r\n220 SECRET\r\n"


class ClientTests(SynchronousTestCase):
    """Client mode."""

    def test_auth(self) -> None:
        """234 leads to TLS; the greeting is withheld, what follows the go-ahead stays for TLS."""
        for welcome in (b"220 x\r\n", b"220\r\n", WELCOME, b"120 soon\r\n220 x\r\n"):
            script = Turns([(b"", welcome), (b"AUTH TLS\r\n", b"234 go\r\n230 injected\r\n")])
            played = play_split(self, CLIENT.middle, b"USER x\r\n", script)
            self.assertEqual((played.error, played.local), ("", b""))
            self.assertEqual(played.remote, b"AUTH TLS\r\n")
            self.assertEqual(played.remote_unread, b"230 injected\r\n")
            self.assertEqual(played.local_unread, b"USER x\r\n")

    def test_refused(self) -> None:
        """Another greeting, or any answer but 234, ends it; the server's text reaches nobody."""
        for welcome, answer in (
            (b"421 SECRET\r\n", b""),
            (b"530 SECRET\r\n", b""),
            (b"120 x\r\n120 x\r\n", b""),
            (b"220 x\r\n", b"500 SECRET\r\n"),
            (b"220 x\r\n", b"334 SECRET\r\n"),
            (b"220 x\r\n", b"530-SECRET\r\n530 SECRET\r\n"),
        ):
            script = Turns([(b"", welcome), *([(b"AUTH TLS\r\n", answer)] if answer else [])])
            played = play_split(self, CLIENT.middle, b"", script)
            self.assertEqual((played.error, played.local), ("PeerRefused", GONE))
            self.assertNotIn("SECRET", played.reason)

    def test_wrong(self) -> None:
        """What is no reply, or has no end, ends it."""
        for welcome, error in (
            (b"hello\r\n", "ProtocolViolation"),
            (b"22 x\r\n", "ProtocolViolation"),
            (b"2200 x\r\n", "ProtocolViolation"),
            (b"220 a\rb\r\n", "ProtocolViolation"),
            (b"220 a\0b\r\n", "ProtocolViolation"),
            (b"220 " + b"x" * LINE, "LimitExceeded"),
            (b"220-x\r\n" * (LINES + 1), "LimitExceeded"),
        ):
            played = play(CLIENT.middle, b"", welcome)
            self.assertEqual((played.error, played.local), (error, GONE), welcome[:20])

    def test_data_connections(self) -> None:
        """Inside TLS plain data connections are agreed on, and then our greeting is sent."""
        script = Turns(
            [(b"PBSZ 0\r\n", b"200 PBSZ=0\r\n"), (b"PROT C\r\n", b"200 ok\r\n331 x\r\n")]
        )
        played = play_split(self, CLIENT.late, b"USER x\r\n", script)
        self.assertEqual((played.error, played.local, played.notes), ("", OURS, ()))
        self.assertEqual(played.remote_unread, b"331 x\r\n")
        self.assertEqual(played.local_unread, b"USER x\r\n")

    def test_plain_data_refused(self) -> None:
        """A server that wants protected data connections goes on, with a line in the log."""
        played = play(CLIENT.late, b"", b"200 PBSZ=0\r\n534 SECRET\r\n")
        self.assertEqual((played.error, played.local), ("", OURS))
        self.assertEqual(
            played.notes,
            ("FTP server answered PROT C with 534: it may refuse plain data connections",),
        )
        played = play(CLIENT.late, b"", b"421 x\r\n")
        self.assertEqual((played.error, played.local), ("PeerRefused", GONE))

    def test_truncated(self) -> None:
        """The server may go away, or fall silent, at every byte."""
        script = Turns([(b"", b"220 x\r\n"), (b"AUTH TLS\r\n", b"234 go\r\n")])
        play_cut(self, CLIENT.middle, b"", script, of="remote")


class ServerTests(SynchronousTestCase):
    """Server mode."""

    def test_auth(self) -> None:
        """AUTH TLS is granted after our greeting; what follows stays for TLS."""
        played = play_split(self, SERVER.middle, b"auth tls\r\nUSER SECRET\r\n", WELCOME)
        self.assertEqual((played.error, played.local, played.refused), ("", OURS + GO, True))
        self.assertEqual((played.local_unread, played.remote), (b"USER SECRET\r\n", b""))

    def test_before_tls(self) -> None:
        """Commands before TLS are answered here, credentials without being repeated."""
        rows = (
            (b"FEAT", b"211-Features:\r\n AUTH TLS\r\n PBSZ\r\n PROT\r\n211 End\r\n"),
            (b"NOOP", b"200 OK\r\n"),
            (b"USER SECRET", REQUIRED),
            (b"PASS SECRET", REQUIRED),
            (b"PBSZ 0", b"503 AUTH TLS comes first\r\n"),
            (b"PROT P", b"503 AUTH TLS comes first\r\n"),
            (b"CCC", b"533 There is no TLS to clear\r\n"),
            (b"AUTH", b"501 AUTH needs a mechanism\r\n"),
            (b"AUTH SSL", b"504 Only AUTH TLS is known\r\n"),
            (b"AUTH GSSAPI", b"504 Only AUTH TLS is known\r\n"),
            (b"", REQUIRED),
            (b"AUTH TLS-C", GO),
        )
        commands = b"".join(command + b"\r\n" for command, _ in rows)
        played = play_split(self, SERVER.middle, commands, b"220 x\r\n")
        self.assertEqual(played.error, "")
        self.assertEqual(played.local, OURS + b"".join(answer for _, answer in rows))
        self.assertEqual(played.remote, b"")

    def test_implicit(self) -> None:
        """A client that starts TLS at once gets its greeting inside TLS."""
        played = play_split(self, SERVER.middle, CLIENT_HELLO, WELCOME)
        self.assertEqual((played.error, played.local, played.refused), ("", b"", True))
        self.assertEqual(played.local_unread, CLIENT_HELLO)
        # A client that waits for TLS is told nothing in plain text.
        down = play(SERVER.middle, CLIENT_HELLO, b"421 x\r\n")
        self.assertEqual((down.error, down.local), ("PeerRefused", b""))
        inside = play(SERVER.late, b"USER x\r\n", state=lambda _: played.state)
        self.assertEqual((inside.local, inside.remote), (OURS, b"USER x\r\n"))

    def test_protection(self) -> None:
        """Inside TLS only PROT C is granted; the first other command goes to the server."""
        rows = (
            (b"PBSZ 0", b"200 PBSZ=0\r\n"),
            (b"pbsz 1024", b"200 PBSZ=0\r\n"),
            (b"PBSZ", b"501 PBSZ needs a number\r\n"),
            (b"PROT P", b"536 Data connections cannot be protected here, use PROT C\r\n"),
            (b"PROT S", b"536 Data connections cannot be protected here, use PROT C\r\n"),
            (b"prot c", b"200 Data connections are plain\r\n"),
            (b"PROT X", b"504 Unknown level\r\n"),
        )
        commands = b"".join(command + b"\r\n" for command, _ in rows)
        played = play_split(self, SERVER.late, commands + b"USER x\r\nPASS y\r\n")
        self.assertEqual((played.error, played.remote), ("", b"USER x\r\n"))
        self.assertEqual(played.local, b"".join(answer for _, answer in rows))
        self.assertEqual(played.local_unread, b"PASS y\r\n")

    def test_ends(self) -> None:
        """A server that is not ready, QUIT, endless and malformed lines end it."""
        for data, welcome, error, words in (
            (b"AUTH TLS\r\n", b"421 SECRET\r\n", "PeerRefused", GONE),
            (b"QUIT\r\n", b"220 x\r\n", "PeerClosed", OURS + b"221 Bye\r\n"),
            (b"AUTH TLS\0\r\n", b"220 x\r\n", "ProtocolViolation", OURS + GONE),
            (b"AUTH TLS\rNOOP\r\n", b"220 x\r\n", "ProtocolViolation", OURS + GONE),
            (b"x" * LINE, b"220 x\r\n", "LimitExceeded", OURS + GONE),
        ):
            played = play(SERVER.middle, data, welcome)
            self.assertEqual((played.error, played.local), (error, words))
        played = play(SERVER.middle, b"NOOP\r\n" * (LINES + 1), b"220 x\r\n")
        self.assertEqual((played.error, played.local[-len(GONE) :]), ("LimitExceeded", GONE))

    def test_truncated(self) -> None:
        """Both sides may go away, or fall silent, at every byte."""
        play_cut(self, SERVER.middle, b"AUTH TLS\r\n", WELCOME, of="remote")
        for short in (b"", b"AUTH", b"AUTH TLS\r"):
            self.assertEqual(play(SERVER.middle, short, b"220 x\r\n").error, "PeerClosed")
            silent = play(SERVER.middle, short, b"220 x\r\n", eof=False)
            self.assertEqual(silent.error, "DeadlineExceeded")

    def test_server_speaks_first(self) -> None:
        """What the server says before the client has logged in is for the relay, not for us."""
        played = play(SERVER.late, b"PBSZ 0\r\n", b"421 Timeout\r\n")
        self.assertEqual((played.error, played.local, played.remote), ("", b"", b""))
        self.assertEqual(played.remote_unread, b"421 Timeout\r\n")

    def test_backend_down(self) -> None:
        """421 tells that there will be no connection."""
        for stages in (CLIENT, SERVER):
            self.assertEqual(refusal(stages), GONE)
