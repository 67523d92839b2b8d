"""Tests of peers inside real TLS."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import DeadlineExceeded, LimitExceeded, PeerClosed, ProtocolViolation
from stunnel_tx.negotiation.limits import LINE
from stunnel_tx.tunnel.peers import TLSPeer
from tests.doubles.driving import Driver
from tests.doubles.encrypted import tls_pair
from tests.tunnel.test_peers import HEARD, SAID, SURPLUS, chunks, listen, splits

if TYPE_CHECKING:
    from stunnel_tx.tunnel.task import Task

VERSIONS = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)


class TLSPeerTests(SynchronousTestCase):
    """What holds for plain peers holds inside TLS."""

    def setUp(self) -> None:
        self.driver = Driver()
        self.connect()

    def connect(self, version: int = SSL.TLS1_3_VERSION) -> None:
        """Use a new pair from now on."""
        self.pair = tls_pair(version)
        self.addCleanup(self.pair.close)

    def peer(self, task: Task) -> TLSPeer:
        """The peer under test."""
        return TLSPeer(task, self.pair.ours, self.pair.our_socket, "local")

    def left(self) -> bytes:
        """What nobody has read."""
        found = b""
        try:
            while True:
                found += self.pair.ours.recv(1000)
        except SSL.WantReadError:
            return found

    def test_every_split(self) -> None:
        """However the input is cut into records, the same is heard and the surplus is left."""
        for version in VERSIONS:
            for cuts in splits(len(SAID + SURPLUS)):
                self.connect(version)
                running = self.driver.start(lambda task: listen(self.peer(task)))
                for chunk in chunks(SAID + SURPLUS, cuts):
                    self.pair.theirs.send(chunk)
                    self.driver.settle()
                self.assertEqual(self.driver.finish(running).result, HEARD, cuts)
                self.assertEqual(self.left(), SURPLUS, cuts)
                self.pair.close()

    def test_silent(self) -> None:
        """What lies in OpenSSL is something to hear, and a relay has to know that it may."""
        peer = self.peer(self.driver.start(self.nothing).task)
        self.assertFalse(peer.heard)
        self.assertTrue(peer.silent())
        self.assertTrue(peer.heard)
        self.pair.theirs.send(b"xy")
        self.assertFalse(peer.silent())
        self.assertEqual(self.driver.run(lambda _task: peer.read_exactly(1)), b"x")
        self.assertFalse(peer.silent())
        self.pair.theirs.shutdown()
        self.assertEqual(self.driver.run(lambda _task: peer.read_exactly(1)), b"y")
        self.assertFalse(peer.silent())

    async def nothing(self, task: Task) -> None:
        """Do nothing."""

    def test_records_in_pieces(self) -> None:
        """A record that drips in byte by byte is waited for without spinning."""
        memory = tls_pair()
        self.addCleanup(memory.close)
        memory.theirs.send(b"EHLO\r\n")
        record = memory.our_socket.recv(1000)
        running = self.driver.start(
            lambda task: TLSPeer(task, memory.ours, memory.our_socket, "local").read_line()
        )
        for place in range(len(record)):
            memory.their_socket.send(record[place : place + 1])
            self.driver.settle()
        self.assertEqual(running.result, b"EHLO")
        self.assertLessEqual(self.driver.loop.calls, len(record))

    def test_peek_and_spoken(self) -> None:
        """Looking takes nothing."""
        self.pair.theirs.send(b"ab")
        self.assertEqual(self.driver.run(lambda task: self.peer(task).peek(8)), b"ab")
        self.assertEqual(self.driver.run(lambda task: self.peer(task).spoken(1)), b"a")
        self.assertEqual(self.left(), b"ab")

    def test_silence(self) -> None:
        """A peer that says nothing in time is reported silent."""
        running = self.driver.start(lambda task: self.peer(task).spoken(0.2))
        self.driver.clock.advance(1)
        self.assertEqual((running.done, running.result), (True, b""))

    def test_deadline(self) -> None:
        """A deadline cuts the wait off."""

        async def bounded(task: Task) -> bytes:
            with task.limit("TIMEOUTbusy", 1):
                return await self.peer(task).read_exactly(1)

        running = self.driver.start(bounded)
        self.driver.clock.advance(2)
        self.assertIsInstance(running.error, DeadlineExceeded)

    def test_long_line(self) -> None:
        """A line beyond its limit is refused."""
        self.pair.theirs.send(b"x" * (LINE + 1))
        self.assertRaises(LimitExceeded, self.driver.run, lambda task: self.peer(task).read_line())

    def test_back_pressure(self) -> None:
        """More than the kernel holds is sent as the other side reads, every byte in its place."""
        data = random.Random(2).randbytes(600_000)
        running = self.driver.start(lambda task: self.peer(task).send(data))
        self.assertFalse(running.done)
        got = b""
        while len(got) < len(data):
            try:
                got += self.pair.theirs.recv(100_000)
            except SSL.WantReadError:
                self.driver.settle()
        self.assertTrue(running.done)
        self.assertEqual(got, data)

    def test_close_notify(self) -> None:
        """A peer that closes TLS in the middle is told of as closed."""
        self.pair.theirs.send(b"EHL")
        self.pair.theirs.shutdown()
        error = self.assertRaises(
            PeerClosed, self.driver.run, lambda task: self.peer(task).read_line()
        )
        self.assertIn("closed TLS", str(error))

    def test_bare_end(self) -> None:
        """A peer that drops the connection without closing TLS is told of, too."""
        for version in VERSIONS:
            self.connect(version)
            self.pair.their_socket.close()
            error = self.assertRaises(
                (PeerClosed, ProtocolViolation),
                self.driver.run,
                lambda task: self.peer(task).read_line(),
            )
            self.assertIn("local", str(error))

    def test_garbage(self) -> None:
        """Bytes that are no TLS are a violation, with OpenSSL's error as the cause."""
        self.pair.their_socket.send(b"plain text in the middle of TLS\r\n")
        error = self.assertRaises(
            ProtocolViolation, self.driver.run, lambda task: self.peer(task).read_line()
        )
        self.assertIsInstance(error.__cause__, SSL.Error)
