"""Tests of the kernel's notices, on real directories."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.service.inotify import GONE, open_inotify


class InotifyTests(SynchronousTestCase):
    """One directory, one watch."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        self.queue = open_inotify()
        self.addCleanup(self.queue.close)
        self.watch = self.queue.add(str(self.directory))

    def names(self) -> set[str]:
        """The names that waiting notices are about; all are of our watch."""
        notices = self.queue.read()
        self.assertLessEqual({each.watch for each in notices}, {self.watch})
        return {each.name for each in notices}

    def test_nothing(self) -> None:
        """Without a change there is no notice, and no waiting for one."""
        self.assertEqual(self.queue.read(), [])

    def test_every_change(self) -> None:
        """Writing, renaming, linking, changing rights and deleting are all told by name."""
        file = self.directory / "file"
        file.write_bytes(b"one")
        self.assertEqual(self.names(), {"file"})
        with file.open("r+b") as opened:
            opened.write(b"two")
        self.assertEqual(self.names(), {"file"})
        file.rename(self.directory / "other")
        self.assertEqual(self.names(), {"file", "other"})
        file.symlink_to("other")
        self.assertEqual(self.names(), {"file"})
        (self.directory / "other").chmod(0o600)
        self.assertEqual(self.names(), {"other"})
        file.unlink()
        self.assertEqual(self.names(), {"file"})

    def test_reading_is_no_change(self) -> None:
        """Our own looking must not wake us."""
        file = self.directory / "file"
        file.write_bytes(b"one")
        self.queue.read()
        file.read_bytes()
        self.assertEqual(list(self.directory.iterdir()), [file])
        self.assertEqual(self.queue.read(), [])

    def test_open_file_grows_in_silence(self) -> None:
        """A log file in the same directory does not wake us at every line."""
        with (self.directory / "log").open("wb", buffering=0) as log:
            self.queue.read()
            log.write(b"line\n")
            self.assertEqual(self.queue.read(), [])

    def test_directory_deleted(self) -> None:
        """The end of the directory is the end of the watch, and is told."""
        shutil.rmtree(self.directory)
        self.assertTrue(any(each.mask & GONE for each in self.queue.read()))
        self.queue.remove(self.watch)

    def test_same_directory(self) -> None:
        """A second watch of one directory is the first one."""
        self.assertEqual(self.queue.add(str(self.directory)), self.watch)

    def test_removed(self) -> None:
        """A watch that was removed is silent, apart from its own end."""
        self.queue.remove(self.watch)
        (self.directory / "file").touch()
        self.assertTrue(all(each.mask & GONE for each in self.queue.read()))

    def test_no_directory(self) -> None:
        """What is not there, or is a file, cannot be watched."""
        file = self.directory / "file"
        self.assertRaises(FileNotFoundError, self.queue.add, str(file))
        file.touch()
        self.assertRaises(NotADirectoryError, self.queue.add, str(file))

    def test_odd_name(self) -> None:
        """A name that is no text arrives as the other functions of the system have it."""
        path = os.fsdecode(os.fsencode(str(self.directory)) + b"/\xff")
        Path(path).touch()
        self.assertEqual(self.names(), {"\udcff"})

    def test_many_at_once(self) -> None:
        """Notices of different lengths are told apart."""
        wanted = {"x" * length for length in range(1, 60)}
        for name in wanted:
            (self.directory / name).touch()
        self.assertEqual(self.names(), wanted)


class MissingTests(SynchronousTestCase):
    """Systems without it."""

    def test_no_such_function(self) -> None:
        """A C library without inotify gives an error that can be shown."""
        self.patch(ctypes, "CDLL", lambda *_, **__: object())
        self.assertIn("no inotify", str(self.assertRaises(OSError, open_inotify)))

    def test_used_up(self) -> None:
        """When the kernel gives no more, its reason is passed on."""

        class Library:
            @staticmethod
            def inotify_init1(_flags: int) -> int:
                ctypes.set_errno(errno.EMFILE)
                return -1

        self.patch(ctypes, "CDLL", lambda *_, **__: Library)
        self.assertEqual(self.assertRaises(OSError, open_inotify).errno, errno.EMFILE)
