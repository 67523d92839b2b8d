"""IMAP: STARTTLS in both directions, implicit TLS, literals, filtered capabilities."""

from __future__ import annotations

from stunnel_tx.errors import PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.protocols.imap import NEGOTIATION
from tests.doubles.conversations import ScriptedPeer, Turns, every_split
from tests.negotiation.protocols import upgrade_checks

REFUSED = b"* BYE Service not available\r\n"
CAPABILITIES = b"CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED"
GREETED = b"* OK [" + CAPABILITIES + b"] IMAP ready\r\n"
PRIVACY = b"NO [PRIVACYREQUIRED] Must issue a STARTTLS command first\r\n"
LATER = b"BAD Not before TLS: must issue a STARTTLS command first\r\n"
NO_ARGUMENTS = b"BAD No arguments allowed\r\n"
NO_COMMAND = b"* BAD No command\r\n"


class ClientModeTests(upgrade_checks.ClientMode):
    """A plain client here, a server with STARTTLS there."""

    negotiation = NEGOTIATION
    turns = (
        (b"", b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] remote-text\r\n"),
        (b"stunnel STARTTLS\r\n", b"* OK [ALERT] remote-text\r\nstunnel OK remote-text\r\n"),
    )
    asked = b"stunnel STARTTLS\r\n"
    greeting = b"* OK IMAP ready\r\n"
    refused = REFUSED
    endless = (b"", b"* OK remote-text\r\n")
    noes = (
        (0, b"* PREAUTH remote-text\r\n", ProtocolViolation),
        (0, b"* BYE remote-text\r\n", PeerRefused),
        (0, b"* NO remote-text\r\n", ProtocolViolation),
        (0, b"* OKAY remote-text\r\n", ProtocolViolation),
        (0, b"+ OK\r\n", ProtocolViolation),
        (0, b"stunnel OK\r\n", ProtocolViolation),
        (1, b"stunnel NO remote-text\r\n", PeerRefused),
        (1, b"stunnel BAD remote-text\r\n", PeerRefused),
        (1, b"stunnel PREAUTH remote-text\r\n", ProtocolViolation),
        (1, b"stunnel OKAY\r\n", ProtocolViolation),
        (1, b"stunnelx OK\r\n", ProtocolViolation),
        (1, b"STUNNEL OK\r\n", ProtocolViolation),
        (1, b"* BYE remote-text\r\n", PeerRefused),
        (1, b"* PREAUTH remote-text\r\nstunnel OK\r\n", ProtocolViolation),
        (1, b"* LIST () {3}\r\n", ProtocolViolation),
        (1, b"+ remote-text\r\n", ProtocolViolation),
    )

    def test_preauth_is_named(self) -> None:
        """The log says that PREAUTH was the reason, since it smells of an attack."""
        remote = ScriptedPeer(b"* PREAUTH x\r\n")
        self.fails(ProtocolViolation, ScriptedPeer(), remote, "PREAUTH, which forbids")

    def test_untagged_responses(self) -> None:
        """Several untagged responses may come before the tagged one; nobody hears of them."""
        answer = b"* CAPABILITY x\r\n* NO y\r\n* ok [ALERT] z\r\n* BAD\r\nstunnel ok\r\n"
        turns = Turns([(b"", b"* ok\r\n"), (b"STARTTLS\r\n", answer)])
        for splits in every_split(turns):
            local, remote = ScriptedPeer(), ScriptedPeer(turns, splits=splits)
            self.talk(local, remote)
            self.assertEqual((local.sent, remote.unread), (b"", b""))


class ServerModeTests(upgrade_checks.ServerMode):
    """A client with STARTTLS here, a plain server there."""

    negotiation = NEGOTIATION
    welcome = b"* OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN SASL-IR] remote-text\r\n"
    said = b"a1 CAPABILITY\r\nA2 starttls\r\n"
    greeted = GREETED
    answered = (
        GREETED
        + b"* "
        + CAPABILITIES
        + b"\r\na1 OK CAPABILITY completed\r\n"
        + b"A2 OK Begin TLS negotiation now\r\n"
    )
    answers = (
        (b"a noop\n", b"a OK NOOP completed\r\n"),
        (b"a ID NIL\r\n", b"* ID NIL\r\na OK ID completed\r\n"),
        (b'a ID ("name" "secret")\r\n', b"* ID NIL\r\na OK ID completed\r\n"),
        (b"a LOGIN joe secret\r\n", b"a " + PRIVACY),
        (b"a login {6}\r\n", b"a " + PRIVACY),
        (b"a LOGIN joe {6}\r\n", b"a " + PRIVACY),
        (b"a AUTHENTICATE PLAIN secret\r\n", b"a " + PRIVACY),
        (b"a AUTHENTICATE PLAIN\r\nc2VjcmV0\r\n", b"a " + PRIVACY + NO_COMMAND),
        (b'a ID ("name" {3}\r\n', b"a BAD No literals before TLS\r\n"),
        (b"a SELECT INBOX\r\n", b"a " + LATER),
        (b"a STARTTLS secret\r\n", b"a " + NO_ARGUMENTS),
        (b"a STARTTLS {3}\r\n", b"a BAD No literals before TLS\r\n"),
        (b"a CAPABILITY x\r\n", b"a " + NO_ARGUMENTS),
        (b"a LOGOUT x\r\n", b"a " + NO_ARGUMENTS),
        (b"a STARTTLSX\r\n", b"a " + LATER),
        (b"STARTTLS\r\n", NO_COMMAND),
        (b"secret\r\n", NO_COMMAND),
        (b"\r\n", NO_COMMAND),
        (b"* STARTTLS\r\n", NO_COMMAND),
        (b"+ STARTTLS\r\n", NO_COMMAND),
        (b"secret\xff STARTTLS\r\n", NO_COMMAND),
        (b"s" * 65 + b" STARTTLS\r\n", NO_COMMAND),
        (b" a STARTTLS\r\n", NO_COMMAND),
    )
    refused = REFUSED
    unwelcome = (
        (b"* BYE remote-text\r\n", PeerRefused),
        (b"* PREAUTH remote-text\r\n", ProtocolViolation),
        (b"a OK remote-text\r\n", ProtocolViolation),
    )
    leave = b"a LOGOUT\r\n"
    farewell = b"* BYE Logging out\r\na OK LOGOUT completed\r\n"

    def test_capabilities_are_filtered(self) -> None:
        """Of the back end's list only the revisions of IMAP are shown, however it is written."""
        for welcome, names in (
            (b"* OK hello\r\n", b"IMAP4rev1"),
            (b"* OK [Capability imap4REV1 Imap4rev2 AUTH=LOGIN] x\r\n", b"IMAP4rev1 IMAP4rev2"),
            (b"* OK [CAPABILITY IMAP4rev2 STARTTLS COMPRESS=DEFLATE] x\r\n", b"IMAP4rev2"),
            (b"* OK [CAPABILITY XIMAP4rev2] x\r\n", b"IMAP4rev1"),
            (b"* OK [CAPABILITY IMAP4rev2\r\n", b"IMAP4rev1"),
        ):
            local = ScriptedPeer(b"a STARTTLS\r\n")
            self.talk(local, ScriptedPeer(welcome))
            first = local.sent.partition(b"\r\n")[0]
            expected = b"* OK [CAPABILITY " + names + b" ID STARTTLS LOGINDISABLED] IMAP ready"
            self.assertEqual(first, expected)

    def test_unasked_literal(self) -> None:
        """The bytes of a literal that is sent unasked are never taken for commands."""
        for line in (b"a LOGIN {6+}\r\n", b"a ID {9999999999+}\r\n", b"{3+}\r\n"):
            local = ScriptedPeer(line + b"secret {6+}\r\nb STARTTLS\r\n")
            remote = ScriptedPeer(self.welcome)
            self.fails(ProtocolViolation, local, remote)
            self.assertEqual((local.sent, remote.sent), (GREETED + REFUSED, b""))
