"""POP3: STLS in both directions, implicit TLS."""

from __future__ import annotations

from stunnel_tx.errors import PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.protocols.pop3 import NEGOTIATION
from tests.doubles.conversations import ScriptedPeer, Turns
from tests.negotiation.protocols import upgrade_checks

REFUSED = b"-ERR [SYS/TEMP] Service not available\r\n"
GREETED = b"+OK POP3 ready\r\n"
CAPABILITIES = b"+OK Capability list follows\r\nSTLS\r\nRESP-CODES\r\n.\r\n"
LATER = b"-ERR Must issue a STLS command first\r\n"


class ClientModeTests(upgrade_checks.ClientMode):
    """A plain client here, a server with STLS there."""

    negotiation = NEGOTIATION
    turns = (
        (b"", b"+OK remote-text <1896.697170952@dbc.mtview.ca.us>\r\n"),
        (b"STLS\r\n", b"+OK remote-text\r\n"),
    )
    asked = b"STLS\r\n"
    greeting = GREETED
    refused = REFUSED
    endless = ()
    noes = (
        (0, b"-ERR remote-text\r\n", PeerRefused),
        (0, b"-ERR\r\n", PeerRefused),
        (0, b"+OKAY\r\n", ProtocolViolation),
        (0, b"+ remote-text\r\n", ProtocolViolation),
        (1, b"-ERR remote-text\r\n", PeerRefused),
        (1, b"OK\r\n", ProtocolViolation),
    )

    def test_status_without_text(self) -> None:
        """``+OK`` alone is a good status, in any case (RFC 1939 §3)."""
        for status in (b"+OK\r\n", b"+ok\n", b"+OK \r\n"):
            local, remote = ScriptedPeer(), ScriptedPeer(Turns([(b"", status), (b"STLS", status)]))
            self.talk(local, remote)
            self.assertEqual((remote.sent, remote.unread), (self.asked, b""))


class ServerModeTests(upgrade_checks.ServerMode):
    """A client with STLS here, a plain server there."""

    negotiation = NEGOTIATION
    welcome = b"+OK remote-text <1896.697170952@dbc.mtview.ca.us>\r\n"
    said = b"CAPA\r\nSTLS\r\n"
    greeted = GREETED
    answered = GREETED + CAPABILITIES + b"+OK Begin TLS negotiation\r\n"
    answers = (
        (b"CAPA\r\nCAPA\r\n", CAPABILITIES * 2),
        (b"capa\n", CAPABILITIES),
        (b"USER secret\r\n", LATER),
        (b"PASS secret\r\n", LATER),
        (b"APOP secret c4c9334bac560ecc979e58001b3e22fb\r\n", LATER),
        (b"AUTH PLAIN secret\r\n", LATER),
        (b"STLS secret\r\n", b"-ERR STLS takes no arguments\r\n"),
        (b"STLSX\r\n", b"-ERR Command not available before STLS\r\n"),
        (b"STAT\r\n", b"-ERR Command not available before STLS\r\n"),
        (b"\r\n", b"-ERR Command not available before STLS\r\n"),
        (b"secret\xff\x1b\r\n", b"-ERR Command not available before STLS\r\n"),
    )
    refused = REFUSED
    unwelcome = (
        (b"-ERR remote-text\r\n", PeerRefused),
        (b"+OKAY\r\n", ProtocolViolation),
    )
    leave = b"QUIT\r\n"
    farewell = b"+OK Bye\r\n"
