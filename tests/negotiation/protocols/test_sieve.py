"""ManageSieve: STARTTLS in both directions, capabilities said again inside TLS, literals."""

from __future__ import annotations

from stunnel_tx.errors import LimitExceeded, PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.protocols.sieve import NEGOTIATION
from tests.doubles.conversations import ScriptedPeer, Turns, every_split, run
from tests.negotiation.protocols import upgrade_checks

REFUSED = b'BYE (TRYLATER) "Service not available"\r\n'
CAPABILITIES = (
    b'"IMPLEMENTATION" "stunnel"\r\n"SASL" ""\r\n"SIEVE" ""\r\n"STARTTLS"\r\n"VERSION" "1.0"\r\n'
)
GREETED = CAPABILITIES + b'OK "ManageSieve ready"\r\n'
LATER = b'NO (ENCRYPT-NEEDED) "Must issue a STARTTLS command first"\r\n'
NO_ARGUMENTS = b'NO "No arguments allowed"\r\n'
UNKNOWN = b'NO "Unknown command"\r\n'
BAD_NOOP = b'NO "NOOP takes one string"\r\n'
WELCOME = (
    b'"IMPLEMENTATION" "remote-text"\r\n"SASL" "PLAIN"\r\n"StartTLS"\r\n'
    b'"SIEVE" {8}\r\nfileinto\r\nOK "remote-text"\r\n'
)


class ClientModeTests(upgrade_checks.ClientMode):
    """A plain client here, a server with STARTTLS there."""

    negotiation = NEGOTIATION
    turns = ((b"", WELCOME), (b"STARTTLS\r\n", b'OK "remote-text"\r\n'))
    asked = b"STARTTLS\r\n"
    greeting = None
    refused = REFUSED
    endless = (b'"X" "remote-text"\r\n', b"")
    noes = (
        (0, b'BYE "remote-text"\r\n', PeerRefused),
        (0, b"NO\r\n", PeerRefused),
        (0, b"OKAY\r\n", ProtocolViolation),
        (0, b'OK"remote-text"\r\n', ProtocolViolation),
        (0, b"SASL PLAIN\r\n", ProtocolViolation),
        (1, b'NO "remote-text"\r\n', PeerRefused),
        (1, b"NO (TRYLATER) {3}\r\nabc\r\n", PeerRefused),
        (1, b"bye\r\n", PeerRefused),
        (1, b'"SASL" "PLAIN"\r\n', ProtocolViolation),
    )

    def test_literals(self) -> None:
        """A line is read to its end, behind all of its literals, and no further."""
        for reply in (b"OK {4}\r\nab\r\n\r\n", b"ok (TAG {1}\r\nx) {2}\r\nyz\r\n", b"OK\n"):
            turns = Turns([(b"", b"OK\r\n"), (b"STARTTLS", reply + b"rest")])
            for splits in every_split(turns):
                remote = ScriptedPeer(turns, splits=splits)
                self.talk(ScriptedPeer(), remote)
                self.assertEqual(remote.unread, b"rest")

    def test_hidden_end(self) -> None:
        """What looks like the end of the list inside a literal is none."""
        turns = Turns([(b"", b'"X" {7}\r\nOK "a"\r\r\nOK\r\n'), (b"STARTTLS", b"OK\r\n")])
        remote = ScriptedPeer(turns)
        self.talk(ScriptedPeer(), remote)
        self.assertEqual(remote.unread, b"")

    def test_bad_literals(self) -> None:
        """Literals that are too long or hold NUL are refused."""
        for reply in (b"OK {8193}\r\n", b"OK {9999999999}\r\n"):
            self.fails(LimitExceeded, ScriptedPeer(), ScriptedPeer(self.with_reply(1, reply)))
        remote = ScriptedPeer(self.with_reply(1, b"OK {1}\r\n\0\r\n"))
        self.fails(ProtocolViolation, ScriptedPeer(), remote)


class ServerModeTests(upgrade_checks.ServerMode):
    """A client with STARTTLS here, a plain server there."""

    negotiation = NEGOTIATION
    welcome = WELCOME
    said = b"CAPABILITY\r\nSTARTTLS\r\n"
    greeted = GREETED
    answered = (
        GREETED
        + CAPABILITIES
        + b'OK "Capabilities listed"\r\n'
        + b'OK "Begin TLS negotiation now"\r\n'
    )
    answers = (
        (b"capability\n", CAPABILITIES + b'OK "Capabilities listed"\r\n'),
        (b"NOOP\r\n", b'OK "Done"\r\n'),
        (b'NOOP "SYNC-42"\r\n', b'OK (TAG "SYNC-42") "Done"\r\n'),
        (b'NOOP "a\\"b"\r\n', b'OK (TAG "a\\"b") "Done"\r\n'),
        (b"NOOP {4+}\r\na\r\nb\r\n", b'OK (TAG {4}\r\na\r\nb) "Done"\r\n'),
        (b'NOOP "a" "b"\r\n', BAD_NOOP),
        (b"NOOP x\r\n", BAD_NOOP),
        (b'AUTHENTICATE "PLAIN" "secret"\r\n', LATER),
        (b'AUTHENTICATE "PLAIN" {6+}\r\nsecret\r\n', LATER),
        (b'AUTHENTICATE "PLAIN" {10+}\r\n\r\nSTARTTLS\r\n', LATER),
        (b"LISTSCRIPTS\r\n", LATER),
        (b'PUTSCRIPT "a" {8+}\r\nkeep; \r\n\r\n', LATER),
        (b"STARTTLS x\r\n", NO_ARGUMENTS),
        (b"CAPABILITY x\r\n", NO_ARGUMENTS),
        (b"LOGOUT x\r\n", NO_ARGUMENTS),
        (b"STARTTLSX\r\n", UNKNOWN),
        (b"secret\r\n", UNKNOWN),
        (b"\r\n", UNKNOWN),
    )
    refused = REFUSED
    unwelcome = (
        (b'BYE "remote-text"\r\n', PeerRefused),
        (b'NO "remote-text"\r\n', PeerRefused),
        (b"SASL PLAIN\r\n", ProtocolViolation),
    )
    endless = b'"X" "remote-text"\r\n'
    implicit = False
    leave = b"LOGOUT\r\n"
    farewell = b'OK "Bye"\r\n'

    def test_capabilities_inside_tls(self) -> None:
        """Once TLS is up the client hears the back end's list, without STARTTLS, and only once."""
        expected = WELCOME.replace(b'"StartTLS"\r\n', b"")
        for splits in every_split(WELCOME):
            local, remote = ScriptedPeer(self.said), ScriptedPeer(WELCOME, splits=splits)
            talk = self.talk(local, remote)
            self.assertNotIn(b"fileinto", local.sent)
            inside = ScriptedPeer()
            talk.local = inside
            run(self.stage("late")(talk))
            self.assertEqual((inside.sent, remote.sent), (expected, b""))
            self.assertIsNone(talk.state)

    def test_name_in_a_literal(self) -> None:
        """STARTTLS is left out of the list however its name is written."""
        local = ScriptedPeer(self.said)
        talk = self.talk(local, ScriptedPeer(b'{8}\r\nSTARTTLS\r\n{1}\r\nX "y"\r\nOK\r\n'))
        self.assertEqual(talk.state, b'{1}\r\nX "y"\r\nOK\r\n')

    def test_long_literal(self) -> None:
        """A script that does not fit is not read: the client is cut off."""
        local = ScriptedPeer(b'PUTSCRIPT "a" {8193+}\r\n' + b"x" * 8193 + b"\r\n" + self.said)
        self.fails(LimitExceeded, local, ScriptedPeer(self.welcome))
        self.assertEqual(local.sent, GREETED + REFUSED)
