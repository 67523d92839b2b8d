"""Tests of PostgreSQL: encryption requests, direct TLS, and what a man in the middle may try."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation.peer import Session
from stunnel_tx.negotiation.protocols.pgsql import (
    CANCEL,
    GSS_ENCRYPTION,
    HEADER,
    NEGOTIATION,
    SSL_REQUEST,
    START_MESSAGE,
    error_response,
)
from tests.doubles.conversations import Turns
from tests.negotiation.protocols.plays import both, play, play_cut, play_split, refusal

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation

CLIENT, SERVER = both(NEGOTIATION)

GSS_REQUEST = HEADER.pack(8, GSS_ENCRYPTION)
CANCEL_REQUEST = HEADER.pack(16, CANCEL) + b"\0\0\0\x07SECR"
PARAMETERS = b"user\0SECRET\0database\0db\0\0"
START = HEADER.pack(8 + len(PARAMETERS), 3 << 16) + PARAMETERS
CLIENT_HELLO = b"\x16\x03\x01\x02\x00"
GONE = error_response("08006", "the database server cannot be reached")
TLS_ONLY = error_response("28000", "this service accepts TLS only")
WITHOUT_NAME = error_response("08P01", "TLS without the ALPN protocol postgresql")


def authentication(code: int, data: bytes = b"") -> bytes:
    """A server's request to log in."""
    return b"R" + HEADER.pack(8 + len(data), code) + data


OK = authentication(0)
VERSIONS = b"v" + HEADER.pack(12, 3 << 16) + bytes(4)


def kept(_: Conversation) -> bytes:
    """What the first stage leaves of a start message."""
    return START[:8]


class ClientTests(SynchronousTestCase):
    """Client mode."""

    def test_start(self) -> None:
        """A start message is kept as far as it had to be read, and opens the session in TLS."""
        played = play_split(self, CLIENT.early, START)
        self.assertEqual((played.error, played.local), ("", b""))
        self.assertEqual(played.local_unread, PARAMETERS)
        answer = Turns([(START, OK + b"next")])
        played = play_split(self, CLIENT.late, PARAMETERS + b"more", answer, state=kept)
        self.assertEqual((played.error, played.remote, played.local), ("", START, OK))
        self.assertEqual((played.local_unread, played.remote_unread), (b"more", b"next"))

    def test_channel_binding(self) -> None:
        """What needs TLS on the local side is not offered there; all else is, unchanged."""
        plus, scram, other = b"SCRAM-SHA-256-PLUS\0", b"SCRAM-SHA-256\0", b"OTHER\0"
        for offered, passed in (
            (plus + scram, scram),
            (scram + plus + other, scram + other),
            (scram, scram),
            (plus, plus),
            (b"", b""),
        ):
            answer = Turns([(START, VERSIONS + authentication(10, offered + b"\0"))])
            played = play_split(self, CLIENT.late, PARAMETERS, answer, state=kept)
            self.assertEqual(played.error, "")
            self.assertEqual(played.local, VERSIONS + authentication(10, passed + b"\0"))

    def test_other_answers(self) -> None:
        """A refusal, another request, and what makes no sense are for the client to understand."""
        request = authentication(5, b"SALT")
        for answer, passed in (
            (request, request),
            (refusal(CLIENT), refusal(CLIENT)[:5]),
            (b"R\0\0\0\7", b"R\0\0\0\7"),
            (b"R\0\0\x27\x11", b"R\0\0\x27\x11"),
            (b"v\xff\xff\xff\xff", b"v\xff\xff\xff\xff"),
        ):
            played = play_split(self, CLIENT.late, PARAMETERS, answer, state=kept)
            self.assertEqual((played.error, played.local), ("", passed))
            self.assertEqual(played.local + played.remote_unread, answer)

    def test_endless_versions(self) -> None:
        """A server that never comes to the point is left."""
        played = play(CLIENT.late, PARAMETERS, VERSIONS * 9, state=kept)
        self.assertEqual(played.error, "ProtocolViolation")

    def test_local_requests(self) -> None:
        """A local client that asks for encryption, as libpq does, is told that there is none."""
        requests = Turns([(b"", GSS_REQUEST), (b"N", SSL_REQUEST), (b"N", START)])
        played = play_split(self, CLIENT.early, requests)
        self.assertEqual((played.error, played.local), ("", b"NN"))
        self.assertEqual(played.local_unread, PARAMETERS)

    def test_local_nonsense(self) -> None:
        """TLS, endless requests and impossible lengths from the local side are refused."""
        for data in (
            CLIENT_HELLO + bytes(20),
            SSL_REQUEST * 4,
            HEADER.pack(8, 3 << 16),
            HEADER.pack(START_MESSAGE + 1, 3 << 16),
            b"GET / HTTP/1.1\r\n",
        ):
            played = play(CLIENT.early, data)
            self.assertEqual(
                (played.error, played.local[-len(GONE) :]), ("ProtocolViolation", GONE)
            )

    def test_cancel(self) -> None:
        """A cancel request is passed on inside TLS, like a start message."""
        played = play(CLIENT.early, CANCEL_REQUEST)
        self.assertEqual((played.error, played.local_unread), ("", CANCEL_REQUEST[8:]))
        played = play(CLIENT.late, CANCEL_REQUEST[8:], state=lambda _: CANCEL_REQUEST[:8])
        self.assertEqual((played.error, played.remote), ("", CANCEL_REQUEST[:8]))
        self.assertEqual(played.local_unread, CANCEL_REQUEST[8:])

    def test_granted(self) -> None:
        """S leads to TLS; whatever comes with it stays for TLS (CVE-2021-23222)."""
        answer = Turns([(SSL_REQUEST, b"SN\0\0\0\x08injected")])
        played = play_split(self, CLIENT.middle, PARAMETERS, answer)
        self.assertEqual((played.error, played.local), ("", b""))
        self.assertEqual(played.remote, bytes.fromhex("0000000804d2162f"))
        self.assertEqual(played.remote_unread, b"N\0\0\0\x08injected")

    def test_refused(self) -> None:
        """N and E end it without plain text; an error text is neither read nor shown."""
        for answer in (b"N", b"E\0\0\0\x10SINJECTED\0\0"):
            played = play_split(self, CLIENT.middle, b"", answer)
            self.assertEqual(played.reason, "PostgreSQL server rejected TLS")
            self.assertEqual((played.error, played.local), ("PeerRefused", GONE))
            self.assertEqual(played.remote, SSL_REQUEST)
        for answer in (b"s", b"\0", b"\x16", b"R"):
            played = play(CLIENT.middle, b"", answer)
            self.assertEqual((played.error, played.local), ("ProtocolViolation", GONE))

    def test_truncated(self) -> None:
        """Both sides may go away, or fall silent, at every byte."""
        play_cut(self, CLIENT.early, START[:8], of="local")
        play_cut(self, CLIENT.middle, b"", b"S", of="remote")
        play_cut(self, CLIENT.late, PARAMETERS, OK, of="local", state=kept)
        play_cut(self, CLIENT.late, PARAMETERS, OK, of="remote", state=kept)


class ServerTests(SynchronousTestCase):
    """Server mode."""

    def test_ssl_request(self) -> None:
        """SSLRequest is granted; what comes with it stays for TLS (CVE-2021-23214)."""
        for injected in (START, CANCEL_REQUEST, CLIENT_HELLO, b""):
            played = play_split(self, SERVER.early, SSL_REQUEST + injected)
            self.assertEqual((played.error, played.local, played.refused), ("", b"S", True))
            self.assertEqual((played.local_unread, played.remote), (injected, b""))

    def test_gss_then_ssl(self) -> None:
        """GSSENCRequest is answered N, and SSLRequest follows on the same connection."""
        for script in (
            GSS_REQUEST + SSL_REQUEST,
            Turns([(b"", GSS_REQUEST), (b"N", SSL_REQUEST)]),
        ):
            played = play_split(self, SERVER.early, script)
            self.assertEqual((played.error, played.local), ("", b"NS"))
        played = play(SERVER.early, GSS_REQUEST * 2 + SSL_REQUEST)
        self.assertEqual(played.error, "ProtocolViolation")

    def test_plain_start(self) -> None:
        """A start message without TLS is read to its end and answered with an ErrorResponse."""
        for before in (b"", GSS_REQUEST):
            played = play_split(self, SERVER.early, before + START)
            self.assertEqual(played.error, "ProtocolViolation")
            self.assertEqual(played.reason, "PostgreSQL client did not request TLS, rejecting")
            self.assertTrue(played.local.endswith(TLS_ONLY))
            self.assertEqual(played.local_unread, b"")
            self.assertNotIn(b"SECRET", played.local)

    def test_plain_cancel(self) -> None:
        """A cancel request without TLS has no answer, and reaches nobody."""
        played = play_split(self, SERVER.early, CANCEL_REQUEST)
        self.assertEqual((played.error, played.local), ("ProtocolViolation", b""))
        self.assertEqual(played.remote, b"")

    def test_nonsense(self) -> None:
        """Impossible lengths are refused at once, not waited for."""
        for data in (HEADER.pack(8, 3 << 16), b"\xff" * 8, b"EHLO me\r\n"):
            played = play(SERVER.early, data, eof=False)
            self.assertEqual((played.error, played.local), ("ProtocolViolation", TLS_ONLY))

    def test_direct(self) -> None:
        """TLS at once is left alone, and must then bring ALPN postgresql."""
        played = play_split(self, SERVER.early, CLIENT_HELLO)
        self.assertEqual((played.local, played.local_unread), (b"", CLIENT_HELLO))
        self.assertTrue(played.refused)
        rows = ((b"postgresql", ""), (None, "ProtocolViolation"), (b"h2", "ProtocolViolation"))
        for alpn, error in rows:
            session = Session("TLSv1.3", "cipher", alpn=alpn)
            direct = play(SERVER.middle, state=lambda _: played.state, session=session)
            self.assertEqual(direct.error, error)
            self.assertEqual(direct.local, WITHOUT_NAME if error else b"")
        self.assertEqual(
            play(SERVER.middle, state=lambda _: played.state).error, "ProtocolViolation"
        )

    def test_asked(self) -> None:
        """A client that asked first may do without ALPN, but not speak another protocol."""
        for alpn, error in ((b"postgresql", ""), (None, ""), (b"h2", "ProtocolViolation")):
            session = Session("TLSv1.3", "cipher", alpn=alpn)
            self.assertEqual(play(SERVER.middle, session=session).error, error)

    def test_truncated(self) -> None:
        """The client may go away, or fall silent, at every byte."""
        for data in (SSL_REQUEST, GSS_REQUEST + SSL_REQUEST, START):
            if data is not START:
                play_cut(self, SERVER.early, data, of="local")
        play_cut(self, SERVER.early, START[:-1], of="local")

    def test_backend_down(self) -> None:
        """The client gets a fatal error of class 08 (connection exception)."""
        for stages, inside in ((CLIENT, False), (SERVER, True)):
            self.assertEqual(refusal(stages, inside_tls=inside), GONE)
        self.assertEqual(refusal(CLIENT, START[:8], slow=True), GONE)
        self.assertEqual(int.from_bytes(GONE[1:5], "big"), len(GONE) - 1)
