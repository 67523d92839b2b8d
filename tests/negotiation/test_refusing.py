"""Tests of refusals: told once, whatever happens to the one who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import DeadlineExceeded, LimitExceeded, PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.refusing import refusing, tell
from tests.doubles.conversations import ScriptedPeer, conversation, run

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation


class RefusingTests(SynchronousTestCase):
    """:func:`refusing` and :func:`tell`."""

    def test_told_once(self) -> None:
        """A second refusal of the same connection is not sent."""
        local = ScriptedPeer()
        talk = conversation(local)
        run(tell(talk, b"no\r\n"))
        run(tell(talk, b"never\r\n"))
        self.assertEqual(local.sent, b"no\r\n")

    def test_nobody_listens(self) -> None:
        """A local side that is gone does not hide why it was refused."""
        talk = conversation(ScriptedPeer(deaf=True))
        run(tell(talk, b"no\r\n"))
        self.assertTrue(talk.refused)

    def test_which_errors(self) -> None:
        """A peer's fault and a limit are told; what the driver throws in passes through."""
        for error, told in (
            (ProtocolViolation("x"), b"no"),
            (PeerRefused("x"), b"no"),
            (LimitExceeded("x", 1), b"no"),
            (DeadlineExceeded("TIMEOUTbusy", 1), b""),
        ):
            local = ScriptedPeer()

            async def dialogue(_talk: Conversation, error: Exception = error) -> None:
                raise error

            async def refuse(talk: Conversation, _error: Exception) -> None:
                await tell(talk, b"no")

            with self.assertRaises(type(error)):
                run(refusing(dialogue, refuse)(conversation(local)))
            self.assertEqual(local.sent, told)
