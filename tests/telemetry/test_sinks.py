"""Tests of stunnel_tx.telemetry.sinks."""

from __future__ import annotations

import os
import re
import socket
import stat
import tempfile
import time
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass

from stunnel_tx.errors import OperatingError
from stunnel_tx.interfaces import ILogSink
from stunnel_tx.telemetry.sinks import SYSLOG_RETRY, FileSink, Stamp, StderrSink, SyslogSink
from tests.doubles.programs import recording_log

#: 2026-09-17 12:00:00 UTC.
NOON = 1789646400.0

LINE = re.compile(r"\d{4}\.\d\d\.\d\d \d\d:\d\d:\d\d LOG5\[ui\]: hello\n")


class StampTests(SynchronousTestCase):
    """The time stamp is local, and made once per second."""

    def test_format_and_cache(self) -> None:
        """Within a second the text is the same object; the next second makes another."""
        clock = Clock()
        clock.advance(NOON)
        stamp = Stamp(clock.seconds)
        first = stamp()
        self.assertEqual(first, time.strftime("%Y.%m.%d %H:%M:%S", time.localtime(NOON)))
        clock.advance(0.5)
        self.assertIs(stamp(), first)
        clock.advance(0.5)
        self.assertNotEqual(stamp(), first)


class StderrSinkTests(SynchronousTestCase):
    """Lines for a program in the foreground."""

    def test_line_format(self) -> None:
        """A line has date, time, level, id and text."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        sink = StderrSink(writer)
        sink.write(5, "ui", "hello")
        self.assertRegex(os.read(reader, 4096).decode(), LINE)
        sink.reopen()
        sink.close()
        os.fstat(writer)


class FileSinkTests(SynchronousTestCase):
    """The log file of ``output``."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.log, self.told = recording_log()

    def _sink(self, *, overwrite: bool = False) -> FileSink:
        sink = FileSink(str(self.path), self.log.main, overwrite=overwrite)
        self.addCleanup(sink.close)
        return sink

    def test_line_and_mode(self) -> None:
        """The file is made for its owner and group, and holds the lines."""
        self.addCleanup(os.umask, os.umask(0o022))
        self._sink().write(5, "ui", "hello")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o640)
        self.assertRegex(self.path.read_text(), LINE)

    def test_append_keeps_what_was_there(self) -> None:
        """By default lines are added to an existing file."""
        self.path.write_text("old\n")
        self._sink().write(5, "ui", "new")
        self.assertRegex(self.path.read_text(), r"^old\n.*new\n$")

    def test_overwrite_empties_at_open_and_at_reopen(self) -> None:
        """With ``log = overwrite`` every opening starts an empty file."""
        self.path.write_text("old\n")
        sink = self._sink(overwrite=True)
        self.assertEqual(self.path.read_text(), "")
        sink.write(5, "ui", "hello")
        sink.reopen()
        self.assertEqual(self.path.read_text(), "")

    def test_reopen_follows_a_rotation(self) -> None:
        """After the file was moved away, new lines go to a new file of the same name."""
        sink = self._sink()
        sink.write(5, "ui", "before")
        moved = self.path.rename(self.path.with_suffix(".1"))
        sink.write(5, "ui", "still the old one")
        sink.reopen()
        sink.write(5, "ui", "after")
        self.assertEqual(moved.read_text().count("\n"), 2)
        self.assertIn("after", self.path.read_text())

    def test_failed_reopen_keeps_the_old_file_and_reports(self) -> None:
        """When the path cannot be opened, lines go on into the old file, and the log says so."""
        sink = self._sink()
        moved = self.path.rename(self.path.with_suffix(".1"))
        self.path.mkdir()
        sink.reopen()
        sink.write(5, "ui", "saved")
        self.assertIn("saved", moved.read_text())
        self.assertEqual(
            self.told.lines,
            [(3, "ui", f"Cannot reopen log file {self.path}: Is a directory")],
        )

    def test_unusable_path_is_the_operators_error(self) -> None:
        """A path that cannot be opened at start names the file, the reason and a remedy."""
        self.path = self.path / "missing" / "log"
        error = self.assertRaises(OperatingError, self._sink)
        self.assertIn(f"Cannot open log file {self.path}: No such file", str(error))
        self.assertIn("create its directory", str(error))

    def test_named_pipe_without_reader_does_not_hang(self) -> None:
        """Opening a pipe nobody reads is refused at once."""
        os.mkfifo(self.path)
        error = self.assertRaises(OperatingError, self._sink)
        self.assertIn("start the reader", str(error))

    def test_full_disk(self) -> None:
        """A device without room loses lines, and nothing else happens."""
        self.path = Path("/dev/full")
        self._sink().write(5, "ui", "hello")

    def test_standard_output_survives_its_own_closing(self) -> None:
        """``/dev/stdout`` is the stream found at the start, whatever becomes of descriptor 1."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.path = Path("/dev/stdout")
        saved = os.dup(1)
        try:
            os.dup2(writer, 1)
            os.close(writer)
            sink = self._sink()
        finally:
            os.dup2(saved, 1)
            os.close(saved)
        sink.reopen()
        sink.write(5, "ui", "hello")
        self.assertRegex(os.read(reader, 4096).decode(), LINE)


class SyslogSinkTests(SynchronousTestCase):
    """Datagrams to the system's log daemon."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOON)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = f"{directory.name}/log"
        self.daemon = self._listen()

    def _listen(self) -> socket.socket:
        daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        daemon.bind(self.path)
        daemon.setblocking(False)
        self.addCleanup(daemon.close)
        return daemon

    def _restart(self) -> None:
        self.daemon.close()
        Path(self.path).unlink()
        self.daemon = self._listen()

    def _sink(self, facility: str | None = None) -> SyslogSink:
        sink = SyslogSink("stunnel", facility, path=self.path, seconds=self.clock.seconds)
        self.addCleanup(sink.close)
        return sink

    def test_datagram_format(self) -> None:
        """A line is one datagram with priority, date, ident and stunnel's prefix."""
        self._sink().write(5, "ui", "hello")
        stamp = time.strftime("%b %e %H:%M:%S", time.localtime(NOON))
        expected = f"<{3 * 8 + 5}>{stamp} stunnel: LOG5[ui]: hello"
        self.assertEqual(self.daemon.recv(4096).decode(), expected)

    def test_facility_and_ident_can_change_over_the_same_socket(self) -> None:
        """After a reload lines carry the new facility and ident."""
        sink = self._sink("local0")
        sink.write(3, "0", "a")
        sink.configure("gate", "mail")
        sink.write(3, "0", "b")
        self.assertTrue(self.daemon.recv(4096).startswith(b"<%d>" % (16 * 8 + 3)))
        data = self.daemon.recv(4096)
        self.assertTrue(data.startswith(b"<%d>" % (2 * 8 + 3)))
        self.assertIn(b" gate: LOG3[0]: b", data)

    def test_daemon_that_does_not_read_costs_lines_only(self) -> None:
        """A full queue drops and counts, without waiting."""
        sink = self._sink()
        for _ in range(5000):
            sink.write(5, "ui", "hello")
            if sink.dropped:
                break
        self.assertEqual(sink.dropped, 1)

    def test_absent_daemon_is_looked_for_again(self) -> None:
        """Without a daemon lines are dropped; one that comes up later is found in time."""
        self.daemon.close()
        Path(self.path).unlink()
        sink = self._sink()
        sink.write(5, "ui", "nobody")
        self.assertEqual(sink.dropped, 1)
        self.daemon = self._listen()
        sink.write(5, "ui", "too early")
        self.clock.advance(SYSLOG_RETRY)
        sink.write(5, "ui", "found")
        self.assertIn(b"found", self.daemon.recv(4096))
        self.assertEqual(sink.dropped, 2)

    def test_restarted_daemon_is_found(self) -> None:
        """A daemon that was restarted gets the very next line."""
        sink = self._sink()
        self.clock.advance(SYSLOG_RETRY)
        self._restart()
        sink.write(5, "ui", "again")
        self.assertIn(b"again", self.daemon.recv(4096))

    def test_write_after_close(self) -> None:
        """A closed sink drops what comes."""
        sink = self._sink()
        sink.close()
        sink.write(5, "ui", "late")
        self.assertEqual(sink.dropped, 1)


class InterfaceTests(SynchronousTestCase):
    """Every sink keeps the contract that third parties' sinks keep."""

    def test_sinks_provide_the_interface(self) -> None:
        """Each class implements ILogSink, names and arguments included."""
        for sink in (StderrSink, FileSink, SyslogSink):
            self.assertTrue(verifyClass(ILogSink, sink))
