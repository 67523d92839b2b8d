"""Tests of LDAP StartTLS: transcripts of both directions, and every wrong answer."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation.ber import OCTET_STRING, SEQUENCE, encode, encode_integer
from stunnel_tx.negotiation.limits import LINES
from stunnel_tx.negotiation.protocols.ldap import (
    EXTENDED_REQUEST,
    EXTENDED_RESPONSE,
    NEGOTIATION,
    NOTICE_OF_DISCONNECTION,
    START_TLS,
    notice,
    response,
)
from tests.doubles.conversations import Turns
from tests.negotiation.protocols.plays import both, play, play_cut, play_split, refusal

CLIENT, SERVER = both(NEGOTIATION)

GRANTED = response(1, EXTENDED_RESPONSE, 0, b"", START_TLS)
GONE = notice(52, b"The directory server cannot be reached")
EXPECTED = notice(2, b"StartTLS expected")
CLIENT_HELLO = b"\x16\x03\x01\x02\x00"


def request(number: int, tag: int, content: bytes = b"") -> bytes:
    """A request of a client."""
    return encode(SEQUENCE, encode_integer(number), encode(tag, content))


def start(number: int = 1, more: bytes = b"") -> bytes:
    """An extended request for StartTLS."""
    return request(number, EXTENDED_REQUEST, encode(0x80, START_TLS) + more)


def padded(message: bytes, form: int) -> bytes:
    """*message* with the length of its outer sequence in *form* further bytes."""
    content = message[2:]
    return message[:1] + bytes((0x80 | form,)) + len(content).to_bytes(form, "big") + content


class ClientTests(SynchronousTestCase):
    """Client mode: the server is asked."""

    def test_granted(self) -> None:
        """The request is stunnel's to the byte; what follows the grant stays for TLS."""
        expected = bytes.fromhex("301d02010177188016") + START_TLS
        for form in (0, 1, 2, 3, 4, 8):
            answer = padded(GRANTED, form) if form else GRANTED
            played = play_split(
                self, CLIENT.middle, b"local", Turns([(expected, answer + b"injected")])
            )
            self.assertEqual((played.error, played.local), ("", b""))
            self.assertEqual(played.remote, expected)
            self.assertEqual(played.remote_unread, b"injected")
            self.assertEqual(played.local_unread, b"local")
            self.assertEqual(played.notes, ("LDAP Start TLS successfully negotiated",))

    def test_without_name(self) -> None:
        """The response need not repeat the name, and may carry controls."""
        controls = encode(
            SEQUENCE,
            encode_integer(1),
            encode(EXTENDED_RESPONSE, encode_integer(0, 10), encode(4), encode(4)),
            encode(0xA0, encode(SEQUENCE, encode(OCTET_STRING, b"1.2.3"))),
        )
        for answer in (response(1, EXTENDED_RESPONSE, 0), controls):
            self.assertEqual(play(CLIENT.middle, b"", answer).error, "")

    def test_refused(self) -> None:
        """Every other result ends it; the server's text and referral reach nobody."""
        referral = encode(
            EXTENDED_RESPONSE,
            encode_integer(10, 10), encode(4), encode(4, b"SECRET"),
            encode(0xA3, encode(4, b"ldap://SECRET/")),
        )  # fmt: skip
        rows = {
            "(1, operationsError)": response(1, EXTENDED_RESPONSE, 1, b"SECRET", START_TLS),
            "(2, protocolError)": response(1, EXTENDED_RESPONSE, 2, b"SECRET"),
            "(10, referral)": encode(SEQUENCE, encode_integer(1), referral),
            "(51, busy)": response(1, EXTENDED_RESPONSE, 51),
            "(52, unavailable)": response(
                0, EXTENDED_RESPONSE, 52, b"SECRET", NOTICE_OF_DISCONNECTION
            ),
            "(4711, unknown)": response(1, EXTENDED_RESPONSE, 4711),
        }
        for reason, answer in rows.items():
            played = play_split(self, CLIENT.middle, b"", answer)
            self.assertEqual(played.error, "PeerRefused")
            self.assertIn(reason, played.reason)
            self.assertNotIn("SECRET", played.reason)
            self.assertEqual(played.local, GONE)

    def test_wrong(self) -> None:
        """A response that is not to our request, or is no response, ends it."""
        result = encode_integer(0, 10) + encode(4) + encode(4)
        bad = {
            "other id": response(2, EXTENDED_RESPONSE, 0),
            "unsolicited success": response(0, EXTENDED_RESPONSE, 0),
            "negative id": response(-1, EXTENDED_RESPONSE, 0),
            "bind response": response(1, 0x61, 0),
            "other name": response(1, EXTENDED_RESPONSE, 0, b"", b"1.2.3"),
            "empty name": response(1, EXTENDED_RESPONSE, 0, b"", b""),
            "trailing bytes": encode(SEQUENCE, encode_integer(1), encode(0x78, result), b"\0"),
            "no operation": encode(SEQUENCE, encode_integer(1)),
            "cut result": encode(SEQUENCE, encode_integer(1), encode(0x78, result[:5])),
            "no enumerated": encode(
                SEQUENCE, encode_integer(1), encode(0x78, encode_integer(0) + result[3:])
            ),
            "name twice": encode(
                SEQUENCE, encode_integer(1),
                encode(0x78, result, encode(0x8A, START_TLS), encode(0x8A, START_TLS)),
            ),
            "indefinite": b"\x30\x80" + GRANTED[2:] + b"\0\0",
            "plain text": b"220 hello\r\n",
        }  # fmt: skip
        for name, answer in bad.items():
            played = play(CLIENT.middle, b"", answer)
            self.assertEqual(played.error, "ProtocolViolation", name)
            self.assertEqual(played.local, GONE, name)

    def test_oversized(self) -> None:
        """A message over 64 KiB is not even begun to be read."""
        played = play(CLIENT.middle, b"", b"\x30\x84\x00\x01\x00\x00" + bytes(100))
        self.assertEqual((played.error, played.local), ("LimitExceeded", GONE))
        self.assertEqual(len(played.remote_unread), 100)

    def test_truncated(self) -> None:
        """The server may go away, or fall silent, at every byte."""
        play_cut(self, CLIENT.middle, b"", GRANTED, of="remote")


class ServerTests(SynchronousTestCase):
    """Server mode: the client asks."""

    def test_start_tls(self) -> None:
        """The request is granted under its own number; what follows it stays for TLS."""
        for number in (1, 127, 128, 2**31 - 1):
            message = start(number)
            played = play_split(self, SERVER.early, message + request(2, 0x60, b"bind"))
            self.assertEqual((played.error, played.refused), ("", True))
            self.assertEqual(played.local, response(number, 0x78, 0, b"", START_TLS))
            self.assertEqual(played.local_unread, request(2, 0x60, b"bind"))
            self.assertEqual(played.remote, b"")

    def test_ldaps(self) -> None:
        """A client that starts TLS at once is left to it."""
        played = play_split(self, SERVER.early, CLIENT_HELLO)
        self.assertEqual((played.error, played.local, played.refused), ("", b"", True))
        self.assertEqual(played.local_unread, CLIENT_HELLO)

    def test_refused_operations(self) -> None:
        """Each operation before StartTLS gets its own response; none of it is repeated."""
        for tag, answer in (
            (0x60, 0x61), (0x63, 0x65), (0x66, 0x67), (0x68, 0x69),
            (0x4A, 0x6B), (0x6C, 0x6D), (0x6E, 0x6F),
        ):  # fmt: skip
            played = play_split(self, SERVER.early, request(7, tag, b"SECRET") + start(8))
            self.assertEqual(played.error, "")
            self.assertTrue(
                played.local.startswith(response(7, answer, 13, b"StartTLS is required"))
            )
            self.assertNotIn(b"SECRET", played.local + played.remote)

    def test_extended(self) -> None:
        """Other extended operations need TLS; StartTLS with a value is a protocol error."""
        other = request(3, EXTENDED_REQUEST, encode(0x80, b"1.3.6.1.4.1.4203.1.11.3"))
        valued = start(4, encode(0x81, b"x"))
        played = play(SERVER.early, other + valued + start(5))
        self.assertEqual(
            played.local,
            response(3, 0x78, 13, b"StartTLS is required")
            + response(4, 0x78, 2, b"StartTLS takes no value", START_TLS)
            + response(5, 0x78, 0, b"", START_TLS),
        )

    def test_abandon_and_unbind(self) -> None:
        """Abandon has no answer and nothing to abandon; unbind ends it without a word."""
        played = play(SERVER.early, request(2, 0x50, b"\x01") + request(3, 0x42))
        self.assertEqual((played.error, played.local), ("PeerClosed", b""))

    def test_malformed(self) -> None:
        """What is no request is answered with a notice of disconnection."""
        for data in (
            b"EHLO x\r\n",
            request(0, 0x60, b"bind"),
            request(1, 0x61, b"a response"),
            request(1, EXTENDED_REQUEST),
            request(1, EXTENDED_REQUEST, encode(0x81, b"x")),
            encode(SEQUENCE, b"\x02\x01\x01\x77\x7f\x80"),
        ):
            played = play(SERVER.early, data)
            self.assertEqual((played.error, played.local), ("ProtocolViolation", EXPECTED))

    def test_endless(self) -> None:
        """A client that never asks for TLS is cut off."""
        played = play(SERVER.early, request(1, 0x50, b"\x01") * (LINES + 1))
        self.assertEqual((played.error, played.local), ("LimitExceeded", EXPECTED))

    def test_truncated(self) -> None:
        """The client may go away, or fall silent, at every byte."""
        play_cut(self, SERVER.early, start(), of="local")

    def test_backend_down(self) -> None:
        """Inside TLS the client is told that the directory is unavailable."""
        for stages, inside in ((CLIENT, False), (SERVER, True)):
            self.assertEqual(refusal(stages, inside_tls=inside), GONE)
            self.assertEqual(refusal(stages, inside_tls=inside, slow=True), GONE)

    def test_slow_client(self) -> None:
        """Before TLS a client that is slow has not waited for the directory."""
        self.assertEqual(refusal(SERVER, slow=True), notice(11, b"StartTLS did not come in time"))
