"""Tests of ``protocol = socks`` as a server."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import (
    DeadlineExceeded,
    LimitExceeded,
    PeerClosed,
    PeerRefused,
    ProtocolViolation,
    Rejected,
    StunnelTxError,
)
from stunnel_tx.negotiation.destinations import Unresolved
from stunnel_tx.negotiation.peer import Endpoint, NegotiationOptions
from stunnel_tx.negotiation.protocols.socks import NEGOTIATION
from tests.doubles.conversations import (
    Notes,
    ScriptedPeer,
    Turns,
    conversation,
    every_split,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stunnel_tx.negotiation.peer import Conversation

APP = b"SSH-2.0-x\r\n"
BOUND = Endpoint("192.0.2.9", 258)
OK5 = b"\5\0\0\1\xc0\0\2\x09\1\2"
WANTED = b"\5\1\0\3\x09a.example\1\xbb"


class ServerCase(SynchronousTestCase):
    """A client speaks to us."""

    def conversation(
        self,
        said: bytes | Sequence[tuple[bytes, bytes]],
        splits: tuple[int, ...] = (),
        **fields: Any,
    ) -> Conversation:
        """A conversation with a client that says *said*."""
        self.note = Notes()
        incoming = said if isinstance(said, bytes) else Turns(said)
        self.local = ScriptedPeer(incoming, splits=splits)
        return conversation(self.local, note=self.note, **fields)

    async def serve(self, talk: Conversation, error: Exception | None = None) -> None:
        """The server's stages, with a connection that fails with *error*."""
        stages = NEGOTIATION.server
        assert stages is not None
        assert stages.middle is not None
        assert stages.late is not None
        assert stages.refuse is not None
        try:
            await stages.middle(talk)
            if talk.finished:
                return
            if error is not None:
                raise error
        except StunnelTxError as reason:
            await stages.refuse(talk, reason)
            raise
        talk.bound = BOUND
        talk.remote = ScriptedPeer(b"welcome")
        await stages.late(talk)
        assert isinstance(talk.remote, ScriptedPeer)
        self.assertEqual((talk.remote.sent, talk.remote.consumed), (b"", b""))

    def served(
        self,
        said: bytes | Sequence[tuple[bytes, bytes]],
        endpoint: Endpoint,
        answers: bytes,
        **fields: Any,
    ) -> None:
        """At every split *said* leads to *endpoint* and *answers*, and the rest stays."""
        turns = [(b"", said)] if isinstance(said, bytes) else list(said)
        turns[-1] = (turns[-1][0], turns[-1][1] + APP)
        for splits in every_split(Turns(turns), samples=3):
            talk = self.conversation(turns, splits, **fields)
            run(self.serve(talk))
            self.assertEqual(talk.destination, endpoint)
            self.assertEqual(self.local.sent, answers)
            self.assertEqual(self.local.unread, APP)

    def refused(
        self,
        said: bytes | Sequence[tuple[bytes, bytes]],
        kind: type[Exception],
        answers: bytes,
        error: Exception | None = None,
        **fields: Any,
    ) -> None:
        """At every split *said* is refused with *answers*."""
        turns = Turns([(b"", said)]) if isinstance(said, bytes) else Turns(said)
        for splits in every_split(turns, samples=3):
            talk = self.conversation(turns.turns, splits, **fields)
            self.assertRaises(kind, run, self.serve(talk, error))
            self.assertEqual(self.local.sent, answers, said)


class ServerTests(ServerCase):
    """Connections that clients ask for."""

    def test_version_4(self) -> None:
        """SOCKS 4 and 4a; the user id is not used."""
        granted = b"\0\x5a\1\2\xc0\0\2\x09"
        self.served(b"\4\1\0\x50\xc0\0\2\1me\0", Endpoint("192.0.2.1", 80), granted)
        self.served(b"\4\1\0\x50\0\0\0\1\0a.example\0", Endpoint("a.example", 80), granted)
        # An address of zeros alone is an address, and refused later for what it is.
        self.served(b"\4\1\0\x50\0\0\0\0\0", Endpoint("0.0.0.0", 80), granted)

    def test_version_5(self) -> None:
        """SOCKS 5 with each type of address; the reply tells the real connection."""
        for address, host in (
            (b"\1\xc0\0\2\1", "192.0.2.1"),
            (b"\3\x09a.example", "a.example"),
            (b"\3\x03" + b"127", "127"),
            (b"\4\x20\1\x0d\xb8" + bytes(11) + b"\1", "2001:db8::1"),
        ):
            said = [(b"", b"\5\1\0"), (b"\5\0", b"\5\1\0" + address + b"\1\xbb")]
            self.served(said, Endpoint(host, 443), b"\5\0" + OK5)

    def test_eager_client(self) -> None:
        """A client that does not wait for answers is served the same."""
        self.served(b"\5\2\0\2" + WANTED, Endpoint("a.example", 443), b"\5\0" + OK5)

    def test_password(self) -> None:
        """With credentials of the service the client has to log in."""
        options = NegotiationOptions(username="me", password="secret")
        login = b"\1\2me\6secret"
        said = b"\5\2\0\2" + login + WANTED
        self.served(said, Endpoint("a.example", 443), b"\5\2\1\0" + OK5, options=options)
        for bad in (b"\1\2me\6Secret", b"\1\2mE\6secret", b"\1\0\0", b"\1\2me\7secrets"):
            self.refused(b"\5\1\2" + bad + WANTED, Rejected, b"\5\2\1\1", options=options)
        self.refused(b"\5\1\2\5\2me", ProtocolViolation, b"\5\2", options=options)
        self.refused(b"\5\1\0" + WANTED, ProtocolViolation, b"\5\xff", options=options)
        rejected = b"\0\x5b" + bytes(6)
        self.refused(b"\4\1\0\x50\1\2\3\4me\0", Rejected, rejected, options=options)
        self.assertNotIn("secret", "".join(self.note.texts))

    def test_methods(self) -> None:
        """A client that offers nothing acceptable is told so."""
        for offer in (b"\5\0", b"\5\1\2", b"\5\2\1\2"):
            self.refused(offer, ProtocolViolation, b"\5\xff")

    def test_other_protocols(self) -> None:
        """What is no SOCKS is not answered."""
        for said in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\3\1", b"\0", b"\6\1\0"):
            self.refused(said, ProtocolViolation, b"")

    def test_commands(self) -> None:
        """BIND, UDP and unknown commands are refused in the version's words."""
        for command in (2, 3, 0, 0x42, 0xF1):
            said = b"\5\1\0\5" + bytes((command,)) + b"\0\1\1\2\3\4\0\x50"
            self.refused(said, ProtocolViolation, b"\5\0\5\7\0\1" + bytes(6))
        self.refused(b"\4\2\0\x50\1\2\3\4\0", ProtocolViolation, b"\0\x5b" + bytes(6))

    def test_bad_requests(self) -> None:
        """Unknown address types, impossible names and port 0 have their codes."""
        for request, code in (
            (b"\5\1\0\2\0\0", 8),
            (b"\5\1\0\0\0\0", 8),
            (b"\5\1\0\3\0\0\x50", 4),
            (b"\5\1\0\3\4a\0bc\0\x50", 4),
            (b"\5\1\0\3\4a\nbc\0\x50", 4),
            (b"\5\1\0\3\x06/run/x\0\x50", 4),
            (b"\5\1\0\3\2\xc3\xa9\0\x50", 4),
            (b"\5\1\0\1\1\2\3\4\0\0", 1),
        ):
            answer = b"\5\0" + bytes((5, code, 0, 1)) + bytes(6)
            self.refused(b"\5\1\0" + request, ProtocolViolation, answer)
        self.refused(b"\5\1\0\4\1\0\1", ProtocolViolation, b"\5\0")

    def test_endless_texts(self) -> None:
        """A user id or name without an end is cut off."""
        for said in (b"\4\1\0\x50\1\2\3\4", b"\4\1\0\x50\0\0\0\1\0"):
            talk = self.conversation(said + b"x" * 1000)
            self.assertRaises(LimitExceeded, run, self.serve(talk))
            self.assertEqual(self.local.sent, b"")

    def test_truncated(self) -> None:
        """A client that goes away at any place gets no reply."""
        for whole in (b"\5\1\0" + WANTED, b"\4\1\0\x50\0\0\0\1\0a.example\0"):
            for place in range(len(whole)):
                talk = self.conversation(whole[:place])
                self.assertRaises(PeerClosed, run, self.serve(talk))
                self.assertNotIn(b"\0\x5a", self.local.sent)
                self.assertLessEqual(len(self.local.sent), 2)

    def test_late(self) -> None:
        """A silent client is cut off by the deadline, without a reply to what it never asked."""
        talk = self.conversation(b"\5\1")
        self.local.eof = False
        self.assertRaises(DeadlineExceeded, run, self.serve(talk))
        self.assertEqual(self.local.sent, b"")


def caused(cause: Exception) -> PeerRefused:
    """The driver's error for a connection that failed because of *cause*."""
    error = PeerRefused("the destination cannot be connected")
    error.__cause__ = cause
    return error


class OutcomeTests(ServerCase):
    """The reply tells how the real connection went."""

    def test_failures(self) -> None:
        """Each reason has its code; SOCKS 4 knows only yes and no."""
        reasons = {
            caused(OSError(errno.ECONNREFUSED, "")): 5,
            caused(OSError(errno.ENETUNREACH, "")): 3,
            caused(OSError(errno.EHOSTUNREACH, "")): 4,
            caused(OSError(errno.ETIMEDOUT, "")): 6,
            caused(OSError(errno.EACCES, "")): 1,
            caused(DeadlineExceeded("TIMEOUTconnect", 10)): 6,
            DeadlineExceeded("TIMEOUTbusy", 300): 6,
            Rejected("a loopback address"): 2,
            Unresolved("no address"): 4,
            PeerRefused("no"): 1,
            LimitExceeded("lines", 1): 1,
        }
        for error, code in reasons.items():
            answer = b"\5\0" + bytes((5, code, 0, 1)) + bytes(6)
            self.refused(b"\5\1\0" + WANTED, type(error), answer, error)
            self.refused(b"\4\1\0\x50\1\2\3\4\0", type(error), b"\0\x5b" + bytes(6), error)

    def test_one_reply(self) -> None:
        """A request that has its reply gets no second one."""
        assert NEGOTIATION.server is not None
        assert NEGOTIATION.server.refuse is not None
        talk = self.conversation(b"\5\1\0" + WANTED)
        run(self.serve(talk))
        run(NEGOTIATION.server.refuse(talk, PeerRefused("too late")))
        self.assertEqual(self.local.sent, b"\5\0" + OK5)

    def test_nothing_asked(self) -> None:
        """Without a request there is nothing to refuse."""
        assert NEGOTIATION.server is not None
        assert NEGOTIATION.server.refuse is not None
        talk = self.conversation(b"")
        run(NEGOTIATION.server.refuse(talk, PeerRefused("no")))
        self.assertEqual(self.local.sent, b"")


class ResolveTests(ServerCase):
    """Tor's RESOLVE."""

    ASK5 = b"\5\1\0\5\xf0\0\3\x09a.example\0\0"
    ASK4 = b"\4\xf0\0\0\0\0\0\1\0a.example\0"

    def resolved(self, said: bytes, found: Sequence[str] | Exception, answer: bytes) -> None:
        """*said* is answered with *answer* when the look-up gives *found*."""

        async def resolve(host: str) -> Sequence[str]:
            self.assertEqual(host, "a.example")
            if isinstance(found, Exception):
                raise found
            return found

        for splits in every_split(said, samples=3):
            talk = self.conversation(said, splits, resolve=resolve)
            try:
                run(self.serve(talk))
            except StunnelTxError:
                self.assertFalse(talk.finished)
            else:
                self.assertTrue(talk.finished)
            self.assertIsNone(talk.destination)
            self.assertEqual(self.local.sent, answer)

    def test_answers(self) -> None:
        """The first address that fits the version is the answer, and nothing is connected."""
        both = ["2001:db8::1", "192.0.2.1"]
        six = b"\4\x20\1\x0d\xb8" + bytes(11) + b"\1"
        self.resolved(self.ASK5, both, b"\5\0\5\0\0" + six + b"\0\0")
        self.resolved(self.ASK4, both, b"\0\x5a\0\0\xc0\0\2\1")
        self.resolved(self.ASK4, both[:1], b"\0\x5b" + bytes(6))

    def test_failures(self) -> None:
        """An unknown name and a forbidden one have their codes."""
        for error, code in ((Unresolved("no"), 4), (Rejected("loopback"), 2)):
            answer = b"\5\0" + bytes((5, code, 0, 1)) + bytes(6)
            self.resolved(self.ASK5, error, answer)

    def test_nobody_looks_up(self) -> None:
        """Where names cannot be looked up the command is not supported."""
        self.refused(self.ASK5, ProtocolViolation, b"\5\0\5\7\0\1" + bytes(6))
