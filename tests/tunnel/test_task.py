"""Tests of the coroutine driver: readiness, deadlines, Deferreds, interruption."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import DeadlineExceeded
from stunnel_tx.relay.loop import READ, WRITE
from stunnel_tx.tunnel.task import Cancelled
from tests.doubles.tasks import DrivenTask

if TYPE_CHECKING:
    from stunnel_tx.tunnel.task import Task


class TaskTests(SynchronousTestCase):
    """Waiting and being interrupted."""

    def setUp(self) -> None:
        self.near, self.far = socket.socketpair()
        for sock in (self.near, self.far):
            self.addCleanup(sock.close)
        self.driven = DrivenTask()

    def test_without_a_wait(self) -> None:
        """A coroutine that need not wait is over at once."""

        async def at_once(_task: Task) -> str:
            return "done"

        self.assertEqual(self.driven.run(at_once).results, ["done"])
        self.assertEqual(self.driven.errors, [None])

    def test_ready(self) -> None:
        """Waiting for readiness gives the event, several times over."""

        async def wait(task: Task) -> list[int]:
            fd = self.near.fileno()
            first = await task.ready(fd, WRITE)
            second = await task.ready(fd, READ)
            return [first & WRITE, second & READ]

        self.driven.run(wait)
        self.driven.loop.settle()
        self.assertEqual(self.driven.errors, [])
        self.far.send(b"x")
        self.assertEqual(self.driven.finish(), [WRITE, READ])

    def test_first_ready(self) -> None:
        """Of several descriptors the first one counts, and none is watched afterwards."""
        other, far = socket.socketpair()
        self.addCleanup(other.close)
        self.addCleanup(far.close)
        fds = self.near.fileno(), other.fileno()

        async def wait(task: Task) -> int:
            return await task.first_ready(fds, READ)

        self.driven.run(wait)
        self.driven.loop.settle()
        self.assertEqual(self.driven.errors, [])
        far.send(b"x")
        self.assertEqual(self.driven.finish(), fds[1])
        self.assertEqual(self.driven.loop.interest, {})

    def test_ready_within(self) -> None:
        """A wait for readiness may end without it, and what comes later wakes nobody."""

        async def wait(task: Task) -> list[int]:
            fd = self.near.fileno()
            first = await task.ready_within(fd, READ, 5)
            await task.sleep(10)
            return [first, await task.ready_within(fd, READ, 5) & READ]

        self.driven.run(wait)
        self.driven.clock.advance(6)
        self.far.send(b"x")
        self.driven.loop.settle()
        self.assertEqual(self.driven.errors, [])
        self.driven.clock.advance(11)
        self.assertEqual(self.driven.finish(), [0, READ])
        self.assertEqual(len(self.driven.deadlines), 0)

    def test_pause(self) -> None:
        """While a limit pauses its time does not run, and begins anew after it."""

        async def wait(task: Task) -> None:
            fd, limit = self.near.fileno(), task.limit("TIMEOUTbusy", 10)
            with limit:
                await task.ready(fd, READ)
                with limit.pause(), task.limit("TIMEOUTidle", 100):
                    await task.ready(fd, WRITE | READ)
                    await task.sleep(50)
                await task.ready(fd, READ)
                self.near.recv(1)
                await task.ready(fd, READ)

        self.driven.run(wait)
        self.driven.clock.advance(9)
        self.far.send(b"x")
        self.driven.loop.settle()
        self.driven.clock.advance(51)
        self.driven.loop.settle()
        self.driven.clock.advance(9)
        self.assertEqual(self.driven.errors, [])
        self.driven.clock.advance(2)
        error = self.driven.error
        assert isinstance(error, DeadlineExceeded)
        self.assertEqual(error.option, "TIMEOUTbusy")
        self.assertEqual(len(self.driven.deadlines), 0)

    def test_limit(self) -> None:
        """A limit interrupts any wait inside its block when its time has come."""

        async def wait(task: Task) -> None:
            with task.limit("TIMEOUTbusy", 10):
                await task.ready(self.near.fileno(), READ)

        self.driven.run(wait)
        self.driven.clock.advance(9.9)
        self.assertIsNone(self.driven.error)
        self.driven.clock.advance(0.5)
        error = self.driven.error
        assert isinstance(error, DeadlineExceeded)
        self.assertEqual((error.option, error.seconds), ("TIMEOUTbusy", 10))
        self.assertEqual(self.driven.loop.interest, {}, "the descriptor must be forgotten")

    def test_limit_is_absolute(self) -> None:
        """Progress inside the block does not move the limit."""

        async def drip(task: Task) -> None:
            with task.limit("TIMEOUTbusy", 10):
                while True:
                    await task.ready(self.near.fileno(), READ)
                    self.near.recv(1)

        self.driven.run(drip)
        for _ in range(10):
            self.driven.clock.advance(1)
            self.far.send(b"x")
            self.driven.loop.settle()
        self.driven.clock.advance(0.5)
        self.assertIsInstance(self.driven.error, DeadlineExceeded)

    def test_limit_ends_with_its_block(self) -> None:
        """After the block, however it was left, its limit is gone."""

        async def leave(task: Task) -> str:
            with task.limit("TIMEOUTbusy", 10):
                pass
            try:
                with task.limit("TIMEOUTbusy", 10):
                    raise KeyError  # noqa: TRY301 - leaving the block by it is the point
            except KeyError:
                return "left"

        self.driven.run(leave)
        self.assertEqual((self.driven.results, len(self.driven.deadlines)), (["left"], 0))

    def test_inner_limit(self) -> None:
        """Of two limits the one that is due says its own name, and the other still holds."""

        async def nested(task: Task) -> str:
            with task.limit("TIMEOUTbusy", 100):
                try:
                    with task.limit("TIMEOUTconnect", 10):
                        await task.sleep(1000)
                except DeadlineExceeded as error:
                    first = error.option
                try:
                    await task.sleep(1000)
                except DeadlineExceeded as error:
                    return f"{first}, {error.option}"
            return ""

        self.driven.run(nested)
        self.driven.clock.advance(11)
        self.driven.clock.advance(100)
        self.assertEqual(self.driven.results, ["TIMEOUTconnect, TIMEOUTbusy"])

    def test_no_limit(self) -> None:
        """A negative limit is none."""

        async def wait(task: Task) -> None:
            with task.limit("TIMEOUTbusy", -1):
                await task.ready(self.near.fileno(), READ)

        self.driven.run(wait)
        self.assertEqual(len(self.driven.deadlines), 0)
        self.driven.clock.advance(1e9)
        self.assertEqual(self.driven.errors, [])
        self.driven.task.throw(Cancelled("over"))

    def test_sleep(self) -> None:
        """Sleeping takes its time, and a cancelled sleep leaves no deadline."""
        self.driven.run(lambda task: task.sleep(5))
        self.driven.clock.advance(4.9)
        self.assertEqual(self.driven.errors, [])
        self.driven.clock.advance(0.5)
        self.assertEqual(self.driven.errors, [None])
        other = DrivenTask().run(lambda task: task.sleep(5))
        other.task.throw(Cancelled("over"))
        self.assertIsInstance(other.error, Cancelled)
        self.assertEqual(len(other.deadlines), 0)

    def test_fired(self) -> None:
        """A Deferred's result, or its failure, now or later."""
        later: Deferred[str] = Deferred()
        for deferred in (succeed("now"), later):
            driven = DrivenTask().run(lambda task, deferred=deferred: task.fired(deferred))  # type: ignore[misc]
            if deferred is later:
                self.assertEqual(driven.errors, [])
                later.callback("later")
            self.assertEqual(driven.errors, [None])
        broken = DrivenTask().run(lambda task: task.fired(fail(KeyError("k"))))
        self.assertIsInstance(broken.error, KeyError)

    def test_interrupted_deferred_is_cancelled(self) -> None:
        """A wait for a Deferred that is cut short cancels it, and its late end is no matter."""
        cancelled: list[bool] = []
        deferred: Deferred[str] = Deferred(lambda _deferred: cancelled.append(True))

        async def wait(task: Task) -> str:
            with task.limit("TIMEOUTconnect", 10):
                return await task.fired(deferred)

        self.driven.run(wait)
        self.driven.clock.advance(11)
        self.assertIsInstance(self.driven.error, DeadlineExceeded)
        self.assertEqual(cancelled, [True])
        self.assertIsNone(self.successResultOf(deferred))

    def test_failure_is_handed_over_once(self) -> None:
        """What the coroutine raises goes to whoever started it; later throws do nothing."""

        async def fail_at_once(_task: Task) -> None:
            raise ZeroDivisionError

        self.driven.run(fail_at_once)
        self.driven.task.throw(Cancelled("too late"))
        self.assertIsInstance(self.driven.error, ZeroDivisionError)

    def test_cancelled_deferred_of_its_own(self) -> None:
        """A Deferred that somebody else cancels is an error like any other."""
        deferred: Deferred[str] = Deferred()
        self.driven.run(lambda task: task.fired(deferred))
        deferred.cancel()
        self.assertIsInstance(self.driven.error, CancelledError)

    def test_caught_interruption(self) -> None:
        """A coroutine may catch what is thrown and go on to another wait."""

        async def stubborn(task: Task) -> str:
            try:
                await task.ready(self.near.fileno(), READ)
            except Cancelled:
                await task.sleep(1)
            return "went on"

        self.driven.run(stubborn)
        self.driven.task.throw(Cancelled("not yet"))
        self.driven.clock.advance(2)
        self.assertEqual(self.driven.results, ["went on"])
