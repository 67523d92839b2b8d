"""What every upgrade of a text protocol has to stand, whatever its words are.

A protocol's test module imports this module and derives one class per direction from
:class:`ClientMode` and :class:`ServerMode`, with the words of its protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import DeadlineExceeded, LimitExceeded, PeerClosed, ProtocolViolation
from stunnel_tx.negotiation.limits import LONG_LINE
from tests.doubles.conversations import ScriptedPeer, Turns, conversation, every_split, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stunnel_tx.negotiation.peer import Conversation
    from stunnel_tx.negotiation.stages import Dialogue, Negotiation, Stages

#: Stands in every text of a remote side; it must never be seen on the local one.
MARK = b"remote-text"

#: What an attacker appends to the last line before TLS.
INJECTED = b"250 injected\r\n* OK injected\r\n+OK injected\r\n"

_TOO_LONG = b"x" * (LONG_LINE + 1) + b"\r\n"


class _Mode(SynchronousTestCase):
    """Runs the stages of one direction."""

    negotiation: Negotiation

    def stages(self) -> Stages:
        raise NotImplementedError

    def stage(self, name: str) -> Dialogue:
        dialogue: Dialogue | None = getattr(self.stages(), name)
        assert dialogue is not None
        return dialogue

    def talk(
        self, local: ScriptedPeer, remote: ScriptedPeer, stage: str = "middle"
    ) -> Conversation:
        """One stage from start to end."""
        talk = conversation(local, remote)
        run(self.stage(stage)(talk))
        return talk

    def fails(
        self, error: type[Exception], local: ScriptedPeer, remote: ScriptedPeer, text: str = ""
    ) -> None:
        """The middle stage ends with *error*, whose message holds *text*."""
        caught = self.assertRaises(error, self.talk, local, remote)
        self.assertIn(text, str(caught))
        self.assertNotIn("\n", str(caught))
        self.assertLess(len(str(caught)), 200)

    def says_no(self, error: Exception) -> bytes:
        """What the refusal of these stages says to a side that has said nothing."""
        local = ScriptedPeer(eof=False)
        refuse = self.stages().refuse
        assert refuse is not None
        run(refuse(conversation(local), error))
        return local.sent


class ClientMode(_Mode):
    """The remote side is asked for TLS, the local side hears of nothing until it is there.

    ``turns`` is the server's part of a good dialogue, ``asked`` all that is said to it.
    ``greeting`` is what the client hears once TLS is up (None: the server's own words),
    ``refused`` what it hears instead. ``endless`` are lines that never end a reply, for each
    turn of the server; ``noes`` are refusals: the turn, the reply, the error.
    """

    turns: tuple[tuple[bytes, bytes], ...]
    asked: bytes
    greeting: bytes | None
    refused: bytes
    endless: tuple[bytes, ...]
    noes: tuple[tuple[int, bytes, type[Exception]], ...]

    def stages(self) -> Stages:
        """Those of client mode."""
        stages = self.negotiation.client
        assert stages is not None
        return stages

    def with_reply(self, turn: int, reply: bytes) -> Turns:
        """The server's part up to *turn*, which is *reply*; then nothing."""
        return Turns([*self.turns[:turn], (self.turns[turn][0], reply)])

    def cut(self) -> Iterator[Turns]:
        """The server's part, ending before each of its bytes."""
        for turn, (_, reply) in enumerate(self.turns):
            for size in range(len(reply)):
                yield self.with_reply(turn, reply[:size])

    def test_every_split(self) -> None:
        """The dialogue is the same however its bytes arrive, and the client hears nothing."""
        turns = Turns(self.turns)
        for splits in every_split(turns):
            local, remote = ScriptedPeer(b"early\r\n"), ScriptedPeer(turns, splits=splits)
            self.talk(local, remote)
            self.assertEqual((remote.sent, remote.unread), (self.asked, b""), splits)
            self.assertEqual((local.sent, local.unread), (b"", b"early\r\n"), splits)

    def test_greeting_is_our_own(self) -> None:
        """Once TLS is up the client is greeted with our own words, or hears the server itself."""
        local, remote = ScriptedPeer(), ScriptedPeer()
        if self.greeting is None:
            self.assertIsNone(self.stages().late)
            return
        self.talk(local, remote, "late")
        self.assertEqual((local.sent, remote.sent), (self.greeting, b""))

    def test_injection_stays_unread(self) -> None:
        """What is appended to the go-ahead is left to TLS, at every split, and not passed on."""
        *others, (expect, reply) = self.turns
        turns = Turns([*others, (expect, reply + INJECTED)])
        for splits in every_split(turns):
            local, remote = ScriptedPeer(), ScriptedPeer(turns, splits=splits)
            self.talk(local, remote)
            self.assertEqual((remote.unread, local.sent), (INJECTED, b""), splits)

    def test_early_replies(self) -> None:
        """Replies that are there before they were asked for change nothing."""
        local, remote = ScriptedPeer(), ScriptedPeer(Turns(self.turns).incoming + INJECTED)
        self.talk(local, remote)
        self.assertEqual((remote.sent, remote.unread), (self.asked, INJECTED))

    def test_end_at_every_byte(self) -> None:
        """A server that goes away anywhere is an error the client is told of in its words."""
        for turns in self.cut():
            local, remote = ScriptedPeer(), ScriptedPeer(turns)
            self.fails(PeerClosed, local, remote)
            self.assertEqual(local.sent, self.refused, turns.incoming)

    def test_silence_at_every_byte(self) -> None:
        """A server that falls silent anywhere is cut off by the deadline."""
        for turns in self.cut():
            local, remote = ScriptedPeer(), ScriptedPeer(turns, eof=False)
            self.fails(DeadlineExceeded, local, remote)
            self.assertEqual(local.sent, b"", turns.incoming)

    def test_bad_lines(self) -> None:
        """NUL, bare CR, nonsense and over-long lines in place of any reply end the dialogue."""
        rows: tuple[tuple[bytes, type[Exception]], ...] = (
            (b"\0", ProtocolViolation),
            (b"a\rb", ProtocolViolation),
            (MARK + b"\r\n", ProtocolViolation),
            (b"\r\n", ProtocolViolation),
            (b"\x1b[2J\xff\xfe\r\n", ProtocolViolation),
            (_TOO_LONG, LimitExceeded),
        )
        for turn in range(len(self.turns)):
            for reply, error in rows:
                local = ScriptedPeer()
                self.fails(error, local, ScriptedPeer(self.with_reply(turn, reply)))
                self.assertIn(local.sent, {self.refused, self.says_no(LimitExceeded("x", 1))})

    def test_endless_replies(self) -> None:
        """Replies without an end are cut off by the bound on lines."""
        for turn, line in enumerate(self.endless):
            if line:
                local = ScriptedPeer()
                remote = ScriptedPeer(self.with_reply(turn, line * 200))
                self.fails(LimitExceeded, local, remote)
                self.assertNotIn(MARK, local.sent)

    def test_refusals(self) -> None:
        """A server that says no is believed; the client hears it in our words."""
        for turn, reply, error in self.noes:
            local, remote = ScriptedPeer(), ScriptedPeer(self.with_reply(turn, reply))
            self.fails(error, local, remote)
            self.assertEqual(local.sent, self.refused, reply)
            self.assertTrue(self.asked.startswith(remote.sent))

    def test_refused_once(self) -> None:
        """When the driver asks for a refusal after the dialogue's own, nothing is added."""
        local, remote = ScriptedPeer(), ScriptedPeer()
        talk = conversation(local, remote)
        error = self.assertRaises(PeerClosed, run, self.stage("middle")(talk))
        refuse = self.stages().refuse
        assert refuse is not None
        run(refuse(talk, error))
        self.assertEqual(local.sent, self.refused)

    def test_client_gone(self) -> None:
        """A refusal that cannot be delivered does not hide why there was one."""
        local, remote = ScriptedPeer(deaf=True), ScriptedPeer(MARK + b"\r\n")
        self.fails(ProtocolViolation, local, remote)


class ServerMode(_Mode):
    """The local side is answered until it asks for TLS; the remote side hears nothing.

    ``welcome`` is the back end's greeting, ``said`` what the client says up to STARTTLS and
    ``answered`` what it hears. ``answers`` are further commands and their whole answers, said
    behind the greeting. ``refused`` is heard when there is no service; ``unwelcome`` are
    greetings that lead to it, with their error. ``endless`` is a line of a greeting that does
    not end it. ``leave`` and ``farewell`` are the command to leave and its answer.
    """

    welcome: bytes
    said: bytes
    greeted: bytes
    answered: bytes
    answers: tuple[tuple[bytes, bytes], ...]
    refused: bytes
    unwelcome: tuple[tuple[bytes, type[Exception]], ...]
    endless: bytes = b""
    implicit: bool = True
    leave: bytes
    farewell: bytes

    def stages(self) -> Stages:
        """Those of server mode."""
        stages = self.negotiation.server
        assert stages is not None
        return stages

    def test_every_split(self) -> None:
        """The dialogue is the same however either side's bytes arrive."""
        pairs: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
            (splits, ()) for splits in every_split(self.said)
        ]
        pairs += [((), splits) for splits in every_split(self.welcome)]
        for mine, theirs in pairs:
            local = ScriptedPeer(self.said, splits=mine)
            remote = ScriptedPeer(self.welcome, splits=theirs)
            self.talk(local, remote)
            self.assertEqual((local.sent, local.unread), (self.answered, b""), (mine, theirs))
            self.assertEqual((remote.sent, remote.unread), (b"", b""), (mine, theirs))

    def test_polite_client(self) -> None:
        """A client that waits for the greeting before it says anything is served the same."""
        local = ScriptedPeer(Turns([(self.greeted, self.said)]))
        self.talk(local, ScriptedPeer(self.welcome))
        self.assertEqual(local.sent, self.answered)

    def test_nothing_is_passed_on(self) -> None:
        """Neither side hears a word of the other before TLS."""
        local, remote = ScriptedPeer(self.said), ScriptedPeer(self.welcome)
        self.talk(local, remote)
        self.assertNotIn(MARK, local.sent)
        self.assertEqual(remote.sent, b"")

    def test_pipelined_plaintext_stays_unread(self) -> None:
        """What follows STARTTLS in plaintext is left to TLS, at every split: not answered."""
        for splits in every_split(self.said + INJECTED):
            local = ScriptedPeer(self.said + INJECTED, splits=splits)
            remote = ScriptedPeer(self.welcome)
            self.talk(local, remote)
            self.assertEqual((local.sent, local.unread), (self.answered, INJECTED), splits)
            self.assertEqual(remote.sent, b"")

    def test_answers(self) -> None:
        """Each command before STARTTLS gets its answer and nothing else."""
        for command, answer in self.answers:
            local = ScriptedPeer(command, eof=False)
            self.fails(DeadlineExceeded, local, ScriptedPeer(self.welcome))
            self.assertEqual(local.sent, self.greeted + answer, command)

    def test_answers_come_before_tls(self) -> None:
        """A client may talk before it asks for TLS."""
        for command, answer in self.answers:
            local, remote = ScriptedPeer(command + self.said), ScriptedPeer(self.welcome)
            self.talk(local, remote)
            expected = self.greeted + answer + self.answered.removeprefix(self.greeted)
            self.assertEqual((local.sent, remote.sent), (expected, b""), command)

    def test_leaving(self) -> None:
        """A client that leaves is told good-bye; that is the end."""
        local, remote = ScriptedPeer(self.leave), ScriptedPeer(self.welcome)
        self.fails(PeerClosed, local, remote, "Client does not want TLS")
        self.assertEqual((local.sent, remote.sent), (self.greeted + self.farewell, b""))

    def test_implicit_tls(self) -> None:
        """A client that starts TLS unasked is not spoken to, and the greeting is left to it."""
        if not self.implicit:
            return
        hello = b"\x16\x03\x01\x00\x05hello"
        for splits in every_split(hello):
            local, remote = ScriptedPeer(hello, splits=splits), ScriptedPeer(self.welcome)
            self.talk(local, remote)
            self.assertEqual((local.sent, local.unread), (b"", hello))
            self.assertEqual((remote.sent, remote.unread), (b"", self.welcome))

    def test_no_refusal_in_plaintext_to_tls(self) -> None:
        """A client that starts TLS unasked is not refused in plaintext."""
        if not self.implicit:
            return
        local = ScriptedPeer(b"\x16\x03\x01")
        refuse = self.stages().refuse
        assert refuse is not None
        run(refuse(conversation(local), PeerClosed("gone")))
        self.assertEqual(local.sent, b"")

    def test_no_refusal_after_the_go_ahead(self) -> None:
        """Between the go-ahead and TLS nothing is said."""
        local = ScriptedPeer(self.said, eof=False)
        talk = self.talk(local, ScriptedPeer(self.welcome))
        refuse = self.stages().refuse
        assert refuse is not None
        run(refuse(talk, PeerClosed("gone")))
        self.assertEqual(local.sent, self.answered)

    def test_end_at_every_byte(self) -> None:
        """A client that goes away anywhere is an error, and the back end hears nothing."""
        for size in range(len(self.said)):
            local, remote = ScriptedPeer(self.said[:size]), ScriptedPeer(self.welcome)
            self.fails(PeerClosed, local, remote)
            self.assertEqual(remote.sent, b"")

    def test_silence_at_every_byte(self) -> None:
        """A client that falls silent anywhere is cut off by the deadline."""
        for size in range(len(self.said)):
            local = ScriptedPeer(self.said[:size], eof=False)
            self.fails(DeadlineExceeded, local, ScriptedPeer(self.welcome))
            self.assertTrue(self.answered.startswith(local.sent))

    def test_back_end_gone_at_every_byte(self) -> None:
        """A back end that goes away within its greeting is a refusal."""
        for size in range(len(self.welcome)):
            local = ScriptedPeer(self.said)
            self.fails(PeerClosed, local, ScriptedPeer(self.welcome[:size]))
            self.assertEqual(local.sent, self.refused)

    def test_silent_back_end(self) -> None:
        """A back end that does not greet is cut off by the deadline; nobody is greeted."""
        local = ScriptedPeer(self.said)
        self.fails(DeadlineExceeded, local, ScriptedPeer(b"", eof=False))
        self.assertEqual(local.sent, b"")

    def test_unwelcome(self) -> None:
        """A back end that refuses or talks nonsense is a refusal in our words."""
        rows: tuple[tuple[bytes, type[Exception]], ...] = (
            (b"\0", ProtocolViolation),
            (b"a\rb\r\n", ProtocolViolation),
            (MARK + b"\r\n", ProtocolViolation),
            *self.unwelcome,
        )
        for welcome, error in rows:
            local = ScriptedPeer(self.said)
            self.fails(error, local, ScriptedPeer(welcome))
            self.assertEqual(local.sent, self.refused, welcome)

    def test_endless_welcome(self) -> None:
        """A greeting without an end, or with a line without one, is cut off by the bounds."""
        for welcome in filter(None, (_TOO_LONG, self.endless * 200)):
            local = ScriptedPeer(self.said)
            self.fails(LimitExceeded, local, ScriptedPeer(welcome))
            self.assertEqual(local.sent, self.says_no(LimitExceeded("x", 1)))

    def test_bad_lines(self) -> None:
        """NUL and bare CR from the client end the dialogue with a refusal."""
        for line in (b"\0\r\n", b"a\rb\r\n"):
            local, remote = ScriptedPeer(line + self.said), ScriptedPeer(self.welcome)
            self.fails(ProtocolViolation, local, remote)
            self.assertEqual((local.sent, remote.sent), (self.greeted + self.refused, b""))

    def test_too_much(self) -> None:
        """A client that talks without end, in one line or in many, is cut off by the bounds."""
        no = self.says_no(LimitExceeded("x", 1))
        for said in (_TOO_LONG, (b"x NOOP\r\n") * 200):
            local, remote = ScriptedPeer(said + self.said), ScriptedPeer(self.welcome)
            self.fails(LimitExceeded, local, remote)
            self.assertTrue(local.sent.endswith(no))
            self.assertEqual(local.sent.count(no), 1)
            self.assertEqual(remote.sent, b"")

    def test_secrets_are_not_repeated(self) -> None:
        """Nothing of what a client says before TLS comes back or is put in the log."""
        for command, _ in self.answers:
            if b"secret" in command:
                local = ScriptedPeer(command)
                caught = self.assertRaises(PeerClosed, self.talk, local, ScriptedPeer(self.welcome))
                self.assertNotIn(b"secret", local.sent)
                self.assertNotIn("secret", str(caught))
