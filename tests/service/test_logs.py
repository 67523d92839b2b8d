"""Tests of stunnel_tx.service.logs."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.values import DebugLevel
from stunnel_tx.errors import OperatingError
from stunnel_tx.service.logs import LogPolicy, Logs, log_policy, show_failed_start
from stunnel_tx.telemetry.events import (
    BANNER,
    CONFIGURATION_FAILED,
    CONFIGURATION_NOTE,
    INITIALIZING_SERVICE,
    INTERNAL,
)
from stunnel_tx.telemetry.log import Log
from stunnel_tx.telemetry.sinks import SyslogSink
from tests.doubles.private_reactor import open_descriptors
from tests.doubles.programs import global_options


class PolicyTests(SynchronousTestCase):
    """The global options that speak of logs."""

    def test_every_option_arrives(self) -> None:
        """Level, facility, ident, file, mode, syslog and foreground are taken over."""
        settings = global_options(
            debug=DebugLevel("local3", 6),
            service="gate",
            output="/var/log/gate.log",
            log="overwrite",
            syslog=True,
            foreground="yes",
        )
        self.assertEqual(
            log_policy(settings),
            LogPolicy(6, "local3", "gate", "/var/log/gate.log", True, True, True),
        )

    def test_defaults(self) -> None:
        """Without options the ident is stunnel's, and only the foreground uses stderr."""
        policy = log_policy(global_options())
        self.assertEqual(
            (policy.ident, policy.output, policy.overwrite, policy.stderr),
            ("stunnel", None, False, False),
        )


class LogsTests(SynchronousTestCase):
    """The sinks through the life of the program."""

    def setUp(self) -> None:
        self.log = Log()
        self.path = self.mktemp()
        self.connected: list[tuple[str, str | None]] = []
        self.logs = Logs(self.log, self.log.main, connect_syslog=self._connect)
        self.addCleanup(self.logs.close)

    def _connect(self, ident: str, facility: str | None) -> SyslogSink:
        self.connected.append((ident, facility))
        return SyslogSink(ident, facility, path=self.path + ".socket")

    def _policy(self, **values: object) -> LogPolicy:
        return log_policy(global_options(**values))

    def _read(self, path: str | None = None) -> str:
        return Path(path or self.path).read_text()

    def test_kept_lines_reach_the_file(self) -> None:
        """What was said before the file was open stands in it, judged by the final level."""
        self.log.main(BANNER, "5.82", "test")
        self.log.main(INITIALIZING_SERVICE, "x")
        self.logs.open(self._policy(output=self.path, debug=DebugLevel(None, 5)))
        self.assertIn("LOG5[ui]: stunnel 5.82 on test platform", self._read())
        self.assertNotIn("Initializing", self._read())

    def test_syslog_is_connected_early_and_kept(self) -> None:
        """The system log is connected before a chroot, once, and follows a new ident."""
        self.logs.prepare(self._policy(syslog=True))
        self.logs.open(self._policy(syslog=True))
        self.logs.change(self._policy(syslog=True, service="other")).apply()
        self.assertEqual(self.connected, [("stunnel", None)])

    def test_unusable_file_at_start(self) -> None:
        """A log file that cannot be opened is an error, and the kept lines stay."""
        self.log.main(BANNER, "5.82", "test")
        policy = self._policy(output=self.path + "/missing/log")
        self.assertRaises(OperatingError, self.logs.open, policy)
        self.assertEqual(len(self.log.take_pending()), 1)

    def test_change_moves_to_another_file(self) -> None:
        """A reload that names another file goes on there."""
        other = self.mktemp()
        self.logs.open(self._policy(output=self.path))
        change = self.logs.change(self._policy(output=other))
        self.log.main(BANNER, "5.82", "test")
        change.apply()
        self.log.main(CONFIGURATION_FAILED)
        self.assertIn("Configuration failed", self._read(other))
        self.assertNotIn("Configuration failed", self._read())
        self.assertIn("stunnel 5.82", self._read(), "until it is applied nothing has changed")

    def test_change_that_comes_to_nothing(self) -> None:
        """Sinks of a reload that failed for other reasons are closed, and the old ones go on."""
        self.logs.open(self._policy(output=self.path))
        before = open_descriptors()
        self.logs.change(self._policy(output=self.mktemp())).discard()
        self.assertEqual(open_descriptors(), before)
        self.log.main(CONFIGURATION_FAILED)
        self.assertIn("Configuration failed", self._read())

    def test_change_that_fails_keeps_the_old_file(self) -> None:
        """A reload that names an unusable file is refused, and lines go on into the old one."""
        self.logs.open(self._policy(output=self.path))
        policy = self._policy(output=self.path + "/missing/log")
        self.assertRaises(OperatingError, self.logs.change, policy)
        self.log.main(CONFIGURATION_FAILED)
        self.assertIn("Configuration failed", self._read())

    def test_reopen_announces_itself_in_the_new_file(self) -> None:
        """After a rotation the new file begins with the announcement."""
        self.logs.open(self._policy(output=self.path))
        Path(self.path).rename(self.path + ".1")
        self.logs.reopen()
        self.assertTrue(self._read().endswith("LOG5[ui]: Log file reopened\n"))
        self.assertTrue(self.logs.to_file)

    def test_reopen_that_fails(self) -> None:
        """A file that cannot be opened again is told as that, and not as reopened."""
        directory = Path(self.mktemp())
        directory.mkdir()
        self.logs.open(self._policy(output=str(directory / "log")))
        moved = directory.rename(self.mktemp())
        self.logs.reopen()
        text = (moved / "log").read_text()
        self.assertIn("LOG3[ui]: Cannot reopen log file", text)
        self.assertNotIn("Log file reopened", text)

    def test_without_file(self) -> None:
        """Reopening without a log file is harmless."""
        self.logs.open(self._policy())
        self.logs.reopen()
        self.assertFalse(self.logs.to_file)

    def test_foreground_writes_to_stderr(self) -> None:
        """With ``foreground = yes`` the lines go to standard error."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        logs = Logs(self.log, self.log.main, stderr=writer)
        logs.open(self._policy(foreground="yes"))
        self.log.main(CONFIGURATION_FAILED)
        self.assertIn(b"LOG3[ui]: Configuration failed\n", os.read(reader, 4096))


class FailedStartTests(SynchronousTestCase):
    """What a failed start leaves on the terminal."""

    def test_marks_and_levels(self) -> None:
        """Lines up to a notice are shown with stunnel's marks, whatever ``debug`` says."""
        log = Log()
        log.main(INTERNAL, "x", "y")
        log.main(CONFIGURATION_FAILED)
        log.main(CONFIGURATION_NOTE, "careful")
        log.main(BANNER, "5.82", "test")
        log.main(INITIALIZING_SERVICE, "hidden")
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        show_failed_start(log, writer)
        self.assertEqual(
            os.read(reader, 4096).decode().splitlines(),
            [
                "[*] Internal error in x: y; please report this",
                "[!] Configuration failed",
                "[:] careful",
                "[.] stunnel 5.82 on test platform",
            ],
        )
