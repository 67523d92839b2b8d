"""Tests of a tunnel's negotiation where both sides may be silent for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stunnel_tx.errors import DeadlineExceeded, PeerClosed
from stunnel_tx.negotiation.stages import Stages
from stunnel_tx.tunnel.dialogues import NegotiationPolicy
from tests.doubles.encrypted import tls_pair
from tests.tunnel.test_dialogues import BUSY, CONTEXT, IDLE, DialoguesCase

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation
    from stunnel_tx.tunnel.task import Task


class IdleTests(DialoguesCase):
    """:meth:`stunnel_tx.negotiation.peer.Conversation.speaker` in the late stage."""

    def test_idle_client(self) -> None:
        """In the late stage both sides may be silent for long, and either is heard."""
        pair = tls_pair()
        self.addCleanup(pair.close)
        heard: list[str] = []

        async def attend(conversation: Conversation) -> None:
            for _ in range(3):
                speaker = await conversation.speaker()
                heard.append("local" if speaker is conversation.local else "remote")
                await speaker.read_exactly(1)

        async def whole(task: Task) -> None:
            talks = self.dialogues(task, NegotiationPolicy(Stages(late=attend)))
            talks.encrypted(CONTEXT, pair.ours, local=True)
            await talks.joined(self.outgoing)
            await talks.late(IDLE)

        self.ours = pair.our_socket
        running = self.driver.start(whole)
        self.driver.clock.advance(2 * BUSY)
        # Two bytes in one record: the second one lies in OpenSSL.
        pair.theirs.send(b"xy")
        self.driver.settle()
        self.assertEqual(heard, ["local", "local"])
        self.driver.clock.advance(2 * BUSY)
        self.remote.close()
        self.driver.settle()
        self.assertEqual(heard, ["local", "local", "remote"])
        self.assertIsInstance(running.error, PeerClosed)

    def test_too_idle(self) -> None:
        """But not for ever."""

        async def attend(conversation: Conversation) -> None:
            await conversation.speaker()

        async def whole(task: Task) -> None:
            talks = self.dialogues(task, NegotiationPolicy(Stages(late=attend)))
            await talks.joined(self.outgoing)
            await talks.late(IDLE)

        running = self.driver.start(whole)
        self.driver.clock.advance(IDLE * 1.02)
        assert isinstance(running.error, DeadlineExceeded)
        self.assertEqual(running.error.option, "TIMEOUTidle")

    def test_other_stages(self) -> None:
        """Before the late stage nobody may be silent for long."""

        async def whole(task: Task) -> None:
            talks = self.dialogues(task, NegotiationPolicy())
            await talks.conversation.speaker()

        self.assertRaises(RuntimeError, self.driver.run, whole)
