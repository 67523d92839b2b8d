"""NNTP: STARTTLS in both directions, implicit TLS."""

from __future__ import annotations

from stunnel_tx.errors import PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.protocols.nntp import NEGOTIATION
from tests.doubles.conversations import ScriptedPeer, Turns
from tests.negotiation.protocols import upgrade_checks

REFUSED = b"400 Service temporarily unavailable\r\n"
CAPABILITIES = b"101 Capability list:\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"
LATER = b"483 Must issue a STARTTLS command first\r\n"
UNKNOWN = b"500 Unknown command\r\n"


class ClientModeTests(upgrade_checks.ClientMode):
    """A plain client here, a server with STARTTLS there."""

    negotiation = NEGOTIATION
    turns = ((b"", b"201 remote-text\r\n"), (b"STARTTLS\r\n", b"382 remote-text\r\n"))
    asked = b"STARTTLS\r\n"
    greeting = b"200 NNTP ready\r\n"
    refused = REFUSED
    endless = ()
    noes = (
        (0, b"400 remote-text\r\n", PeerRefused),
        (0, b"502 remote-text\r\n", PeerRefused),
        (0, b"382 remote-text\r\n", ProtocolViolation),
        (0, b"200-remote-text\r\n", ProtocolViolation),
        (0, b"2000\r\n", ProtocolViolation),
        (1, b"580 remote-text\r\n", PeerRefused),
        (1, b"502 remote-text\r\n", PeerRefused),
        (1, b"483 remote-text\r\n", PeerRefused),
        (1, b"200 remote-text\r\n", PeerRefused),
    )

    def test_posting_allowed(self) -> None:
        """Both greetings are good ones."""
        local = ScriptedPeer()
        remote = ScriptedPeer(Turns([(b"", b"200\r\n"), (b"STARTTLS", b"382\r\n")]))
        self.talk(local, remote)
        self.assertEqual(remote.sent, self.asked)


class ServerModeTests(upgrade_checks.ServerMode):
    """A client with STARTTLS here, a plain server there."""

    negotiation = NEGOTIATION
    welcome = b"201 remote-text\r\n"
    said = b"CAPABILITIES\r\nSTARTTLS\r\n"
    greeted = b"201 NNTP ready\r\n"
    answered = greeted + CAPABILITIES + b"382 Continue with TLS negotiation\r\n"
    answers = (
        (b"CAPABILITIES\r\n", CAPABILITIES),
        (b"capabilities AUTOUPDATE\n", CAPABILITIES),
        (b"HELP\r\n", b"100 Help text follows\r\nSTARTTLS comes first\r\n.\r\n"),
        (b"AUTHINFO USER secret\r\n", LATER),
        (b"AUTHINFO PASS secret\r\n", LATER),
        (b"MODE READER\r\n", LATER),
        (b"GROUP misc.test\r\n", LATER),
        (b"POST\r\n", LATER),
        (b"STARTTLS secret\r\n", b"501 STARTTLS takes no arguments\r\n"),
        (b"STARTTLSX\r\n", UNKNOWN),
        (b"secret\r\n", UNKNOWN),
        (b"\r\n", UNKNOWN),
    )
    refused = REFUSED
    unwelcome = (
        (b"400 remote-text\r\n", PeerRefused),
        (b"502 remote-text\r\n", PeerRefused),
        (b"205 remote-text\r\n", ProtocolViolation),
    )
    leave = b"QUIT\r\n"
    farewell = b"205 Bye\r\n"

    def test_posting_allowed(self) -> None:
        """The back end says whether posting is allowed; its text is not passed on."""
        local = ScriptedPeer(b"STARTTLS\r\n")
        self.talk(local, ScriptedPeer(b"200 remote-text\r\n"))
        self.assertEqual(local.sent, b"200 NNTP ready\r\n382 Continue with TLS negotiation\r\n")
