"""Tests of the relay: bytes, ends, time-outs, between scripted peers on real sockets."""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.relay.channel import CHUNK
from stunnel_tx.telemetry.levels import NOTICE
from tests.doubles.relayed import Relayed
from tests.doubles.tls_pairs import TLS_1_2, TLS_1_3

#: TIMEOUTclose and TIMEOUTidle of the relays below, in seconds.
CLOSE, IDLE = 60.0, 1000.0

ROLES = st.tuples(st.sampled_from(["local", "remote", ""]), st.sampled_from([TLS_1_2, TLS_1_3]))
PIECES = st.lists(st.tuples(st.booleans(), st.integers(min_value=1, max_value=50_000)), max_size=12)


class RelayTests:
    """What holds in every role and version."""

    tls: str
    version: int

    def relayed(self: Any, **policy: Any) -> Relayed:
        """A relay that is taken down at the end of the test."""
        made = Relayed(self.tls, self.version, **policy)
        self.addCleanup(made.close)
        return made

    def kind(self: Any, side: str) -> str:
        """How an orderly end looks on *side*."""
        return "close_notify" if side == self.tls else "fin"

    def assert_closed(self: Any, made: Relayed) -> None:
        """The relay has ended in good order, and forgotten everything."""
        assert made.outcome is not None
        self.assertEqual((made.outcome.word, made.outcome.failed), ("closed", False))
        self.assertEqual((made.loop.interest, len(made.deadlines)), ({}, 0))

    def test_bytes_both_ways(self: Any) -> None:
        """Two megabytes each way at the same time arrive unchanged, and are counted."""
        made = self.relayed()
        up, down = (hashlib.shake_128(name).digest(2_000_000) for name in (b"up", b"down"))
        made.user.send(up)
        made.backend.send(down)
        made.user.finish()
        made.backend.finish()
        made.until(lambda: made.outcome)
        made.settle()
        self.assertEqual(bytes(made.backend.received), up)
        self.assertEqual(bytes(made.user.received), down)
        self.assertEqual((made.outcome.to_local, made.outcome.to_remote), (2_000_000, 2_000_000))
        self.assertEqual(
            (made.user.end, made.backend.end), (self.kind("local"), self.kind("remote"))
        )
        self.assert_closed(made)

    def test_initiator_ends_first(self: Any) -> None:
        """The accepted side ends; the answer still comes, whole, and ends the tunnel."""
        made = self.relayed()
        made.user.send(b"question")
        made.user.finish()
        made.until(lambda: made.backend.end)
        self.assertEqual((bytes(made.backend.received), made.outcome), (b"question", None))
        made.backend.send(b"answer" * 50_000)
        made.backend.finish()
        made.until(lambda: made.outcome)
        made.settle()
        self.assertEqual(bytes(made.user.received), b"answer" * 50_000)
        self.assert_closed(made)

    def test_responder_ends_first(self: Any) -> None:
        """The remote side ends; what the accepted side has to say still arrives."""
        made = self.relayed()
        made.backend.send(b"greeting")
        made.backend.finish()
        made.until(lambda: made.user.end)
        self.assertEqual((bytes(made.user.received), made.outcome), (b"greeting", None))
        made.user.send(b"more" * 50_000)
        made.user.finish()
        made.until(lambda: made.outcome)
        made.settle()
        self.assertEqual(bytes(made.backend.received), b"more" * 50_000)
        self.assert_closed(made)

    def test_slow_answer_outlives_close_timeout(self: Any) -> None:
        """A half-closed initiator gets an answer that takes longer than TIMEOUTclose.

        stunnel cuts such a tunnel, answer and all, and says that it was closed.
        """
        made = self.relayed()
        made.user.send(b"question")
        made.user.finish()
        made.until(lambda: made.backend.end)
        for _ in range(5):
            made.advance(CLOSE * 2)
        made.backend.send(b"slow")
        made.settle()
        made.advance(CLOSE * 2)
        made.backend.send(b" answer")
        made.backend.finish()
        made.until(lambda: made.outcome)
        made.settle()
        self.assertEqual(bytes(made.user.received), b"slow answer")
        self.assert_closed(made)

    def test_idle_timeout(self: Any) -> None:
        """A tunnel without a byte for TIMEOUTidle is reset, not a moment earlier."""
        made = self.relayed()
        made.advance(IDLE - 1)
        made.user.send(b"x")
        made.settle()
        made.advance(IDLE - 1)
        self.assertIsNone(made.outcome)
        made.advance(1 + IDLE / 32)
        assert made.outcome is not None
        self.assertEqual((made.outcome.word, made.outcome.failed), ("reset", True))
        self.assertEqual((made.user.end, made.backend.end), ("reset", "reset"))
        wanted = "transfer_tcp: s_poll_wait: TIMEOUTidle exceeded: sending reset"
        self.assertEqual(made.log.lines, [(NOTICE, "0", wanted)])

    def test_idle_timeout_without_answer(self: Any) -> None:
        """A half-closed initiator waits for its answer no longer than TIMEOUTidle."""
        made = self.relayed()
        made.user.finish()
        made.settle()
        made.advance(IDLE * 1.05)
        self.assertEqual(made.outcome.word, "reset")

    def test_no_timeouts(self: Any) -> None:
        """With negative limits there is no deadline at all, and a tunnel waits for ever."""
        made = self.relayed(idle=-1.0, close=-1.0)
        self.assertEqual(len(made.deadlines), 0)
        made.backend.finish()
        made.settle()
        self.assertEqual(len(made.deadlines), 0)
        made.advance(1e7)
        self.assertIsNone(made.outcome)

    def test_close_timeout(self: Any) -> None:
        """Once the answer is complete, an initiator that does not end gets TIMEOUTclose."""
        made = self.relayed()
        made.backend.send(b"all of it")
        made.backend.finish()
        made.settle()
        made.advance(CLOSE - 1)
        self.assertIsNone(made.outcome)
        made.advance(1 + CLOSE / 32)
        self.assertEqual(bytes(made.user.received), b"all of it")
        self.assert_closed(made)
        self.assertIn("transfer_tcp: s_poll_wait: TIMEOUTclose exceeded: closing", made.log.texts)

    def test_close_timeout_starts_anew_with_each_byte(self: Any) -> None:
        """An upload that goes on after the answer is not cut."""
        made = self.relayed()
        made.backend.finish()
        made.settle()
        for _ in range(5):
            made.advance(CLOSE - 2)
            made.user.send(b"x")
            made.settle()
        self.assertEqual((bytes(made.backend.received), made.outcome), (b"xxxxx", None))

    def test_reader_that_never_reads(self: Any) -> None:
        """Back-pressure: a deaf peer stops the other one, and one chunk is kept at most."""
        for deaf, loud, flow in (("backend", "user", "_forward"), ("user", "backend", "_backward")):
            made = self.relayed()
            listener, talker = getattr(made, deaf), getattr(made, loud)
            listener.deaf = True
            data = hashlib.shake_128(b"loud").digest(24_000_000)
            talker.send(data)
            made.settle()
            self.assertGreater(len(talker.outgoing), 1_000_000, "it should have been stopped")
            kept = getattr(made.relay, flow).pending
            self.assertLessEqual(len(kept), CHUNK)
            self.assertEqual(made.loop.turn(), False, "nothing may be ready, or it spins")
            listener.deaf = False
            talker.finish()
            made.until(lambda listener=listener: listener.end)
            self.assertEqual(
                hashlib.sha256(listener.received).digest(), hashlib.sha256(data).digest()
            )

    def test_other_direction_beside_a_deaf_peer(self: Any) -> None:
        """A direction that is stopped does not stop the other one."""
        made = self.relayed()
        made.backend.deaf = True
        made.user.send(bytes(24_000_000))
        made.settle()
        made.backend.send(b"news" * 100_000)
        made.until(lambda: len(made.user.received) == 400_000)
        self.assertIsNone(made.outcome)

    def test_end_waits_behind_the_bytes(self: Any) -> None:
        """The end of a direction reaches a slow reader after its last byte."""
        for slow, fast in (("backend", "user"), ("user", "backend")):
            made = self.relayed()
            reader, writer = getattr(made, slow), getattr(made, fast)
            reader.deaf = True
            writer.send(bytes(16_000_000))
            writer.finish()
            made.settle()
            reader.deaf = False
            made.until(lambda reader=reader: reader.end)
            self.assertEqual(len(reader.received), 16_000_000)

    def test_reset_by_either_side(self: Any) -> None:
        """A RST at any moment gives one line and one outcome, and reaches the other side.

        A local program that leaves its answer unread is another matter.
        """
        for who, other in (("user", "backend"), ("backend", "user")):
            for before in ("", "data", "half", "answered", "blocked"):
                if who == "user" and self.tls == "remote" and before in {"answered", "blocked"}:
                    continue
                made = self.relayed()
                breaker, witness = getattr(made, who), getattr(made, other)
                if before == "data":
                    breaker.send(b"x" * 100_000)
                elif before == "half":
                    witness.finish()
                elif before == "answered":
                    witness.send(b"x" * 100_000)
                    made.settle()
                elif before == "blocked" and who == "user":
                    breaker.deaf = True
                    witness.send(bytes(16_000_000))
                made.settle()
                breaker.reset()
                made.until(lambda made=made: made.outcome)
                made.settle()
                self.assertEqual(made.outcome.failed, True, (who, before))
                self.assertEqual(made.outcome.word, "reset", (who, before))
                if before != "half":
                    self.assertEqual(witness.end, "reset", (who, before))
                errors = [text for level, _, text in made.log.lines if level <= 3]
                self.assertEqual(len(errors), 1, (who, before, errors))
                self.assertIn("client 192.0.2.1:7", errors[0])

    def test_no_reset(self: Any) -> None:
        """With ``reset = no`` the other side of a broken connection gets a FIN."""
        made = self.relayed(reset=False)
        made.backend.reset()
        made.until(lambda: made.outcome)
        made.settle()
        self.assertEqual((made.user.end, made.outcome.word), ("fin", "closed"))
        self.assertTrue(made.outcome.failed)

    def test_abort(self: Any) -> None:
        """From outside the relay can be ended at any time, with or without RST, once."""
        for reset, end in ((False, "fin"), (True, "reset")):
            made = self.relayed()
            made.relay.abort(reset=reset)
            made.relay.abort(reset=not reset)
            made.settle()
            self.assertEqual((made.user.end, made.backend.end), (end, end))
            self.assertEqual((made.outcome.local_reset, made.outcome.remote_reset), (reset, reset))
            self.assertEqual((made.loop.interest, len(made.deadlines)), ({}, 0))

    def test_spurious_events(self: Any) -> None:
        """Events are hints: with nothing behind them, nothing happens."""
        made = self.relayed()
        for fd in list(made.loop.interest):
            for event in (0x1, 0x4, 0x5):
                made.loop.fire(fd, event)
        self.assertEqual((made.outcome, made.relay.moved, made.log.texts), (None, (0, 0), []))


class ServerTLS13Tests(RelayTests, SynchronousTestCase):
    """Server mode, TLS 1.3."""

    tls = "local"
    version = TLS_1_3


class ServerTLS12Tests(RelayTests, SynchronousTestCase):
    """Server mode, TLS 1.2."""

    tls = "local"
    version = TLS_1_2


class ClientTLS13Tests(RelayTests, SynchronousTestCase):
    """Client mode, TLS 1.3."""

    tls = "remote"
    version = TLS_1_3


class ClientTLS12Tests(RelayTests, SynchronousTestCase):
    """Client mode, TLS 1.2."""

    tls = "remote"
    version = TLS_1_2


class ChunkingTests(SynchronousTestCase):
    """Any traffic at all."""

    @settings(deadline=None, max_examples=40)
    @given(ROLES, PIECES)
    def test_any_chunking(self, role: tuple[str, int], pieces: list[tuple[bool, int]]) -> None:
        """However the bytes are cut and interleaved, both ways arrive unchanged."""
        made = Relayed(*role)
        sent = {True: bytearray(), False: bytearray()}
        for number, (upward, size) in enumerate(pieces):
            data = bytes([number]) * size
            sent[upward] += data
            (made.user if upward else made.backend).send(data)
            made.loop.turn()
        made.user.finish()
        made.backend.finish()
        made.until(lambda: made.outcome)
        made.settle()
        made.close()
        self.assertEqual(made.backend.received, sent[True])
        self.assertEqual(made.user.received, sent[False])
