"""Tests of stunnel_tx.service.process."""

from __future__ import annotations

import gc
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError
from stunnel_tx.service.process import (
    MAX_DESCRIPTORS,
    DescriptorLimit,
    PidFile,
    StartReport,
    daemonize,
    open_null,
    raise_descriptor_limit,
    settle_memory,
)
from tests.doubles.programs import recording_log


class PidFileTests(SynchronousTestCase):
    """The pid file of this process."""

    def setUp(self) -> None:
        self.log, self.sink = recording_log()
        self.path = Path(self.mktemp())
        self.pid_file = PidFile(self.log.main)

    def test_content_mode_and_removal(self) -> None:
        """The file holds the pid and a newline, may be read by all, and goes at the end."""
        self.addCleanup(os.umask, os.umask(0o022))
        self.pid_file.create(str(self.path))
        self.assertEqual(self.path.read_text(), f"{os.getpid()}\n")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o644)
        self.pid_file.remove()
        self.assertFalse(self.path.exists())
        self.assertEqual(
            self.sink.texts, [f"Created pid file {self.path}", f"Removed pid file {self.path}"]
        )

    def test_stale_file_is_replaced_silently(self) -> None:
        """A file left behind by a crash is in nobody's way."""
        self.path.write_text("1\n")
        self.pid_file.create(str(self.path))
        self.assertEqual(self.path.read_text(), f"{os.getpid()}\n")
        self.assertEqual(len(self.sink.lines), 1)

    def test_link_is_not_followed(self) -> None:
        """A symbolic link in the place of the file is removed, and its target is left alone."""
        target = Path(self.mktemp())
        target.write_text("precious\n")
        self.path.symlink_to(target)
        self.pid_file.create(str(self.path))
        self.assertEqual(target.read_text(), "precious\n")
        self.assertFalse(self.path.is_symlink())

    def test_only_the_creating_process_removes(self) -> None:
        """A child that was forked meanwhile leaves the file alone."""
        self.pid_file.create(str(self.path))
        self.patch(os, "getpid", lambda: -1)
        self.pid_file.remove()
        self.assertTrue(self.path.exists())

    def test_file_of_somebody_else_is_not_removed(self) -> None:
        """When another program has put its file there, it stays."""
        self.pid_file.create(str(self.path))
        other = Path(self.mktemp())
        other.write_text("2\n")
        other.rename(self.path)
        self.pid_file.remove()
        self.assertEqual(self.path.read_text(), "2\n")

    def test_removed_by_somebody_else(self) -> None:
        """A file that is gone already is no error, and nothing is removed twice."""
        self.pid_file.create(str(self.path))
        self.path.unlink()
        self.pid_file.remove()
        self.pid_file.remove()
        self.assertEqual(len(self.sink.lines), 1)

    def test_no_pid_file(self) -> None:
        """Without ``pid`` none is created."""
        self.pid_file.create(None)
        self.pid_file.remove()
        self.assertEqual(self.sink.texts, ["No pid file being created"])

    def test_unusable_path(self) -> None:
        """A path that cannot be written is the operator's error, with a remedy."""
        path = f"{self.path}/missing/pid"
        error = self.assertRaises(OperatingError, self.pid_file.create, path)
        self.assertIn(f"Cannot create pid file {path}: No such file", str(error))
        self.assertIn("create its directory first", str(error))


class DescriptorLimitTests(SynchronousTestCase):
    """The limit on open descriptors."""

    def _raise(self, soft: int, hard: int, *, allowed: bool = True) -> DescriptorLimit:
        self.set_to: list[tuple[int, int]] = []

        def setrlimit(_which: int, limits: tuple[int, int]) -> None:
            if not allowed:
                raise ValueError("not allowed to raise maximum limit")
            self.set_to.append(limits)

        self.patch(resource, "getrlimit", lambda _which: (soft, hard))
        self.patch(resource, "setrlimit", setrlimit)
        log, sink = recording_log()
        limit = raise_descriptor_limit(log.main)
        self.assertEqual(
            sink.texts,
            [f"Descriptor limit {limit.raised}: at most {limit.max_clients} clients"],
        )
        return limit

    def test_soft_is_raised_to_hard(self) -> None:
        """The soft limit becomes the hard one; the old one is remembered for children."""
        self.assertEqual(self._raise(1024, 4096), DescriptorLimit(1024, 4096))
        self.assertEqual(self.set_to, [(4096, 4096)])

    def test_without_hard_limit(self) -> None:
        """Without a hard limit a large bound of ours is used."""
        limit = self._raise(1024, resource.RLIM_INFINITY)
        self.assertEqual(limit, DescriptorLimit(1024, MAX_DESCRIPTORS))
        self.assertEqual(self.set_to, [(MAX_DESCRIPTORS, resource.RLIM_INFINITY)])

    def test_high_enough_already(self) -> None:
        """A soft limit that cannot grow is left alone."""
        self.assertEqual(self._raise(4096, 4096), DescriptorLimit(4096, 4096))
        self._raise(resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        self.assertEqual(self.set_to, [])

    def test_refused(self) -> None:
        """When the system says no, the program goes on with what it has."""
        self.assertEqual(self._raise(1024, 4096, allowed=False), DescriptorLimit(1024, 1024))

    def test_clients(self) -> None:
        """The number of clients follows stunnel's formula."""
        for descriptors, clients in ((1024, 500), (256, 125), (255, 124), (20, 7), (4, 1)):
            self.assertEqual(DescriptorLimit(4, descriptors).max_clients, clients)


class ReportTests(SynchronousTestCase):
    """The daemon's line to its waiting parent."""

    def test_foreground_has_nobody_to_report_to(self) -> None:
        """In the foreground both reports do nothing, and the standard streams stay."""
        before = os.fstat(2)
        report = StartReport()
        report.succeed()
        report.fail("text")
        self.assertEqual(os.fstat(2), before)

    def test_failure_is_passed_on(self) -> None:
        """The parent receives the text, then the end of the pipe."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        StartReport(writer, os.open(os.devnull, os.O_RDWR)).fail("no room")
        self.assertEqual(os.read(reader, 100), b"no room")
        self.assertEqual(os.read(reader, 100), b"")

    def test_parent_that_is_gone(self) -> None:
        """A parent that was killed meanwhile does not end the daemon."""
        reader, writer = os.pipe()
        os.close(reader)
        StartReport(writer, os.open(os.devnull, os.O_RDWR)).fail("no room")
        self.assertRaises(OSError, os.fstat, writer)

    def test_null_is_above_the_standard_streams(self) -> None:
        """The descriptor kept for later is never one of the first three."""
        null = open_null()
        self.addCleanup(os.close, null)
        self.assertGreater(null, 2)
        self.assertEqual(os.read(null, 1), b"")

    def test_missing_standard_streams(self) -> None:
        """Streams that were closed lead to /dev/null, those that were not are left alone."""
        code = (
            "import os\n"
            "from stunnel_tx.service.process import occupy_standard_streams\n"
            "os.close(0), os.close(2)\n"
            "occupy_standard_streams()\n"
            "print(*[os.readlink(f'/proc/self/fd/{number}') for number in (0, 1, 2)], flush=True)\n"
        )
        command = [sys.executable, "-c", code]
        root = Path(__file__).parent.parent.parent
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=root)
        first, middle, last = done.stdout.split()
        self.assertEqual((first, last), (os.devnull, os.devnull))
        self.assertNotEqual(middle, os.devnull)

    def test_fork_that_fails(self) -> None:
        """When there can be no child, the operator is told what else to do."""

        def fork() -> int:
            raise BlockingIOError(11, "Resource temporarily unavailable")

        self.patch(os, "fork", fork)
        error = self.assertRaises(OperatingError, daemonize, object(), -1)
        self.assertIn("Cannot start the daemon: Resource temporarily", str(error))
        self.assertIn("foreground = yes", str(error))


class MemoryTests(SynchronousTestCase):
    """The garbage collector after the start."""

    def test_settled_objects_are_not_scanned(self) -> None:
        """What exists is frozen, and the collector works from then on."""
        self.addCleanup(gc.unfreeze)
        gc.disable()
        self.addCleanup(gc.enable)
        settle_memory()
        self.assertTrue(gc.isenabled())
        self.assertGreater(gc.get_freeze_count(), 0)
