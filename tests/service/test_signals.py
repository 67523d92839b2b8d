"""Tests of stunnel_tx.service.signals."""

from __future__ import annotations

import os
import signal

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.service.signals import STOPPING, SignalActions, Signals
from tests.doubles.programs import recording_log
from tests.doubles.reactors import HandTurnedReactor


class SignalTests(SynchronousTestCase):
    """Real signals to this process, and what the reactor is asked to do."""

    def setUp(self) -> None:
        self.done: list[str] = []
        self.reactor = HandTurnedReactor()
        self.log, self.sink = recording_log()

    def _make(self) -> Signals:
        actions = SignalActions(
            stop=lambda: self.done.append("stop"),
            reload=lambda: self.done.append("reload"),
            reopen_logs=lambda: self.done.append("reopen"),
            list_tunnels=lambda: self.done.append("list"),
        )
        signals = Signals(self.reactor, actions, self.log.main)
        self.addCleanup(signals.restore)
        return signals

    def _send(self, number: int) -> None:
        os.kill(os.getpid(), number)

    def test_each_signal_asks_for_its_action(self) -> None:
        """HUP reloads, USR1 reopens, USR2 lists, TERM stops."""
        self._make().install()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
            self._send(number)
            self.reactor.turn()
        self.assertEqual(self.done, ["reload", "reopen", "list", "stop"])

    def test_nothing_is_done_inside_the_signal(self) -> None:
        """Until the reactor turns, neither action nor log line happens."""
        self._make().install()
        self._send(signal.SIGHUP)
        self._send(signal.SIGTERM)
        self.assertEqual((self.done, self.sink.lines), ([], []))
        self.assertEqual(len(self.reactor.scheduled), 2)

    def test_announcements(self) -> None:
        """TERM is announced as a notice, INT and QUIT as errors with their names."""
        self._make().install()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            self._send(number)
            self.reactor.turn()
        self.assertEqual(
            self.sink.lines,
            [
                (5, "ui", "Terminated"),
                (3, "ui", "Received SIGINT; terminating"),
                (3, "ui", "Received SIGQUIT; terminating"),
            ],
        )

    def test_ignored_at_start_stays_ignored(self) -> None:
        """TERM, INT and QUIT that were ignored at start (nohup) remain so; HUP does not."""
        outer = self._make()
        numbers = (*STOPPING, signal.SIGHUP)
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        inner = self._make()
        inner.install()
        for number in numbers:
            self._send(number)
        self.reactor.turn()
        self.assertEqual(self.done, ["reload"])
        inner.restore()
        self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)
        outer.restore()

    def test_installing_again_replaces_what_twisted_set(self) -> None:
        """A handler set by somebody else meanwhile gives way to ours."""
        signals = self._make()
        signals.install()
        signal.signal(signal.SIGTERM, lambda *_: self.done.append("stranger"))
        signals.install()
        self._send(signal.SIGTERM)
        self.reactor.turn()
        self.assertEqual(self.done, ["stop"])

    def test_broken_pipes_are_ignored_and_all_is_restored(self) -> None:
        """PIPE is ignored; restoring puts back every handler, and CHLD is never touched."""
        child = signal.getsignal(signal.SIGCHLD)
        before = {number: signal.getsignal(number) for number in (*STOPPING, signal.SIGUSR1)}
        signals = self._make()
        signals.install()
        self.assertEqual(signal.getsignal(signal.SIGPIPE), signal.SIG_IGN)
        self.assertEqual(signal.getsignal(signal.SIGCHLD), child)
        signals.restore()
        self.assertEqual({number: signal.getsignal(number) for number in before}, before)
