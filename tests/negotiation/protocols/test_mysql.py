"""Tests of MySQL and MariaDB: the greeting, SSLRequest, and the renumbered login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation.mysql_packets import (
    CANNOT_CONNECT,
    HANDSHAKE_ERROR,
    SSL,
    TLS_REQUIRED,
    Link,
    error,
    packet,
    parse_greeting,
)
from stunnel_tx.negotiation.peer import Endpoint
from stunnel_tx.negotiation.protocols.mysql import (
    NEGOTIATION,
    NO_RSA_KEY,
    Progress,
)
from tests.doubles.conversations import Turns
from tests.negotiation.protocols.plays import Played, both, play, play_cut, play_split, refusal
from tests.negotiation.test_mysql_packets import MYSQL

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.negotiation.peer import Conversation

CLIENT, SERVER = both(NEGOTIATION)

GREETING = parse_greeting(MYSQL)
WITH_TLS = packet(MYSQL, 0)
WITHOUT_TLS = packet(GREETING.offering(tls=False, plugin=GREETING.plugin).encode(), 0)

CAPABILITIES = 0x00BF_A28D & ~SSL
TAIL = b"SECRET\0\x14" + b"h" * 20 + b"mysql_native_password\0"


def fixed(capabilities: int) -> bytes:
    """What SSLRequest and response start with; the last 4 bytes are MariaDB's."""
    return capabilities.to_bytes(4, "little") + b"\0\0\0\x01\x2d" + bytes(19) + b"\x1d\0\0\0"


PLAIN_RESPONSE = fixed(CAPABILITIES) + TAIL
TLS_RESPONSE = fixed(CAPABILITIES | SSL) + TAIL
SSL_REQUEST = packet(fixed(CAPABILITIES | SSL), 1)
OK = b"\0\0\0\2\0\0\0"
GONE = packet(error(CANNOT_CONNECT, greeted=False), 0)


def left_by(played: Played) -> Callable[[Conversation], Progress]:
    """The progress an earlier stage has left, as often as the next one is played."""
    made: Progress = played.state

    def copy(_talk: Conversation) -> Progress:
        return evolve(
            made,
            local=Link(made.local.peer, made.local.sequence),
            remote=Link(made.remote.peer, made.remote.sequence),
        )

    return copy


class ClientTests(SynchronousTestCase):
    """Client mode."""

    def before_tls(self) -> Played:
        """The stage before TLS, with a plain client and a server that has TLS."""
        return play_split(
            self,
            CLIENT.middle,
            Turns([(WITHOUT_TLS, packet(PLAIN_RESPONSE, 1))]),
            Turns([(b"", WITH_TLS), (SSL_REQUEST, b"injected")]),
        )

    def test_before_tls(self) -> None:
        """The client's capabilities go into SSLRequest, its name and proof stay unread."""
        played = self.before_tls()
        self.assertEqual((played.error, played.local), ("", WITHOUT_TLS))
        self.assertEqual(played.remote, SSL_REQUEST)
        self.assertEqual((played.local_unread, played.remote_unread), (TAIL, b"injected"))

    def test_inside_tls(self) -> None:
        """Inside TLS the response has number 2, and each answer the number that is due."""
        switch = b"\xfemysql_native_password\0" + b"n" * 20 + b"\0"
        played = play_split(
            self,
            CLIENT.late,
            Turns([(b"", TAIL), (packet(switch, 2), packet(b"h" * 20, 3) + b"COM_QUERY")]),
            Turns([(TAIL, packet(switch, 3)), (b"h" * 20, packet(OK, 5) + b"relayed")]),
            state=left_by(self.before_tls()),
        )
        self.assertEqual(played.error, "")
        self.assertEqual(played.remote, packet(TLS_RESPONSE, 2) + packet(b"h" * 20, 4))
        self.assertEqual(played.local, packet(switch, 2) + packet(OK, 4))
        self.assertEqual((played.local_unread, played.remote_unread), (b"COM_QUERY", b"relayed"))

    def test_full_login(self) -> None:
        """A client that asks for an RSA key is told what to do instead."""
        full = b"\x01\x04"
        played = play_split(
            self,
            CLIENT.late,
            Turns([(b"", TAIL), (full, packet(b"\x02", 3))]),
            Turns([(TAIL, packet(full, 3))]),
            state=left_by(self.before_tls()),
        )
        self.assertEqual(played.error, "PeerRefused")
        self.assertEqual(played.local, packet(full, 2) + packet(error(NO_RSA_KEY), 4))
        self.assertEqual(played.remote, packet(TLS_RESPONSE, 2))

    def test_no_tls(self) -> None:
        """A server without TLS, or with an error, is refused before the client is greeted."""
        for said in (WITHOUT_TLS, packet(b"\xff\x10\x04SECRET", 0)):
            played = play_split(self, CLIENT.middle, b"", said)
            self.assertEqual(
                (played.error, played.local, played.remote), ("PeerRefused", GONE, b"")
            )
            self.assertNotIn("SECRET", played.reason)

    def test_wrong_server(self) -> None:
        """No greeting, one out of sequence and an oversized one end it."""
        for said, name in (
            (b"220 hello there\r\n", "LimitExceeded"),
            (packet(MYSQL, 1), "ProtocolViolation"),
            (packet(b"\x09" + MYSQL[1:], 0), "ProtocolViolation"),
            (packet(b"", 0), "ProtocolViolation"),
            (b"\xff\xff\x00\x00", "LimitExceeded"),
        ):
            played = play(CLIENT.middle, b"", said)
            self.assertEqual((played.error, played.local), (name, GONE), said)

    def test_wrong_client(self) -> None:
        """A client that speaks an older protocol, or wants TLS, gets an error it can read."""
        words = packet(error(HANDSHAKE_ERROR), 2)
        for response in (
            packet(fixed(CAPABILITIES | SSL), 1),
            packet(TLS_RESPONSE, 1),
            packet(fixed(CAPABILITIES & ~0x200) + TAIL, 1),
            packet(b"\x85\xa0\0\0\x01root\0", 1),
            packet(fixed(CAPABILITIES), 1),
        ):
            played = play_split(self, CLIENT.middle, response, WITH_TLS)
            self.assertEqual(played.error, "ProtocolViolation")
            self.assertEqual((played.local, played.remote), (WITHOUT_TLS + words, b""))
        played = play(CLIENT.middle, packet(PLAIN_RESPONSE, 2), WITH_TLS)
        self.assertEqual(played.local, WITHOUT_TLS + words)

    def test_revealing_plugins(self) -> None:
        """A greeting cannot make the client send its password as it is."""
        for plugin in (b"mysql_clear_password", b"sha256_password"):
            said = packet(GREETING.offering(tls=True, plugin=plugin).encode(), 0)
            played = play(CLIENT.middle, packet(PLAIN_RESPONSE, 1), said)
            self.assertEqual(parse_greeting(played.local[4:]).plugin, b"mysql_native_password")

    def test_truncated(self) -> None:
        """Both sides may go away, or fall silent, at every byte."""
        response = packet(PLAIN_RESPONSE, 1)
        play_cut(self, CLIENT.middle, response, WITH_TLS, of="remote")
        play_cut(self, CLIENT.middle, response[:36], WITH_TLS, of="local")
        state = left_by(self.before_tls())
        play_cut(self, CLIENT.late, TAIL, packet(OK, 3), of="remote", state=state)
        play_cut(self, CLIENT.late, TAIL, packet(OK, 3), of="local", state=state)


class ServerTests(SynchronousTestCase):
    """Server mode."""

    def before_tls(self) -> Played:
        """The stage before TLS, with a client that wants it and a server that has none."""
        return play_split(
            self,
            SERVER.middle,
            Turns([(WITH_TLS, SSL_REQUEST + packet(TLS_RESPONSE, 2))]),
            WITHOUT_TLS,
        )

    def test_before_tls(self) -> None:
        """TLS is offered; what comes with SSLRequest stays for TLS, the server hears nothing."""
        played = self.before_tls()
        self.assertEqual((played.error, played.local, played.remote), ("", WITH_TLS, b""))
        self.assertTrue(played.refused)
        self.assertEqual(played.local_unread, packet(TLS_RESPONSE, 2))

    def test_inside_tls(self) -> None:
        """The server gets the response with number 1 and without TLS; the rest is renumbered."""
        switch = b"\xfemysql_native_password\0" + b"n" * 20 + b"\0"
        played = play_split(
            self,
            SERVER.late,
            Turns([(b"", packet(TLS_RESPONSE, 2)), (switch, packet(b"h" * 20, 4) + b"COM_QUERY")]),
            Turns([(TAIL, packet(switch, 2)), (b"h" * 20, packet(OK, 4) + b"relayed")]),
            state=left_by(self.before_tls()),
        )
        self.assertEqual(played.error, "")
        self.assertEqual(played.remote, packet(PLAIN_RESPONSE, 1) + packet(b"h" * 20, 3))
        self.assertEqual(played.local, packet(switch, 3) + packet(OK, 5))
        self.assertEqual((played.local_unread, played.remote_unread), (b"COM_QUERY", b"relayed"))

    def test_unix_socket(self) -> None:
        """A server behind a UNIX socket gets the password as it is, one behind TCP never does."""
        local = Turns([(b"", packet(TLS_RESPONSE, 2)), (b"\x01\x04", packet(b"password\0", 4))])
        remote = Turns([(TAIL, packet(b"\x01\x04", 2)), (b"password\0", packet(OK, 4))])
        state = left_by(self.before_tls())
        bound = Endpoint("/run/mysqld/mysqld.sock")
        played = play(SERVER.late, local, remote, state=state, bound=bound)
        self.assertEqual(played.error, "")
        self.assertTrue(played.remote.endswith(packet(b"password\0", 3)))
        remote = Turns([(TAIL, packet(b"\x01\x04", 2)), (b"\x02", packet(b"\xffno key", 4))])
        for tcp in (Endpoint("127.0.0.1", 40000), None):
            played = play(SERVER.late, local, remote, state=state, bound=tcp)
            self.assertEqual(played.error, "PeerRefused")
            self.assertNotIn(b"password\0", played.remote.replace(TAIL, b""))
            self.assertTrue(played.local.endswith(packet(error(CANNOT_CONNECT), 5)))

    def test_plain_client(self) -> None:
        """A client that does not ask for TLS is refused, and its response read but not used."""
        for response in (PLAIN_RESPONSE, TLS_RESPONSE, fixed(CAPABILITIES)):
            played = play_split(self, SERVER.middle, packet(response, 1), WITHOUT_TLS)
            self.assertEqual(played.error, "ProtocolViolation")
            self.assertEqual(played.reason, "MySQL client did not request TLS")
            self.assertEqual(played.local, WITH_TLS + packet(error(TLS_REQUIRED), 2))
            self.assertEqual((played.local_unread, played.remote), (b"", b""))

    def test_wrong_server(self) -> None:
        """An error in place of the greeting is not repeated to the client before TLS."""
        played = play_split(self, SERVER.middle, b"", packet(b"\xff\x10\x04SECRET", 0))
        self.assertEqual((played.error, played.local), ("PeerRefused", GONE))

    def test_wrong_response(self) -> None:
        """Inside TLS a response that is none is refused, and does not reach the server."""
        state = left_by(self.before_tls())
        for response in (fixed(CAPABILITIES), b"x", fixed(0) + TAIL):
            played = play(SERVER.late, packet(response, 2), b"", state=state)
            self.assertEqual((played.error, played.remote), ("ProtocolViolation", b""))
            self.assertEqual(played.local, packet(error(HANDSHAKE_ERROR), 3))

    def test_truncated(self) -> None:
        """Both sides may go away, or fall silent, at every byte."""
        play_cut(self, SERVER.middle, SSL_REQUEST, WITHOUT_TLS, of="remote")
        play_cut(self, SERVER.middle, SSL_REQUEST, WITHOUT_TLS, of="local")
        state = left_by(self.before_tls())
        response, done = packet(TLS_RESPONSE, 2), packet(OK, 2)
        play_cut(self, SERVER.late, response, done, of="remote", state=state)
        play_cut(self, SERVER.late, response, done, of="local", state=state)

    def test_backend_down(self) -> None:
        """Before the greeting the client gets error 2003 as its first packet."""
        for stages in (CLIENT, SERVER):
            self.assertEqual(refusal(stages), GONE)
        progress = self.before_tls().state
        self.assertEqual(refusal(SERVER, progress), packet(error(HANDSHAKE_ERROR), 2))
