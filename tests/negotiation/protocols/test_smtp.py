"""SMTP: STARTTLS in both directions, AUTH after it, implicit TLS."""

from __future__ import annotations

from base64 import b64decode, b64encode

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError, PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.peer import NegotiationOptions
from stunnel_tx.negotiation.protocols.smtp import NEGOTIATION
from tests.doubles.conversations import Notes, ScriptedPeer, Turns, conversation, every_split, run
from tests.negotiation.protocols import upgrade_checks

REFUSED = b"421 4.3.2 Service not available, closing connection\r\n"
GREETED = b"220 mail.example.org ESMTP ready\r\n"


class ClientModeTests(upgrade_checks.ClientMode):
    """A plain client here, a server with STARTTLS there."""

    negotiation = NEGOTIATION
    turns = (
        (b"", b"220-mail.example.org remote-text\r\n220 remote-text\r\n"),
        (b"EHLO localhost\r\n", b"250-remote-text\r\n250-STARTTLS\r\n250 SIZE 9\r\n"),
        (b"STARTTLS\r\n", b"220 remote-text\r\n"),
    )
    asked = b"EHLO localhost\r\nSTARTTLS\r\n"
    greeting = b"220 localhost ESMTP ready\r\n"
    refused = REFUSED
    endless = (b"220-remote-text\r\n", b"250-remote-text\r\n", b"220-remote-text\r\n")
    noes = (
        (0, b"554 remote-text\r\n", PeerRefused),
        (0, b"421 remote-text\r\n", PeerRefused),
        (0, b"250 remote-text\r\n", ProtocolViolation),
        (0, b"220-a\r\n221 b\r\n", ProtocolViolation),
        (0, b"220-a\r\n554 b\r\n", ProtocolViolation),
        (0, b"220x\r\n", ProtocolViolation),
        (1, b"502 remote-text\r\n", PeerRefused),
        (1, b"220 remote-text\r\n", PeerRefused),
        (2, b"454 remote-text\r\n", PeerRefused),
        (2, b"502 5.5.1 remote-text\r\n", PeerRefused),
        (2, b"250 remote-text\r\n", PeerRefused),
        (2, b"2200 remote-text\r\n", ProtocolViolation),
    )

    def test_starttls_missing_from_the_list(self) -> None:
        """A list without STARTTLS, which anybody can edit, does not keep us from asking."""
        turns = Turns([self.turns[0], (b"EHLO", b"250 mail.example.org\r\n"), self.turns[2]])
        local, remote = ScriptedPeer(), ScriptedPeer(turns)
        self.talk(local, remote)
        self.assertEqual(remote.sent, self.asked)

    def test_code_without_text(self) -> None:
        """Codes alone are replies (RFC 5321 §4.2.1)."""
        turns = Turns([(b"", b"220\r\n"), (b"EHLO", b"250\r\n"), (b"STARTTLS", b"220\n")])
        local, remote = ScriptedPeer(), ScriptedPeer(turns)
        self.talk(local, remote)
        self.assertEqual(remote.sent, self.asked)

    def test_name_of_ours(self) -> None:
        """The name in EHLO is protocolHost; one that would add a command is refused."""
        for host, ehlo in (("relay.example.net", b"relay.example.net"), ("[::1]", b"[::1]")):
            remote = ScriptedPeer(Turns([(b"", b"220 a\r\n"), (b"EHLO", b"550 no\r\n")]))
            talk = conversation(ScriptedPeer(), remote, options=NegotiationOptions(host=host))
            self.assertRaises(PeerRefused, run, self.stage("middle")(talk))
            self.assertEqual(remote.sent, b"EHLO " + ehlo + b"\r\n")
        for host in ("a\r\nMAIL FROM:<x>", "a b", "", "ä", "a" * 256):
            local, remote = ScriptedPeer(), ScriptedPeer(b"220 a\r\n")
            talk = conversation(local, remote, options=NegotiationOptions(host=host))
            self.assertRaises(OperatingError, run, self.stage("middle")(talk))
            self.assertEqual((remote.sent, local.sent), (b"", REFUSED))


class AuthenticationTests(SynchronousTestCase):
    """AUTH inside TLS, before the client is greeted."""

    def log_in(
        self,
        remote: ScriptedPeer,
        authentication: str = "basic",
        username: str | None = "user",
        password: str | None = "s3cret",
    ) -> ScriptedPeer:
        """The late stage of client mode; the local side."""
        local, notes = ScriptedPeer(), Notes()
        options = NegotiationOptions(
            username=username, password=password, authentication=authentication
        )
        self.assertNotIn("s3cret", repr(options))
        late = NEGOTIATION.client.late if NEGOTIATION.client else None
        assert late is not None
        try:
            run(late(conversation(local, remote, options=options, note=notes)))
        finally:
            self.local, self.notes = local, notes
            self.assertNotIn("s3cret", "".join(notes.texts))
        return local

    def test_plain(self) -> None:
        """PLAIN sends everything in the command; the greeting follows success, at any split."""
        for word in ("basic", "plain", "PLAIN"):
            turns = Turns(
                [(b"EHLO localhost\r\n", b"250-a\r\n250 b\r\n"), (b"AUTH", b"235 ok\r\n")]
            )
            for splits in every_split(turns):
                remote = ScriptedPeer(turns, splits=splits)
                local = self.log_in(remote, authentication=word)
                expected = b"AUTH PLAIN " + b64encode(b"\0user\0s3cret") + b"\r\n"
                self.assertEqual(remote.sent, b"EHLO localhost\r\n" + expected)
                self.assertEqual(local.sent, b"220 localhost ESMTP ready\r\n")

    def test_login(self) -> None:
        """LOGIN is asked for user and password, in this order, at any split."""
        turns = Turns(
            [
                (b"EHLO localhost\r\n", b"250 a\r\n"),
                (b"AUTH LOGIN\r\n", b"334 VXNlcm5hbWU6\r\n"),
                (b64encode(b"user") + b"\r\n", b"334 UGFzc3dvcmQ6\r\n"),
                (b64encode(b"s3cret") + b"\r\n", b"235 2.7.0 ok\r\n"),
            ]
        )
        for splits in every_split(turns):
            local = self.log_in(ScriptedPeer(turns, splits=splits), authentication="LOGIN")
            self.assertEqual(local.sent, b"220 localhost ESMTP ready\r\n")

    def test_utf8(self) -> None:
        """User and password travel in UTF-8 (RFC 4616 §2)."""
        remote = ScriptedPeer(Turns([(b"EHLO", b"250 a\r\n"), (b"AUTH", b"235 ok\r\n")]))
        self.log_in(remote, username="jürgen", password="pässwörd€")
        response = b64decode(remote.sent.split()[-1])
        self.assertEqual(response.decode(), "\0jürgen\0pässwörd€")

    def test_long_password(self) -> None:
        """A response that does not fit into a command line is sent after the server's 334."""
        turns = Turns(
            [
                (b"EHLO", b"250 a\r\n"),
                (b"AUTH PLAIN\r\n", b"334 \r\n"),
                (b64encode(b"\0user\0" + b"p" * 500) + b"\r\n", b"235 ok\r\n"),
            ]
        )
        local = self.log_in(ScriptedPeer(turns), password="p" * 500)
        self.assertEqual(local.sent, b"220 localhost ESMTP ready\r\n")

    def test_refused(self) -> None:
        """Whatever is refused, the client gets 421, and no error repeats what the server said."""
        hello = (b"EHLO", b"250 a\r\n")
        rows: tuple[tuple[str, list[tuple[bytes, bytes]]], ...] = (
            ("plain", [hello, (b"AUTH", b"535 5.7.8 s3cret is wrong\r\n")]),
            ("plain", [hello, (b"AUTH", b"334 s3cret?\r\n")]),
            ("login", [hello, (b"AUTH", b"504 no LOGIN s3cret\r\n")]),
            ("login", [hello, (b"AUTH", b"334 a\r\n"), (b"\r\n", b"535 s3cret\r\n")]),
            ("plain", [(b"EHLO", b"550 no\r\n")]),
        )
        for word, turns in rows:
            remote = ScriptedPeer(Turns(turns))
            error = self.assertRaises(PeerRefused, self.log_in, remote, authentication=word)
            self.assertNotIn("s3cret", str(error))
            self.assertEqual(self.local.sent, REFUSED)

    def test_no_credentials(self) -> None:
        """Without user and password nobody logs in; with one of them there is nobody to be."""
        remote = ScriptedPeer()
        local = self.log_in(remote, username=None, password=None)
        self.assertEqual(local.sent, b"220 localhost ESMTP ready\r\n")
        self.assertEqual(remote.sent, b"")
        for user, password in ((None, "s3cret"), ("user", None), ("", "")):
            remote = ScriptedPeer()
            self.assertRaises(OperatingError, self.log_in, remote, username=user, password=password)
            self.assertEqual((remote.sent, self.local.sent), (b"", REFUSED))

    def test_nul_in_credentials(self) -> None:
        """A NUL would move the borders between the fields of PLAIN; it is refused."""
        remote = ScriptedPeer()
        self.assertRaises(OperatingError, self.log_in, remote, username="a\0b")
        self.assertEqual((remote.sent, self.local.sent), (b"", REFUSED))


class ServerModeTests(upgrade_checks.ServerMode):
    """A client with STARTTLS here, a plain server there."""

    negotiation = NEGOTIATION
    welcome = b"220-mail.example.org remote-text\r\n220 remote-text\r\n"
    said = b"EHLO client\r\nSTARTTLS\r\n"
    greeted = GREETED
    answered = (
        GREETED + b"250-mail.example.org\r\n250 STARTTLS\r\n" + b"220 2.0.0 Ready to start TLS\r\n"
    )
    answers = (
        (b"EHLO client\r\n", b"250-mail.example.org\r\n250 STARTTLS\r\n"),
        (b"ehlo client\n", b"250-mail.example.org\r\n250 STARTTLS\r\n"),
        (b"EHLO\r\n", b"501 5.5.4 A name is missing\r\n"),
        (b"HELO client\r\n", b"250 mail.example.org\r\n"),
        (b"NOOP\r\n", b"250 2.0.0 OK\r\n"),
        (b"NOOP secret\r\n", b"250 2.0.0 OK\r\n"),
        (b"RSET\r\n", b"250 2.0.0 OK\r\n"),
        (b"STARTTLS x\r\n", b"501 5.5.4 No parameters allowed\r\n"),
        (b"STARTTLSx\r\n", b"500 5.5.1 Command not recognized\r\n"),
        (b"MAIL FROM:<a@b>\r\n", b"530 5.7.0 Must issue a STARTTLS command first\r\n"),
        (b"rcpt TO:<a@b>\r\n", b"530 5.7.0 Must issue a STARTTLS command first\r\n"),
        (b"DATA\r\n", b"530 5.7.0 Must issue a STARTTLS command first\r\n"),
        (b"AUTH PLAIN secret\r\n", b"530 5.7.0 Must issue a STARTTLS command first\r\n"),
        (b"VRFY root\r\n", b"530 5.7.0 Must issue a STARTTLS command first\r\n"),
        (b"secret\r\n", b"500 5.5.1 Command not recognized\r\n"),
        (b"\r\n", b"500 5.5.1 Command not recognized\r\n"),
        (b"\xff\xfe\x1b\r\n", b"500 5.5.1 Command not recognized\r\n"),
    )
    refused = REFUSED
    unwelcome = (
        (b"554 remote-text\r\n", PeerRefused),
        (b"421 remote-text\r\n", PeerRefused),
        (b"250 remote-text\r\n", ProtocolViolation),
        (b"220-a\r\n554 b\r\n", ProtocolViolation),
    )
    endless = b"220-remote-text\r\n"
    leave = b"QUIT\r\n"
    farewell = b"221 2.0.0 Bye\r\n"

    def test_hello_is_optional(self) -> None:
        """STARTTLS is served to a client that did not say hello, and however it is written."""
        for line in (b"STARTTLS\r\n", b"starttls\n", b"StartTLS \r\n"):
            local = ScriptedPeer(line)
            self.talk(local, ScriptedPeer(self.welcome))
            self.assertEqual(local.sent, GREETED + b"220 2.0.0 Ready to start TLS\r\n")

    def test_name_of_the_back_end(self) -> None:
        """Of the back end's greeting only a well-formed host name is used."""
        for name, used in (
            (b"", b"localhost"),
            (b"[192.0.2.1] ESMTP", b"[192.0.2.1]"),
            (b"\x1b[2J x", b"localhost"),
            (b"<script> x", b"localhost"),
            (b"a" * 300, b"localhost"),
        ):
            local = ScriptedPeer(self.said)
            self.talk(local, ScriptedPeer(b"220 " + name + b"\r\n"))
            self.assertTrue(local.sent.startswith(b"220 " + used + b" ESMTP ready\r\n"), name)
            self.assertIn(b"250-" + used + b"\r\n", local.sent)

    def test_log(self) -> None:
        """Which way the client came is put in the log in stunnel's words."""
        for said, text in ((self.said, "RFC 2487 detected"), (b"\x16", "RFC 2487 not detected")):
            notes = Notes()
            talk = conversation(ScriptedPeer(said), ScriptedPeer(self.welcome), note=notes)
            run(self.stage("middle")(talk))
            self.assertEqual(notes.texts, [text])

    def test_connects_first(self) -> None:
        """The back end is reached before TLS, so that its refusal can be told in plaintext."""
        self.assertTrue(self.stages().connects_first)
