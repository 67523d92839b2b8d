"""Tests of stunnel_tx.tap."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.usage import Options, UsageError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from stunnel_tx import tap
from stunnel_tx.errors import ConfigurationErrors, OperatingError
from stunnel_tx.service import lifecycle as lifecycle_module
from stunnel_tx.service.lifecycle import Lifecycle
from stunnel_tx.telemetry.log import Log
from tests.doubles.programs import ScriptedProgram
from tests.doubles.reactors import HandTurnedReactor

if TYPE_CHECKING:
    from twisted.application.service import IService


class TapTests(SynchronousTestCase):
    """The program as a service of twistd, with an application that only takes notes."""

    def setUp(self) -> None:
        self.patch(lifecycle_module, "raise_descriptor_limit", lambda _scope: None)
        self.patch(gc, "freeze", lambda: None)
        self.shown: list[str] = []
        self.patch(lifecycle_module, "show_failed_start", self._show)
        self.patch(tap, "make_lifecycle", self._make)
        self.output = Path(self.mktemp())
        self.failures: dict[str, Exception] = {}

    def _show(self, log: Log) -> None:
        self.shown += [text for _, _, text in log.take_pending()]

    def _make(self, path: str, log: Log) -> Lifecycle:
        self.path = path
        self.program = ScriptedProgram(log, output=str(self.output))
        self.program.failures = self.failures
        lifecycle = Lifecycle(HandTurnedReactor(), self.program, log)
        self.addCleanup(lifecycle.close)
        return lifecycle

    def _service(self, *, daemon: bool = False) -> IService:
        options = tap.Options()
        options.parent = Options()
        options.parent["nodaemon"] = not daemon
        options.parseOptions(["--config", "/some/file"])
        # What the service adds to Twisted's log must not outlive the test.
        before = list(globalLogPublisher._observers)
        service = tap.makeService(options)
        for observer in globalLogPublisher._observers:
            if observer not in before:
                self.addCleanup(globalLogPublisher.removeObserver, observer)
        return service

    def test_steps_of_a_service(self) -> None:
        """Reading comes with the options, binding before the privileges go, then the rest."""
        service = self._service()
        self.assertEqual((self.path, self.program.calls), ("/some/file", ["load"]))
        service.privilegedStartService()
        self.assertEqual(self.program.calls, ["load", "bind"])
        self.assertFalse(self.output.exists())
        service.startService()
        self.assertIn("Accepting new connections", self.output.read_text())
        service.stopService()
        self.assertEqual(self.program.calls, ["load", "bind", "start", "stop"])

    def test_mistakes_come_before_the_daemon(self) -> None:
        """All mistakes of the configuration are the text of a UsageError."""
        self.failures = {"load": ConfigurationErrors(["a.conf:1: one", "a.conf:2: two"])}
        error = self.assertRaises(UsageError, self._service)
        self.assertEqual(str(error), "a.conf:1: one\na.conf:2: two")

    def test_failed_binding_in_the_foreground(self) -> None:
        """In the foreground the reason is shown, and twistd ends without a traceback."""
        self.failures = {"bind": OperatingError("port in use")}
        service = self._service()
        error = self.assertRaises(SystemExit, service.privilegedStartService)
        self.assertEqual(error.code, 1)
        self.assertIn("port in use", self.shown)

    def test_failed_binding_of_a_daemon(self) -> None:
        """A daemon raises for its waiting parent, and explains itself in twistd's log."""
        self.failures = {"bind": OperatingError("port in use")}
        service = self._service(daemon=True)
        told: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            told.append(str(event.get("text")))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.assertRaises(OperatingError, service.privilegedStartService)
        self.assertIn("port in use", told)
        self.assertEqual(self.shown, [])

    def test_unparsed_options(self) -> None:
        """Options that were never parsed have nothing to run."""
        self.assertRaises(UsageError, tap.makeService, tap.Options())


class MakeTests(SynchronousTestCase):
    """The real lifecycle behind the options."""

    def test_missing_file(self) -> None:
        """A file that does not exist is named in the error twistd prints."""
        path = self.mktemp()
        error = self.assertRaises(UsageError, tap.make_lifecycle, path, Log())
        self.assertEqual(
            str(error), f'Invalid configuration file name "{path}": No such file or directory'
        )
