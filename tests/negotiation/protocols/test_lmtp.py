"""LMTP: STARTTLS in both directions, with LHLO."""

from __future__ import annotations

from base64 import b64encode

from stunnel_tx.errors import PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.peer import NegotiationOptions
from stunnel_tx.negotiation.protocols.lmtp import NEGOTIATION
from tests.doubles.conversations import ScriptedPeer, Turns, conversation, run
from tests.negotiation.protocols import upgrade_checks

REFUSED = b"421 4.3.2 Service not available, closing connection\r\n"
GREETED = b"220 mail.example.org LMTP ready\r\n"
LATER = b"530 5.7.0 Must issue a STARTTLS command first\r\n"


class ClientModeTests(upgrade_checks.ClientMode):
    """A plain client here, a server with STARTTLS there."""

    negotiation = NEGOTIATION
    turns = (
        (b"", b"220-mail.example.org remote-text\r\n220 remote-text\r\n"),
        (b"LHLO localhost\r\n", b"250-remote-text\r\n250-STARTTLS\r\n250 SIZE 9\r\n"),
        (b"STARTTLS\r\n", b"220 remote-text\r\n"),
    )
    asked = b"LHLO localhost\r\nSTARTTLS\r\n"
    greeting = b"220 localhost LMTP ready\r\n"
    refused = REFUSED
    endless = (b"220-remote-text\r\n", b"250-remote-text\r\n", b"220-remote-text\r\n")
    noes = (
        (0, b"554 remote-text\r\n", PeerRefused),
        (0, b"354 remote-text\r\n", ProtocolViolation),
        (1, b"500 remote-text\r\n", PeerRefused),
        (2, b"454 remote-text\r\n", PeerRefused),
        (2, b"502 remote-text\r\n", PeerRefused),
    )

    def test_authentication(self) -> None:
        """AUTH works as in SMTP, behind LHLO."""
        turns = Turns([(b"LHLO localhost\r\n", b"250 a\r\n"), (b"AUTH", b"235 ok\r\n")])
        local, remote = ScriptedPeer(), ScriptedPeer(turns)
        options = NegotiationOptions(username="u", password="p")
        run(self.stage("late")(conversation(local, remote, options=options)))
        self.assertEqual(remote.sent.split()[-1], b64encode(b"\0u\0p"))
        self.assertEqual(local.sent, self.greeting)


class ServerModeTests(upgrade_checks.ServerMode):
    """A client with STARTTLS here, a plain server there."""

    negotiation = NEGOTIATION
    welcome = b"220-mail.example.org remote-text\r\n220 remote-text\r\n"
    said = b"LHLO client\r\nSTARTTLS\r\n"
    greeted = GREETED
    answered = (
        GREETED + b"250-mail.example.org\r\n250 STARTTLS\r\n" + b"220 2.0.0 Ready to start TLS\r\n"
    )
    answers = (
        (b"LHLO client\r\n", b"250-mail.example.org\r\n250 STARTTLS\r\n"),
        (b"LHLO\r\n", b"501 5.5.4 A name is missing\r\n"),
        (b"HELO client\r\n", b"500 5.5.1 Command not recognized\r\n"),
        (b"EHLO client\r\n", b"500 5.5.1 Command not recognized\r\n"),
        (b"NOOP\r\n", b"250 2.0.0 OK\r\n"),
        (b"RSET\r\n", b"250 2.0.0 OK\r\n"),
        (b"STARTTLS x\r\n", b"501 5.5.4 No parameters allowed\r\n"),
        (b"MAIL FROM:<a@b>\r\n", LATER),
        (b"AUTH LOGIN secret\r\n", LATER),
    )
    refused = REFUSED
    unwelcome = (
        (b"421 remote-text\r\n", PeerRefused),
        (b"250 remote-text\r\n", ProtocolViolation),
    )
    endless = b"220-remote-text\r\n"
    implicit = False
    leave = b"QUIT\r\n"
    farewell = b"221 2.0.0 Bye\r\n"
