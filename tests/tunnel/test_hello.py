"""Tests of looking at a ClientHello that stays in the socket."""

from __future__ import annotations

import itertools
import socket

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import DeadlineExceeded, PeerClosed, ProtocolViolation
from stunnel_tx.relay.loop import READ
from stunnel_tx.tls.client_hello import ClientHello
from stunnel_tx.tunnel.hello import (
    NO_APPLICATION_PROTOCOL,
    UNRECOGNIZED_NAME,
    read_hello,
    refuse,
)
from tests.doubles.tasks import DrivenTask
from tests.doubles.tls_pairs import tcp_pair
from tests.tls.test_client_hello import real_hello

HELLO = real_hello(b"name.example")


class HelloTests(SynchronousTestCase):
    """Hellos whole, in pieces, and not at all."""

    def begin(self, *, unix: bool = False) -> DrivenTask:
        """A task that reads a hello from ``near``; ``far`` is the client."""
        self.near, self.far = socket.socketpair() if unix else tcp_pair()
        for sock in (self.near, self.far):
            sock.setblocking(False)
            self.addCleanup(sock.close)
        return DrivenTask().run(lambda task: read_hello(task, self.near))

    def assert_untouched(self, driven: DrivenTask, sent: bytes = HELLO) -> None:
        """The hello was understood, and every byte is still in the socket."""
        # A kernel that is short of buffers wakes up early, and we look again a moment later.
        driven.loop.settle()
        driven.clock.advance(0.6)
        hello = driven.finish()
        self.assertIsInstance(hello, ClientHello)
        self.assertEqual(hello.server_name, "name.example")
        self.assertEqual(self.near.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT), 1)
        self.assertEqual(self.near.recv(65536), sent)

    def test_whole(self) -> None:
        """A hello that comes in one piece."""
        driven = self.begin()
        self.far.send(HELLO)
        self.assert_untouched(driven)

    def test_there_already(self) -> None:
        """A hello that is there before anybody looks needs no wait."""
        near, far = tcp_pair()
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        far.send(HELLO)
        driven = DrivenTask()
        driven.run(lambda task: read_hello(task, near))
        self.assertEqual((driven.errors, driven.loop.calls), ([None], 0))

    def test_with_more_behind(self) -> None:
        """What a client sends right behind its hello is left alone as well."""
        driven = self.begin()
        self.far.send(HELLO + b"early data")
        self.assert_untouched(driven, HELLO + b"early data")

    def test_every_split(self) -> None:
        """A hello in two pieces, cut anywhere."""
        for cut in range(1, len(HELLO), 7):
            driven = self.begin()
            self.far.send(HELLO[:cut])
            driven.loop.settle()
            self.assertEqual(driven.errors, [])
            self.far.send(HELLO[cut:])
            self.assert_untouched(driven)

    @settings(deadline=None, max_examples=20)
    @given(st.lists(st.integers(min_value=1, max_value=len(HELLO) - 1), max_size=6))
    def test_random_splits(self, cuts: list[int]) -> None:
        """A hello in any pieces."""
        driven = self.begin()
        ends = [0, *sorted(cuts), len(HELLO)]
        for start, end in itertools.pairwise(ends):
            self.far.send(HELLO[start:end])
            driven.loop.settle()
        self.assert_untouched(driven)

    def test_dripping_wakes_seldom(self) -> None:
        """A client that drips does not wake us up for every byte."""
        driven = self.begin()
        for at in range(len(HELLO)):
            self.far.send(HELLO[at : at + 1])
            driven.loop.settle()
        self.assertLess(driven.loop.calls, 10)
        self.assert_untouched(driven)

    def test_early_wake(self) -> None:
        """A wake-up without news, as a kernel short of buffers gives, is answered by a pause."""
        driven = self.begin()
        self.far.send(HELLO[:100])
        driven.loop.settle()
        driven.loop.fire(self.near.fileno(), READ)
        self.far.send(HELLO[100:])
        driven.loop.settle()
        self.assertEqual(driven.errors, [])
        self.assert_untouched(driven)

    def test_unix_socket(self) -> None:
        """Where the kernel cannot wait for a number of bytes, looking again does not spin."""
        driven = self.begin(unix=True)
        for at in range(0, len(HELLO), 100):
            self.far.send(HELLO[at : at + 100])
            driven.loop.settle()
            driven.clock.advance(0.6)
        driven.loop.settle()
        driven.clock.advance(0.6)
        self.assertLess(driven.loop.calls, 60)
        self.assert_untouched(driven)

    def test_nothing_but_an_end(self) -> None:
        """A client that connects and goes away, with or without RST."""
        for reset in (False, True):
            driven = self.begin()
            if reset:
                linger = b"\x01\0\0\0\0\0\0\0"
                self.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.far.close()
            error = self.assertRaises(PeerClosed, driven.finish)
            wanted = "Connection reset by peer (104)" if reset else "Peer suddenly disconnected"
            self.assertEqual(str(error), wanted)

    def test_half_and_an_end(self) -> None:
        """Half a hello and a FIN: no use waiting for the rest, on any kind of socket."""
        for unix in (False, True):
            for whole_close in (False, True):
                driven = self.begin(unix=unix)
                self.far.send(HELLO[:100])
                driven.loop.settle()
                if whole_close:
                    self.far.close()
                else:
                    self.far.shutdown(socket.SHUT_WR)
                for _ in range(4):
                    driven.loop.settle()
                    driven.clock.advance(0.6)
                self.assertIsInstance(driven.error, PeerClosed, (unix, whole_close))

    def test_half_and_an_end_at_once(self) -> None:
        """The same, all of it there before anybody looks."""
        near, far = tcp_pair()
        self.addCleanup(near.close)
        far.send(HELLO[:100])
        far.close()
        driven = DrivenTask().run(lambda task: read_hello(task, near))
        for _ in range(4):
            driven.loop.settle()
            driven.clock.advance(0.6)
        self.assertIsInstance(driven.error, PeerClosed)

    def test_garbage(self) -> None:
        """What is no ClientHello is a violation, found in its first bytes."""
        for garbage in (
            b"GET / HTTP/1.0\r\n\r\n",
            b"SSH-2.0-x\r\n",
            b"\0" * 40,
            b"\x16\x03\x01\0\0",
        ):
            driven = self.begin()
            self.far.send(garbage)
            self.assertRaises(ProtocolViolation, driven.finish)
            self.assertEqual(driven.loop.interest, {})

    def test_refuse(self) -> None:
        """The alert goes out, and the hello out of the buffer, so that a close is a FIN."""
        driven = self.begin()
        self.far.send(HELLO)
        hello = driven.finish()
        refuse(self.near, hello, UNRECOGNIZED_NAME)
        self.near.close()
        self.assertEqual(self.far.recv(100), bytes.fromhex("15030300020270"))
        self.assertEqual(self.far.recv(100), b"")

    def test_refuse_too_late(self) -> None:
        """A client that has gone meanwhile is nobody's mistake."""
        driven = self.begin()
        self.far.send(HELLO)
        hello = driven.finish()
        self.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
        self.far.close()
        refuse(self.near, hello, NO_APPLICATION_PROTOCOL)

    def test_too_long(self) -> None:
        """A hello that announces more than the bound is refused at its header."""
        driven = self.begin()
        self.far.send(b"\x16\x03\x01\x40\x00\x01\x00\xff\xff\x03\x03")
        self.assertRaises(ProtocolViolation, driven.finish)

    def test_deadline(self) -> None:
        """Silence, and dripping, are ended by the caller's limit."""
        near, far = tcp_pair()
        self.addCleanup(near.close)
        self.addCleanup(far.close)

        async def limited(task: object) -> ClientHello:
            with driven.task.limit("TIMEOUTbusy", 10):
                return await read_hello(driven.task, near)

        driven = DrivenTask()
        driven.run(limited)
        for at in range(12):
            far.send(HELLO[at : at + 1])
            driven.loop.settle()
            driven.clock.advance(1)
        self.assertIsInstance(driven.error, DeadlineExceeded)
        self.assertEqual(driven.loop.interest, {})
