"""Tests of how a relay ends where a side is cut, leaves, or waits for a slow one."""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.relay.channel import PipeChannel
from stunnel_tx.relay.half_close import State
from stunnel_tx.telemetry.levels import INFO, WARNING
from tests.doubles.relayed import Relayed
from tests.doubles.tls_pairs import TLS_1_2, TLS_1_3

#: TIMEOUTclose and TIMEOUTidle of the relays below, in seconds.
CLOSE, IDLE = 60.0, 1000.0


class TruncationTests(SynchronousTestCase):
    """A FIN without close_notify."""

    def relayed(self, tls: str, **policy: Any) -> Relayed:
        """A relay that is taken down at the end of the test."""
        made = Relayed(tls, **policy)
        self.addCleanup(made.close)
        return made

    def test_logged_and_counted(self) -> None:
        """It ends its direction like any end, but it is logged and counted."""
        for tls, truncating, other in (("local", "user", "backend"), ("remote", "backend", "user")):
            made = self.relayed(tls)
            getattr(made, truncating).send(b"all?")
            getattr(made, truncating).truncate()
            made.until(lambda: getattr(made, other).end)  # noqa: B023 - called at once
            getattr(made, other).send(b"answer")
            getattr(made, other).finish()
            made.until(lambda: made.outcome)  # noqa: B023 - called at once
            made.settle()
            self.assertEqual(bytes(getattr(made, other).received), b"all?")
            self.assertEqual(bytes(getattr(made, truncating).received), b"answer")
            assert made.outcome is not None
            self.assertEqual((made.outcome.truncated, made.outcome.failed), (1, False))
            text = "the peer sent no close_notify"
            self.assertEqual(len([line for line in made.log.texts if text in line]), 1)

    def test_orderly_end_is_no_truncation(self) -> None:
        """close_notify with its FIN right behind is neither logged nor counted."""
        made = self.relayed("local")
        made.user.finish()
        made.user.truncate()
        made.backend.finish()
        made.until(lambda: made.outcome)
        assert made.outcome is not None
        self.assertEqual(made.outcome.truncated, 0)
        self.assertIn("TLS closed (SSL_read)", made.log.texts)

    def test_require_close_notify(self) -> None:
        """With requireCloseNotify the other side gets a RST, and the log says why."""
        for tls, truncating, other, word in (
            ("local", "user", "backend", "reset/closed"),
            ("remote", "backend", "user", "closed/reset"),
        ):
            made = self.relayed(tls, require_close_notify=True)
            getattr(made, truncating).send(b"all?")
            made.settle()
            getattr(made, truncating).truncate()
            made.until(lambda: made.outcome)  # noqa: B023 - called at once
            made.settle()
            assert made.outcome is not None
            self.assertEqual((made.outcome.word, made.outcome.truncated), (word, 1))
            self.assertEqual(getattr(made, other).end, "reset")
            self.assertIn("requireCloseNotify: sending reset to the other side", made.log.texts)


class DistrustTests(SynchronousTestCase):
    """``requireCloseNotify``: whatever ends the tunnel, half a stream is not taken for a whole."""

    def relayed(self, tls: str, **policy: Any) -> Relayed:
        """A relay with ``reset = no`` that has sent something to the plain side."""
        made = Relayed(tls, require_close_notify=True, reset=False, **policy)
        self.addCleanup(made.close)
        (made.user if tls == "local" else made.backend).send(b"half")
        made.settle()
        return made

    def check(self, made: Relayed, tls: str, end: str = "reset") -> None:
        """The relay is over, and the plain side has seen *end*."""
        made.settle()
        self.assertIsNotNone(made.outcome)
        self.assertEqual((made.backend if tls == "local" else made.user).end, end)

    def test_reset(self) -> None:
        """RST of the TLS side reaches the plain side although ``reset = no``."""
        for tls in ("local", "remote"):
            made = self.relayed(tls)
            (made.user if tls == "local" else made.backend).reset()
            self.check(made, tls)

    def test_bad_record(self) -> None:
        """So does a record that does not decrypt."""
        for tls in ("local", "remote"):
            made = self.relayed(tls)
            peer = made.user if tls == "local" else made.backend
            peer.deaf = True
            peer.socket.send(b"\x17\x03\x03\x00\x20" + b"Z" * 32)
            self.check(made, tls)

    def test_stopped(self) -> None:
        """So does the end of the program, and a time-out."""
        for tls in ("local", "remote"):
            made = self.relayed(tls)
            made.relay.abort(reset=False)
            self.check(made, tls)
            made = self.relayed(tls)
            made.advance(IDLE * 1.05)
            self.check(made, tls)

    def test_close_timeout(self) -> None:
        """A client that has not ended when TIMEOUTclose does is cut, and the server knows."""
        made = self.relayed("local")
        made.backend.finish()
        made.settle()
        made.advance(CLOSE * 1.05)
        self.check(made, "local")

    def test_ended_orderly(self) -> None:
        """After close_notify everything has been passed on: no RST for what comes later."""
        made = self.relayed("local")
        made.user.finish()
        made.settle()
        made.relay.abort(reset=False)
        self.check(made, "local", "fin")


class SlowReaderTests(SynchronousTestCase):
    """TIMEOUTclose bounds the wait for an end, not the delivery of bytes."""

    def test_buffered_bytes_outlive_close_timeout(self) -> None:
        """An upload to a server that has ended its own direction and reads slowly arrives whole."""
        for require in (False, True):
            made = Relayed("local", require_close_notify=require)
            self.addCleanup(made.close)
            made.backend.deaf = True
            made.backend.finish()
            made.user.send(bytes(16_000_000))
            made.user.finish()
            made.settle()
            for _ in range(3):
                made.advance(CLOSE * 2)
            self.assertIsNone(made.outcome)
            made.backend.deaf = False
            made.until(lambda: made.outcome)  # noqa: B023 - called at once
            made.settle()
            self.assertEqual((len(made.backend.received), made.backend.end), (16_000_000, "fin"))

    def test_idle_timeout(self) -> None:
        """A server that never reads is given up after TIMEOUTidle, by RST."""
        made = Relayed("local")
        self.addCleanup(made.close)
        made.backend.deaf = True
        made.backend.finish()
        made.user.send(bytes(16_000_000))
        made.settle()
        made.advance(IDLE * 1.05)
        assert made.outcome is not None
        self.assertEqual((made.outcome.word, made.outcome.failed), ("reset", True))
        made.backend.deaf = False
        made.settle()
        self.assertEqual(made.backend.end, "reset")


class LeavingTests(SynchronousTestCase):
    """Client mode: the local program leaves; it costs one line, and no alarm."""

    LEFT = "transfer_tcp: writesocket: Socket is closed"

    def relayed(self, version: int = TLS_1_3) -> Relayed:
        """A relay in client mode."""
        made = Relayed("remote", version)
        self.addCleanup(made.close)
        return made

    def check(self, made: Relayed) -> None:
        """The TLS server has got everything, and a close_notify."""
        made.until(lambda: made.outcome)
        made.settle()
        assert made.outcome is not None
        self.assertEqual(made.outcome.word, "closed")
        self.assertEqual(bytes(made.backend.received), b"GET")
        self.assertIn("Sending close_notify alert", made.log.texts)
        self.assertEqual([text for level, _, text in made.log.lines if level < INFO], [])
        self.assertEqual(made.log.texts.count(self.LEFT), 1)

    def test_blocked_download(self) -> None:
        """A program that closes in the middle of a download it is too slow for."""
        for version in (TLS_1_2, TLS_1_3):
            made = self.relayed(version)
            made.user.send(b"GET")
            made.user.deaf = True
            made.settle()
            made.backend.send(bytes(16_000_000))
            made.settle()
            made.user.close()
            self.check(made)

    def test_finished_before(self) -> None:
        """A program that has ended its direction, and closes while the answer comes."""
        made = self.relayed()
        made.user.send(b"GET")
        made.user.close()
        made.settle()
        for _ in range(3):
            made.backend.send(b"some")
            made.settle()
        self.check(made)

    def test_unread_answer(self) -> None:
        """A program that closes with an answer unread, while nothing more is on its way."""
        made = self.relayed()
        made.user.deaf = True
        made.user.send(b"GET")
        made.settle()
        made.backend.send(b"answer")
        made.settle()
        made.user.close()
        self.check(made)

    def test_request_that_is_not_taken(self) -> None:
        """What a program that has left wanted to send is given up after TIMEOUTclose, by RST."""
        made = self.relayed()
        made.backend.deaf = made.user.deaf = True
        made.user.send(bytes(16_000_000))
        made.backend.send(bytes(16_000_000))
        made.settle()
        made.user.close()
        made.settle()
        self.assertIsNone(made.outcome)
        made.advance(CLOSE * 1.05)
        assert made.outcome is not None
        self.assertEqual((made.outcome.word, made.outcome.failed), ("reset", True))

    def test_vanished_tls_client(self) -> None:
        """Server mode: one line for a client that goes without close_notify, whatever follows."""
        for answers in (0, 1, 3):
            made = Relayed("local")
            self.addCleanup(made.close)
            made.settle()
            made.user.close()
            made.settle()
            for _ in range(answers):
                made.backend.send(b"answer")
                made.settle()
            made.backend.finish()
            made.until(lambda: made.outcome)  # noqa: B023 - called at once
            loud = [level for level, _, _ in made.log.lines if level < INFO]
            self.assertEqual(loud, [WARNING], answers)


class PolicyTests(SynchronousTestCase):
    """Details of the bookkeeping."""

    def test_close_timeout_of_zero(self) -> None:
        """``TIMEOUTclose = 0`` does not wait for the other side's end."""
        made = Relayed("local", close=0.0)
        self.addCleanup(made.close)
        made.backend.send(b"bye")
        made.backend.finish()
        made.settle()
        made.advance(0.5)
        assert made.outcome is not None
        self.assertEqual((bytes(made.user.received), made.outcome.word), (b"bye", "closed"))

    def test_plain_on_both_sides(self) -> None:
        """The relay does not care whether there is TLS anywhere."""
        made = Relayed("")
        self.addCleanup(made.close)
        made.user.send(b"ping")
        made.user.finish()
        made.backend.send(b"pong")
        made.backend.finish()
        made.until(lambda: made.outcome)
        made.settle()
        self.assertEqual(
            (bytes(made.user.received), bytes(made.backend.received)), (b"pong", b"ping")
        )

    def test_pipes(self) -> None:
        """Pipes are relayed too; the output pipe is closed with its direction, no sooner."""
        (source, feed), (drain, sink) = os.pipe(), os.pipe()
        made = Relayed("", local=PipeChannel(source, sink))
        self.addCleanup(made.close)
        made.backend.send(bytes(300_000))
        made.backend.finish()
        made.settle()
        received = 0
        while data := os.read(drain, 65536):
            received += len(data)
            made.settle()
        self.assertEqual((received, made.outcome), (300_000, None))
        os.write(feed, b"and back")
        os.close(feed)
        made.until(lambda: made.outcome)
        made.settle()
        self.assertEqual(bytes(made.backend.received), b"and back")
        os.close(drain)

    def test_answer_in_spite_of_an_upload(self) -> None:
        """A plain server that answers and closes in the middle of an upload is heard.

        It went by RST, so that nobody knows whether its answer is whole: no close_notify.
        """
        for blocked in (True, False):
            for version in (TLS_1_2, TLS_1_3):
                made = Relayed("local", version)
                self.addCleanup(made.close)
                made.backend.deaf = True
                made.user.send(bytes(24_000_000 if blocked else 100_000))
                made.settle()
                made.backend.send(b"413 too large")
                made.backend.close()
                made.until(lambda: made.user.end or made.outcome)  # noqa: B023 - called at once
                made.settle()
                self.assertEqual(bytes(made.user.received), b"413 too large", (blocked, version))
                self.assertNotEqual(made.user.end, "close_notify", (blocked, version))

    def test_lost_upload_is_read_away(self) -> None:
        """After the server has gone, the client's upload is dropped until the client ends."""
        made = Relayed("local")
        self.addCleanup(made.close)
        made.backend.deaf = True
        made.user.send(bytes(24_000_000))
        made.settle()
        made.backend.send(b"no")
        made.backend.close()
        made.until(lambda: made.user.end)
        self.assertEqual(bytes(made.user.received), b"no")
        self.assertIs(made.relay._forward.state, State.DISCARDING)
        made.user.truncate()
        made.until(lambda: made.outcome)
        assert made.outcome is not None
        self.assertEqual((made.outcome.word, made.outcome.failed), ("closed", True))
