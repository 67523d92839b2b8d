"""Tests of calls in threads of their own."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.service.threads import DistantScope, Threads, threads_of
from stunnel_tx.telemetry.events import INTERNAL
from tests.doubles.private_reactor import PrivateReactor
from tests.doubles.reactors import HandTurnedReactor
from tests.doubles.recording import Recording


class ThreadsTests(SynchronousTestCase):
    """Calls beside a reactor that is turned by hand."""

    def setUp(self) -> None:
        self.turner = PrivateReactor()
        self.addCleanup(self.turner.close)
        self.threads = Threads(self.turner.reactor, most=2, idle=0.01)

    def test_result(self) -> None:
        """What a call returns arrives in the reactor's thread, and was made in another one."""
        seen: list[int] = []
        deferred = self.threads.call(lambda number: (number, threading.get_ident()), 7)
        deferred.addCallback(lambda _: seen.append(threading.get_ident()))
        made: list[tuple[int, int]] = []
        again = self.threads.call(lambda number: (number, threading.get_ident()), 8)
        again.addCallback(made.append)
        self.turner.until(lambda: seen and made)
        self.assertEqual(seen, [threading.get_ident()])
        self.assertEqual(made[0][0], 8)
        self.assertNotEqual(made[0][1], threading.get_ident())

    def test_error(self) -> None:
        """What a call raises is raised where its answer is awaited."""
        deferred = self.threads.call(int, "x")
        self.turner.until(lambda: deferred.called)
        self.failureResultOf(deferred, ValueError)

    def test_at_most_so_many(self) -> None:
        """Calls wait for their turn; one that is cancelled meanwhile is never made."""
        go = threading.Event()
        self.addCleanup(go.set)
        made: list[str] = []
        blocked: list[Deferred[Any]] = [self.threads.call(go.wait) for _ in range(2)]
        given_up = self.threads.call(made.append, "given up")
        last: Deferred[Any] = self.threads.call(made.append, "last")
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.assertEqual(made, [])
        go.set()
        self.turner.until(lambda: all(each.called for each in (*blocked, last)))
        self.assertEqual(made, ["last"])

    def test_nobody_waits_for_them(self) -> None:
        """A thread is a daemon, so that a call without end does not hold up the program's end."""
        found: list[bool] = []
        self.threads.call(lambda: found.append(threading.current_thread().daemon))
        self.turner.until(lambda: found)
        self.assertEqual(found, [True])

    def test_idle_threads_end(self) -> None:
        """A thread that has nothing to do ends, and the next call finds another."""
        for _ in range(2):
            found: list[threading.Thread] = []
            self.threads.call(lambda: found.append(threading.current_thread()))  # noqa: B023 - at once
            self.turner.until(lambda: found)  # noqa: B023 - called at once
            found[0].join(60)
            self.assertFalse(found[0].is_alive())

    def test_one_set_for_each_reactor(self) -> None:
        """Everybody at one reactor shares its threads, and they do not keep it alive."""
        reactor = HandTurnedReactor()
        self.assertIs(threads_of(reactor), threads_of(reactor))
        self.assertIsNot(threads_of(reactor), threads_of(self.turner.reactor))
        alive = weakref.ref(reactor)
        del reactor
        gc.collect()
        self.assertIsNone(alive())


class DistantScopeTests(SynchronousTestCase):
    """Lines from another thread."""

    def test_written_by_the_reactor(self) -> None:
        """A line of another thread waits for the reactor; one of its own thread does not."""
        log, reactor = Recording(), HandTurnedReactor()
        scope = DistantScope(reactor, log.log, log.scope)
        self.assertTrue(scope.enabled(7))
        other = threading.Thread(target=scope, args=(INTERNAL, "a thread", "nothing"))
        other.start()
        other.join()
        self.assertEqual(log.lines, [])
        reactor.turn()
        text = "Internal error in a thread: nothing; please report this"
        self.assertEqual(log.lines, [(2, "0", text)])
        scope(INTERNAL, "a thread", "nothing")
        self.assertEqual(log.texts, [text, text])
