"""Tests of peers over real sockets and real TLS."""

from __future__ import annotations

import random
import socket
import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import (
    DeadlineExceeded,
    LimitExceeded,
    PeerClosed,
    ProtocolViolation,
)
from stunnel_tx.negotiation.limits import BYTES, LINE, LINES
from stunnel_tx.tunnel.peers import PARTING_WAIT, Allowance, PlainPeer, next_speaker, part
from tests.doubles.driving import Driver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stunnel_tx.tunnel.task import Task

RESET = struct.pack("ii", 1, 0)

#: Two lines, five bytes, one more line; and what belongs to nobody here.
SAID = b"EHLO me\r\nbare\n12345QUIT\r\n"
SURPLUS = b"\x16\x03\x01 MAIL FROM:<x>\r\n"
HEARD = [b"EHLO me", b"bare", b"12345", b"QUIT"]


def splits(size: int) -> Iterator[list[int]]:
    """Every single cut, all cuts at once, and some random ones."""
    yield []
    yield list(range(1, size))
    for cut in range(1, size):
        yield [cut]
    dice = random.Random(size)
    for _ in range(20):
        yield sorted(dice.sample(range(1, size), dice.randrange(1, size - 1)))


def chunks(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """*data* in pieces."""
    ends = [0, *cuts, len(data)]
    for start, end in pairwise(ends):
        yield data[start:end]


async def listen(peer: Any) -> list[bytes]:
    """Hear :data:`SAID`."""
    return [
        await peer.read_line(),
        await peer.read_line(),
        await peer.read_exactly(5),
        await peer.read_line(),
    ]


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected TCP sockets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    return near, far


class PlainCase(SynchronousTestCase):
    """A peer on one end of a connection; the test holds the other."""

    def setUp(self) -> None:
        self.driver = Driver()
        self.connect(socket.socketpair())

    def connect(self, pair: tuple[socket.socket, socket.socket]) -> None:
        """Use *pair* from now on."""
        self.ours, self.theirs = pair
        self.ours.setblocking(False)
        for each in pair:
            self.addCleanup(each.close)

    def left(self) -> bytes:
        """What the kernel still holds."""
        found = b""
        try:
            while True:
                found += self.ours.recv(1000)
        except BlockingIOError:
            return found

    def peer(self, task: Task, allowance: Allowance | None = None) -> PlainPeer:
        """The peer under test."""
        return PlainPeer(task, self.ours, "local", allowance)


class ReadingTests(PlainCase):
    """Lines and counts come out whole, and nothing else is taken."""

    def test_every_split(self) -> None:
        """However the input is cut, the same is heard and the surplus stays in the kernel."""
        for connect in (socket.socketpair, tcp_pair):
            for cuts in splits(len(SAID + SURPLUS)):
                self.connect(connect())
                running = self.driver.start(lambda task: listen(self.peer(task)))
                for chunk in chunks(SAID + SURPLUS, cuts):
                    self.theirs.sendall(chunk)
                    self.driver.settle()
                self.driver.finish(running)
                self.assertEqual(running.result, HEARD, cuts)
                self.assertEqual(self.left(), SURPLUS, cuts)
                self.ours.close()
                self.theirs.close()

    def test_dripping_does_not_spin(self) -> None:
        """Each byte that drips in wakes the task once, and silence not at all."""
        running = self.driver.start(lambda task: listen(self.peer(task)))
        for place in range(len(SAID)):
            self.theirs.send(SAID[place : place + 1])
            self.driver.settle()
            self.driver.settle()
        self.assertTrue(running.done)
        self.assertLessEqual(self.driver.loop.calls, len(SAID))

    def test_long_line(self) -> None:
        """A line as long as its limit is read, one byte more is not."""
        self.theirs.sendall(b"x" * (LINE - 2) + b"\r\n")
        self.assertEqual(len(self.driver.run(lambda task: self.peer(task).read_line())), LINE - 2)
        self.theirs.sendall(b"x" * (LINE - 1) + b"\r\n")
        self.assertRaises(LimitExceeded, self.driver.run, lambda task: self.peer(task).read_line())

    def test_endless_line(self) -> None:
        """A line without an end is cut off at the limit, and the rest is left alone."""
        running = self.driver.start(lambda task: self.peer(task).read_line(100))
        for _ in range(99):
            self.theirs.send(b"x")
            self.driver.settle()
        self.assertFalse(running.done)
        self.theirs.send(b"x" * 100)
        self.assertIsInstance(self.driver.finish(running).error, LimitExceeded)

    def test_bad_characters(self) -> None:
        """NUL and a bare CR are refused, also when they come in pieces."""
        for line in (b"a\0b\r\n", b"a\rb\r\n", b"a\r\r\n"):
            for cuts in splits(len(line)):
                self.connect(socket.socketpair())
                running = self.driver.start(lambda task: self.peer(task).read_line())
                for chunk in chunks(line, cuts):
                    self.theirs.send(chunk)
                    self.driver.settle()
                self.assertIsInstance(self.driver.finish(running).error, ProtocolViolation, line)

    def test_count_of_lines(self) -> None:
        """The line beyond the hundredth is not read."""

        async def forever(peer: PlainPeer) -> None:
            while True:
                await peer.read_line()

        self.theirs.sendall(b"250-x\r\n" * (LINES + 1))
        error = self.assertRaises(
            LimitExceeded, self.driver.run, lambda task: forever(self.peer(task))
        )
        self.assertEqual(error.limit, LINES)
        self.assertEqual(self.ours.recv(100), b"250-x\r\n")

    def test_count_of_bytes(self) -> None:
        """No peer makes a negotiation read more than its bytes, in lines or in messages."""
        self.assertRaises(
            LimitExceeded, self.driver.run, lambda task: self.peer(task).read_exactly(BYTES + 1)
        )
        self.theirs.sendall(b"0123456789\r\n")
        allowance = Allowance(size=15)
        self.driver.run(lambda task: self.peer(task, allowance).read_line())
        self.theirs.sendall(b"01\r\n")
        self.assertRaises(
            LimitExceeded,
            self.driver.run,
            lambda task: self.peer(task, allowance).read_line(),
        )

    def test_peek(self) -> None:
        """Looking takes nothing, and does not wait for more than one byte."""
        self.theirs.send(b"ab")
        self.assertEqual(self.driver.run(lambda task: self.peer(task).peek(8)), b"ab")
        self.assertEqual(self.ours.recv(10), b"ab")

    def test_nothing_to_read(self) -> None:
        """Zero bytes are there without a wait."""
        self.assertEqual(self.driver.run(lambda task: self.peer(task).read_exactly(0)), b"")

    def test_end_of_input(self) -> None:
        """A peer that closes at any place is told of as closed."""
        for place in range(len(SAID)):
            self.connect(socket.socketpair())
            self.theirs.sendall(SAID[:place])
            self.theirs.close()
            error = self.assertRaises(
                PeerClosed, self.driver.run, lambda task: listen(self.peer(task))
            )
            self.assertIn("local", str(error))

    def test_reset(self) -> None:
        """A connection that breaks is told of with the system's words."""
        self.connect(tcp_pair())
        running = self.driver.start(lambda task: self.peer(task).read_line())
        self.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.theirs.close()
        error = self.driver.finish(running).error
        self.assertIsInstance(error, PeerClosed)
        self.assertIn("reset", str(error))


class TimeTests(PlainCase):
    """Deadlines cut every wait off."""

    def test_silence(self) -> None:
        """A peer that says nothing in time is reported silent."""
        running = self.driver.start(lambda task: self.peer(task).spoken(0.2))
        self.assertFalse(running.done)
        self.driver.clock.advance(1)
        self.assertEqual((running.done, running.result, running.error), (True, b"", None))

    def test_speaking(self) -> None:
        """A peer that speaks in time is heard, and its byte stays where it is."""
        running = self.driver.start(lambda task: self.peer(task).spoken(0.2))
        self.theirs.send(b"\x16\x03")
        self.assertEqual(self.driver.finish(running).result, b"\x16")
        self.assertEqual(self.ours.recv(10), b"\x16\x03")

    def test_outer_deadline(self) -> None:
        """The deadline of the negotiation is not taken for the silence that is asked about."""

        async def bounded(task: Task) -> bytes:
            with task.limit("TIMEOUTbusy", 1):
                return await self.peer(task).spoken(60)

        running = self.driver.start(bounded)
        self.driver.clock.advance(2)
        error = running.error
        assert isinstance(error, DeadlineExceeded)
        self.assertEqual(error.option, "TIMEOUTbusy")

    def test_one_byte_at_a_time(self) -> None:
        """A deadline is absolute: bytes that keep coming do not put it off."""

        async def bounded(task: Task) -> bytes:
            with task.limit("TIMEOUTbusy", 10):
                return await self.peer(task).read_line()

        running = self.driver.start(bounded)
        for _ in range(9):
            self.theirs.send(b"x")
            self.driver.settle()
            self.driver.clock.advance(1)
        self.assertFalse(running.done)
        self.driver.clock.advance(3)
        self.assertIsInstance(running.error, DeadlineExceeded)


class SilenceTests(PlainCase):
    """Whether there is something to hear, and who speaks first."""

    def test_silent(self) -> None:
        """Bytes, the end and a broken connection are all something to be found out about."""
        self.connect(tcp_pair())
        peer = PlainPeer(self.driver.start(self.nothing).task, self.ours, "local")
        self.assertTrue(peer.silent())
        self.theirs.send(b"x")
        self.driver.settle()
        self.assertFalse(peer.silent())
        self.assertEqual(self.left(), b"x")
        self.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.theirs.close()
        self.assertFalse(peer.silent())
        self.assertFalse(peer.heard)

    async def nothing(self, task: Task) -> None:
        """Do nothing."""

    def test_next_speaker(self) -> None:
        """Whoever speaks first is named; of two that have spoken the remote one is."""
        near, far = socket.socketpair()
        near.setblocking(False)
        self.addCleanup(near.close)
        self.addCleanup(far.close)

        async def listen(task: Task) -> str:
            remote = PlainPeer(task, near, "remote")
            return (await next_speaker(task, self.peer(task), remote)).side

        running = self.driver.start(listen)
        self.assertFalse(running.done)
        self.theirs.send(b"x")
        self.assertEqual(self.driver.finish(running).result, "local")
        self.assertFalse(self.driver.loop.waiting)
        far.close()
        self.assertEqual(self.driver.run(listen), "remote")

    def test_answer_behind_a_question(self) -> None:
        """After sending nobody looks for an answer at once, and one that is there is heard."""

        async def ask(task: Task) -> bytes:
            peer = self.peer(task)
            await peer.send(b"what\r\n")
            return await peer.read_line()

        self.theirs.send(b"that\r\n")
        self.assertEqual(self.driver.run(ask), b"that")


class SendingTests(PlainCase):
    """Everything is sent, however slowly the other side reads."""

    def test_back_pressure(self) -> None:
        """More than the kernel holds is sent as the other side reads."""
        data = random.Random(1).randbytes(1_000_000)
        self.theirs.setblocking(False)
        peers: list[PlainPeer] = []

        async def speak(task: Task) -> None:
            peers.append(self.peer(task))
            await peers[0].send(data)

        running = self.driver.start(speak)
        self.assertFalse(running.done)
        got = b""
        while len(got) < len(data):
            got += self.theirs.recv(100_000)
            self.driver.settle()
        self.assertTrue(running.done)
        self.assertEqual(got, data)
        self.assertEqual(peers[0].sent, len(data))

    def test_gone(self) -> None:
        """Sending to a peer that is gone tells so."""
        self.theirs.close()
        self.assertRaises(PeerClosed, self.driver.run, lambda task: self.peer(task).send(b"hello"))


class PartingTests(PlainCase):
    """A refusal reaches the peer although it had more to say."""

    def test_refusal_is_read(self) -> None:
        """With input left unread the peer still gets the refusal and a FIN, no RST."""
        self.connect(tcp_pair())
        self.theirs.sendall(b"x" * 10000)

        async def refuse(task: Task) -> None:
            await self.peer(task).send(b"500 no\r\n")
            await part(task, self.ours)
            self.ours.close()

        running = self.driver.start(refuse)
        self.assertFalse(running.done)
        self.assertEqual(self.theirs.recv(100), b"500 no\r\n")
        self.assertEqual(self.theirs.recv(100), b"")
        self.theirs.close()
        self.assertIsNone(self.driver.finish(running).error)

    def test_bounded_time(self) -> None:
        """A peer that does not close is left after a while."""
        running = self.driver.start(lambda task: part(task, self.ours))
        self.assertFalse(running.done)
        self.driver.clock.advance(PARTING_WAIT + 1)
        self.assertEqual((running.done, running.error), (True, None))

    def test_bounded_size(self) -> None:
        """A peer that goes on talking is left, too."""
        running = self.driver.start(lambda task: part(task, self.ours))
        sent = 0
        while not running.done:
            sent += self.theirs.send(b"x" * 1000)
            self.driver.settle()
        self.assertLess(sent, BYTES + 20000)

    def test_outer_deadline(self) -> None:
        """A deadline around the parting is not swallowed."""

        async def bounded(task: Task) -> None:
            with task.limit("TIMEOUTbusy", 0.1):
                await part(task, self.ours)

        running = self.driver.start(bounded)
        self.driver.clock.advance(1)
        self.assertIsInstance(running.error, DeadlineExceeded)

    def test_gone_already(self) -> None:
        """A connection that is broken already is no error."""
        self.theirs.close()
        self.ours.close()
        self.assertIsNone(self.driver.run(lambda task: part(task, self.ours)))
