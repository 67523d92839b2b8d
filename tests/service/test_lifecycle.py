"""Tests of stunnel_tx.service.lifecycle."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.model import Place, Problem, Severity
from stunnel_tx.configuration.values import DebugLevel
from stunnel_tx.errors import ConfigurationErrors, OperatingError
from stunnel_tx.service import lifecycle as subject
from stunnel_tx.service.lifecycle import REOPEN_INTERVAL, Lifecycle, log_failure
from stunnel_tx.telemetry.events import CONFIGURATION_FAILED
from stunnel_tx.telemetry.log import Log
from tests.doubles.programs import ScriptedProgram, configuration, recording_log
from tests.doubles.reactors import HandTurnedReactor


class LifecycleTests(SynchronousTestCase):
    """The order of things, with an application that only takes notes."""

    def setUp(self) -> None:
        self.patch(subject, "raise_descriptor_limit", lambda _scope: None)
        self.patch(gc, "freeze", lambda: None)
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.output = self.directory / "log"
        self.log = Log()
        self.reactor = HandTurnedReactor()

    def _lifecycle(self, **options: object) -> Lifecycle:
        options.setdefault("output", str(self.output))
        self.program = ScriptedProgram(self.log, **options)
        lifecycle = Lifecycle(self.reactor, self.program, self.log)
        self.addCleanup(lifecycle.close)
        return lifecycle

    def _started(self, **options: object) -> Lifecycle:
        lifecycle = self._lifecycle(**options)
        lifecycle.load()
        lifecycle.bind()
        lifecycle.settle()
        lifecycle.begin()
        return lifecycle

    def _texts(self) -> list[str]:
        return [line.split("]: ", 1)[1] for line in self.output.read_text().splitlines()]

    def test_order_of_a_whole_run(self) -> None:
        """Load, bind, log file, pid file, accepting; at the end stop, and no pid file."""
        pid = self.directory / "pid"
        lifecycle = self._lifecycle(pid=str(pid))
        seen: list[tuple[str, bool, bool]] = []
        self.program.on_call = lambda name: seen.append((name, self.output.exists(), pid.exists()))
        lifecycle.load()
        lifecycle.bind()
        lifecycle.settle()
        lifecycle.begin()
        lifecycle.finish()
        self.assertEqual(
            seen,
            [
                ("load", False, False),
                ("bind", False, False),
                ("start", True, True),
                ("stop", True, True),
            ],
        )
        self.assertFalse(pid.exists())
        self.assertEqual(
            self._texts(),
            [f"Created pid file {pid}", "Accepting new connections", f"Removed pid file {pid}"],
        )

    def test_settle_needs_a_configuration(self) -> None:
        """Opening the logs of no configuration is a bug, not a quiet default."""
        self.assertRaises(RuntimeError, self._lifecycle().settle)

    def test_signals_are_installed_again_once_the_reactor_runs(self) -> None:
        """Twisted's own handlers, set when it starts to run, do not stay in force."""
        self._started()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.reactor.run()
        os.kill(os.getpid(), signal.SIGTERM)
        self.reactor.turn()
        self.assertEqual(self.reactor.stops, 1)

    def test_stop_happens_once(self) -> None:
        """A second signal while stopping does not stop a reactor that has stopped."""
        lifecycle = self._started()
        lifecycle.stop()
        lifecycle.stop()
        self.assertEqual(self.reactor.stops, 1)

    def test_reload_applies_the_log_options(self) -> None:
        """After a good reload lines go to the file, and by the level, of the new options."""
        lifecycle = self._started()
        other = self.directory / "other"
        self.program.next_configuration = configuration(
            output=str(other), debug=DebugLevel(None, 5)
        )
        lifecycle.reload()
        lifecycle.scope(CONFIGURATION_FAILED)
        self.assertIn("Configuration failed", other.read_text())
        self.assertEqual(self.log.threshold, 5)

    def test_refused_reload_leaves_the_logs_alone(self) -> None:
        """When the application keeps its configuration, the log file is not opened again."""
        lifecycle = self._started()
        self.output.rename(self.directory / "moved")
        lifecycle.reload()
        self.assertFalse(self.output.exists())

    def test_log_file_is_opened_again_every_day(self) -> None:
        """A rotation whose signal was forgotten is noticed within a day, and the next one too."""
        lifecycle = self._started()
        for day in range(2):
            self.output.rename(self.directory / f"day{day}")
            self.reactor.advance(REOPEN_INTERVAL)
            self.assertEqual(self._texts(), ["Log file reopened"])
        lifecycle.finish()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_without_log_file_nothing_is_said_daily(self) -> None:
        """The daily reopening is silent when there is no file."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        self._started(output=None)
        self.reactor.advance(REOPEN_INTERVAL)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.assertFalse(self.output.exists())

    def test_requests_of_signals(self) -> None:
        """HUP, USR1 and USR2 reach the application and the logs."""
        self._started()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(os.getpid(), number)
            self.reactor.turn()
        self.assertEqual(self.program.calls, ["load", "bind", "start", "reload", "list"])
        self.assertEqual(self._texts()[-2:], ["Log file reopened", "Active connections:"])


class AbandonTests(SynchronousTestCase):
    """A start that fails leaves one explanation, and nothing else."""

    def setUp(self) -> None:
        self.patch(subject, "raise_descriptor_limit", lambda _scope: None)
        self.shown: list[str] = []
        self.patch(subject, "show_failed_start", self._show)
        self.log = Log()
        self.program = ScriptedProgram(self.log)
        self.lifecycle = Lifecycle(HandTurnedReactor(), self.program, self.log)

    def _show(self, log: Log) -> None:
        self.shown += [f"{level} {text}" for level, _, text in log.take_pending() if level < 6]

    def test_unusable_configuration(self) -> None:
        """Nothing was bound, so nothing is stopped; the configuration has failed."""
        self.program.failures["load"] = error = OperatingError("no certificate")
        self.assertRaises(OperatingError, self.lifecycle.load)
        self.lifecycle.abandon(error)
        self.assertEqual(self.shown, ["3 no certificate", "3 Configuration failed"])
        self.assertEqual(self.program.calls, ["load"])

    def test_failed_binding(self) -> None:
        """What was bound is let go, and the configuration is not blamed."""
        self.program.failures["bind"] = error = OperatingError("port in use")
        self.lifecycle.load()
        self.assertRaises(OperatingError, self.lifecycle.bind)
        self.lifecycle.abandon(error)
        self.assertEqual(self.shown, ["3 port in use"])
        self.assertEqual(self.program.calls, ["load", "bind", "stop"])


class FailureTextTests(SynchronousTestCase):
    """Why a start failed, in the log."""

    def _told(self, error: BaseException, threshold: int = 5) -> list[str]:
        log, sink = recording_log(threshold)
        log_failure(log.main, error, loading=False)
        return sink.texts

    def test_every_problem_is_a_line(self) -> None:
        """All mistakes of a configuration are listed with their places."""
        problems = [
            Problem(Severity.ERROR, "is wrong", Place("a.conf", line), "", "pid") for line in (3, 9)
        ]
        self.assertEqual(
            self._told(ConfigurationErrors(problems)),
            ["a.conf:3: pid: is wrong", "a.conf:9: pid: is wrong"],
        )

    def test_bug_is_one_line_without_traceback(self) -> None:
        """An unexpected exception is one line; its traceback needs ``debug = 7``."""
        error = ZeroDivisionError("by zero")
        expected = "Internal error in start: ZeroDivisionError: by zero; please report this"
        self.assertEqual(self._told(error), [expected])
        self.assertGreater(len(self._told(error, threshold=7)), 1)
