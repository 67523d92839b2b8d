"""Tests of readiness: the same ones for both loops, on a real reactor of the test's own."""

from __future__ import annotations

import os
import select
import socket
import threading
from typing import TYPE_CHECKING, Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.relay.loop import (
    HANGUP,
    READ,
    WRITE,
    EpollLoop,
    ReactorLoop,
    epoll_usable,
    make_loop,
)
from tests.doubles.private_reactor import PrivateReactor, open_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.relay.loop import Fault, Loop


class LoopTests:
    """What holds for every loop; ``make`` is its class."""

    make: Callable[[Any, Fault], Loop]

    def setUp(self) -> None:
        self.before = open_descriptors()
        self.turner = PrivateReactor()
        self.reactor = self.turner.reactor
        self.faults: list[tuple[int, str]] = []
        self.loop = self.make(
            self.reactor, lambda fd, error: self.faults.append((fd, type(error).__name__))
        )
        self.near, self.far = socket.socketpair()
        self.events: list[int] = []

    def tearDown(self) -> None:
        self.loop.close()
        self.turner.close()
        self.near.close()
        self.far.close()
        self.assertEqual(open_descriptors(), self.before)  # type: ignore[attr-defined]

    def turns(self, count: int = 5) -> list[int]:
        """The events of *count* turns."""
        self.events.clear()
        for _ in range(count):
            self.turner.turn()
        return list(self.events)

    def test_watch_is_level_triggered(self: Any) -> None:
        """While unread input is there, every round tells of it; afterwards none does."""
        self.loop.watch(self.near.fileno(), READ, self.events.append)
        self.assertEqual(self.turns(), [])
        self.far.send(b"x")
        self.assertGreaterEqual(len(self.turns()), 5)
        self.near.recv(10)
        self.assertEqual(self.turns(), [])

    def test_interest_is_respected(self: Any) -> None:
        """Who waits to write does not hear of input, and the other way round."""
        self.far.send(b"x")
        self.loop.watch(self.near.fileno(), WRITE, self.events.append)
        self.assertEqual({event & (READ | WRITE) for event in self.turns()}, {WRITE})
        self.loop.watch(self.near.fileno(), READ, self.events.append)
        self.assertEqual({event & (READ | WRITE) for event in self.turns()}, {READ})

    def test_both_interests(self: Any) -> None:
        """Input and room for output are both told, in one event or in two."""
        self.far.send(b"x")
        self.loop.watch(self.near.fileno(), READ | WRITE, self.events.append)
        told = 0
        for event in self.turns():
            told |= event
        self.assertEqual(told & (READ | WRITE), READ | WRITE)

    def test_once(self: Any) -> None:
        """A single wait ends with its first event, and can be repeated."""
        self.far.send(b"x")
        for _ in range(3):
            self.loop.once(self.near.fileno(), READ, self.events.append)
            self.assertEqual(len(self.turns()), 1)

    def test_once_again_from_its_callback(self: Any) -> None:
        """The callback of a single wait may begin the next one."""
        self.far.send(b"x")

        def step(event: int) -> None:
            self.events.append(event)
            if len(self.events) < 3:
                self.loop.once(self.near.fileno(), READ, step)

        self.loop.once(self.near.fileno(), READ, step)
        self.assertEqual(len(self.turns(20)), 3)

    def test_watch_after_once(self: Any) -> None:
        """A descriptor goes over from single waits to being watched, with a new callback."""
        self.far.send(b"x")
        self.loop.once(self.near.fileno(), READ, lambda _event: None)
        self.turns()
        self.loop.watch(self.near.fileno(), READ, self.events.append)
        self.assertGreaterEqual(len(self.turns()), 5)

    def test_forget(self: Any) -> None:
        """Nothing is heard of a forgotten descriptor; forgetting it twice is harmless."""
        self.far.send(b"x")
        self.loop.watch(self.near.fileno(), READ, self.events.append)
        self.loop.forget(self.near.fileno())
        self.loop.forget(self.near.fileno())
        self.assertEqual(self.turns(), [])

    def test_pause_and_go_on(self: Any) -> None:
        """An interest of 0 is a pause, from which watching goes on."""
        self.far.send(b"x")
        self.loop.watch(self.near.fileno(), READ, self.events.append)
        self.loop.watch(self.near.fileno(), 0, self.events.append)
        self.assertEqual(self.turns(), [])
        self.loop.watch(self.near.fileno(), READ, self.events.append)
        self.assertGreaterEqual(len(self.turns()), 5)

    def test_hangup_while_paused_does_not_spin(self: Any) -> None:
        """The end of a connection nobody has an interest in wakes nobody up."""
        self.loop.watch(self.near.fileno(), READ, self.events.append)
        self.loop.watch(self.near.fileno(), 0, self.events.append)
        self.far.close()
        self.assertEqual(self.turns(20), [])

    def test_hangup_after_once_does_not_spin(self: Any) -> None:
        """Nor does the end of a connection whose single wait is over."""
        self.far.send(b"x")
        self.loop.once(self.near.fileno(), READ, self.events.append)
        self.turns()
        self.far.close()
        self.assertEqual(self.turns(20), [])

    def test_hangup_is_told(self: Any) -> None:
        """Who waits for input, or for room, hears of the other end's going."""
        for interest in (READ, WRITE):
            near, far = socket.socketpair()
            self.addCleanup(near.close)
            near.setblocking(False)
            if interest == WRITE:
                self._fill(near)
            self.loop.watch(near.fileno(), interest, self.events.append)
            self.assertEqual(self.turns(), [])
            far.close()
            self.assertNotEqual(self.turns(), [], interest)
            self.assertNotEqual(self.turns(), [], "an end is told until it is looked at")
            self.loop.forget(near.fileno())

    def _fill(self, sock: socket.socket) -> None:
        try:
            while True:
                sock.send(bytes(65536))
        except BlockingIOError:
            pass

    def test_single_wait_ends_with_a_hangup(self: Any) -> None:
        """A hang-up is an answer to a single wait as well, once."""
        self.loop.once(self.near.fileno(), READ, self.events.append)
        self.far.close()
        self.assertEqual(len(self.turns()), 1)

    def test_fault(self: Any) -> None:
        """What a callback raises goes to the fault callback, and the others are still called."""
        other, its_peer = socket.socketpair()
        self.addCleanup(other.close)
        self.addCleanup(its_peer.close)
        self.far.send(b"x")
        its_peer.send(b"x")

        def fail(_event: int) -> None:
            self.loop.forget(self.near.fileno())
            raise ZeroDivisionError

        self.loop.watch(self.near.fileno(), READ, fail)
        self.loop.watch(other.fileno(), READ, self.events.append)
        self.assertGreaterEqual(len(self.turns()), 5)
        self.assertEqual(self.faults, [(self.near.fileno(), "ZeroDivisionError")])
        self.loop.forget(other.fileno())

    def test_number_used_again(self: Any) -> None:
        """A new socket under the number of a closed one is a descriptor of its own."""
        fd = self.near.fileno()
        for wait in (self.loop.watch, self.loop.once):
            wait(fd, READ, lambda _event: self.fail("an event of the old socket"))
            self.loop.forget(fd)
            self.near.close()
            self.far.close()
            self.near, self.far = socket.socketpair()
            self.assertEqual(self.near.fileno(), fd)
            self.far.send(b"x")
            self.loop.watch(fd, READ, self.events.append)
            self.assertNotEqual(self.turns(), [])
            self.loop.once(fd, READ, self.events.append)
            self.assertEqual(len(self.turns()), 1)

    def test_forgotten_at_its_close(self: Any) -> None:
        """A descriptor that is closed right away needs no more than its number forgotten."""
        fd = self.near.fileno()
        for wait in (self.loop.watch, self.loop.once):
            wait(fd, READ, lambda _event: self.fail("an event of the old socket"))
            self.loop.forget(fd, closing=True)
            self.near.close()
            self.far.close()
            self.near, self.far = socket.socketpair()
            self.assertEqual(self.near.fileno(), fd)
            self.far.send(b"x")
            self.assertEqual(self.turns(), [])
            self.loop.watch(fd, READ, self.events.append)
            self.assertNotEqual(self.turns(), [])

    def test_callback_closes_another(self: Any) -> None:
        """Of two ready descriptors, the first callback may close the second."""
        other, its_peer = socket.socketpair()
        self.addCleanup(its_peer.close)
        self.far.send(b"x")
        its_peer.send(b"x")
        closed: list[int] = []

        def close_other(which: socket.socket, _event: int) -> None:
            closed.append(which.fileno())
            for sock in (self.near, other):
                self.loop.forget(sock.fileno())
            (other if which is self.near else self.near).close()

        self.loop.watch(self.near.fileno(), READ, lambda event: close_other(self.near, event))
        self.loop.watch(other.fileno(), READ, lambda event: close_other(other, event))
        self.turns()
        self.assertEqual((len(closed), self.faults), (1, []))
        other.close()

    def test_reactor_goes_on_beside_a_hot_descriptor(self: Any) -> None:
        """With a descriptor that is always ready, timers and other threads get their turn."""
        ran: list[str] = []
        self.far.send(b"x")
        self.loop.watch(self.near.fileno(), READ, self.events.append)
        self.reactor.callLater(0.01, ran.append, "timer")
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        self.reactor.addReader(_Reader(reader, lambda: ran.append("descriptor")))
        os.write(writer, b"x")
        thread = threading.Thread(target=self.reactor.callFromThread, args=(ran.append, "thread"))
        self.reactor.callLater(0.02, thread.start)
        self.reactor.callLater(60, self.reactor.crash)

        def check() -> None:
            if {"timer", "thread", "descriptor"} <= set(ran) and len(self.events) > 10:
                self.reactor.stop()
            else:
                self.reactor.callLater(0.01, check)

        self.reactor.callLater(0.01, check)
        self.reactor.run(installSignalHandlers=False)
        thread.join(60)
        self.assertEqual(set(ran), {"timer", "thread", "descriptor"})
        self.assertGreater(len(self.events), 10)

    def test_callback_makes_reactor_calls(self: Any) -> None:
        """A timer set, or a call made, by a callback does not wait for the next event."""
        ran: list[str] = []

        def note(what: str) -> None:
            ran.append(what)
            if len(ran) == 2:
                self.reactor.stop()

        def callback(_event: int) -> None:
            self.loop.forget(self.near.fileno())
            self.reactor.callLater(0, note, "timer")
            self.reactor.callFromThread(note, "call")

        self.far.send(b"x")
        self.loop.watch(self.near.fileno(), READ, callback)
        guard = self.reactor.callLater(60, note, "too late")
        self.reactor.run(installSignalHandlers=False)
        self.assertEqual(sorted(ran), ["call", "timer"])
        self.assertTrue(guard.active())

    def test_stopped_by_a_callback(self: Any) -> None:
        """A callback may stop the reactor, hot descriptor or not."""
        self.far.send(b"x")

        def callback(event: int) -> None:
            self.events.append(event)
            if len(self.events) == 3:
                self.reactor.stop()

        self.loop.watch(self.near.fileno(), READ, callback)
        self.reactor.run(installSignalHandlers=False)
        self.assertLess(len(self.events), 10)

    def test_close(self: Any) -> None:
        """A closed loop calls nobody; the reactor polls for itself again; twice is harmless."""
        self.far.send(b"x")
        self.loop.watch(self.near.fileno(), READ, self.events.append)
        self.loop.close()
        self.loop.close()
        ran: list[int] = []
        self.reactor.callLater(0, ran.append, 1)
        self.assertEqual(self.turns(), [])
        self.assertEqual(ran, [1])


class EpollLoopTests(LoopTests, SynchronousTestCase):
    """The loop with an epoll object of its own."""

    make = EpollLoop


class ReactorLoopTests(LoopTests, SynchronousTestCase):
    """The loop on the reactor's public interface."""

    make = ReactorLoop


class ChoiceTests(SynchronousTestCase):
    """Which loop a reactor gets."""

    def test_epoll_reactor(self) -> None:
        """The epoll reactor gets the loop of its own kind."""
        turner = PrivateReactor()
        self.addCleanup(turner.close)
        loop = make_loop(turner.reactor, lambda _fd, _error: None)
        self.addCleanup(loop.close)
        self.assertIsInstance(loop, EpollLoop)

    def test_missing_part(self) -> None:
        """An epoll reactor that has moved one private part gets the public way."""
        turner = PrivateReactor()
        self.addCleanup(turner.close)
        self.patch(turner.reactor, "_poller", turner.reactor._poller)
        turner.reactor.__dict__.pop("threadCallQueue")
        self.assertFalse(epoll_usable(turner.reactor))
        turner.reactor.threadCallQueue = []

    def test_any_other_reactor(self) -> None:
        """Whatever is not the epoll reactor gets the public way."""
        self.assertIsInstance(make_loop(Clock(), lambda _fd, _error: None), ReactorLoop)

    def test_bits_are_those_of_epoll(self) -> None:
        """The event bits are what the kernel says."""
        self.assertEqual((READ, WRITE, HANGUP), (select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP))


class _Reader:
    """One descriptor watched by the reactor itself, read once."""

    def __init__(self, fd: int, callback: Callable[[], None]) -> None:
        self._fd = fd
        self._callback = callback

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "reader"

    def doRead(self) -> None:
        os.read(self._fd, 1)
        self._callback()

    def connectionLost(self, _reason: object) -> None:
        """The reactor is being taken down."""
