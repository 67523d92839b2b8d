"""Tests of what is watched for a path, on real directories with real notices."""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.service import watching as subject
from stunnel_tx.service.inotify import OVERFLOW, Notice, open_inotify
from stunnel_tx.service.watching import ANY_NAME, FileWatch, entries_of

if TYPE_CHECKING:
    from stunnel_tx.relay.loop import Callback


class OneDescriptorLoop:
    """A loop that holds one callback, called by hand."""

    def __init__(self) -> None:
        self.callbacks: dict[int, Callback] = {}

    def watch(self, fd: int, interest: int, callback: Callback) -> None:
        """Keep the callback."""
        self.callbacks[fd] = callback

    def once(self, fd: int, interest: int, callback: Callback) -> None:
        """Nobody needs this here."""

    def forget(self, fd: int, *, closing: bool = False) -> None:
        """Drop the callback."""
        self.callbacks.pop(fd, None)

    def close(self) -> None:
        """There is nothing to close."""

    def turn(self) -> None:
        """Call what is there."""
        for callback in list(self.callbacks.values()):
            callback(1)


class DirectoryTestCase(SynchronousTestCase):
    """A directory whose own path has no links."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()

    def path(self, name: str) -> str:
        """*name* in the directory."""
        return str(self.directory / name)


class EntriesTests(DirectoryTestCase):
    """From a path to the entries that decide what it means."""

    def below(self, path: str) -> list[tuple[str, str]]:
        """The entries below our directory, relative to it."""
        here = str(self.directory)
        return [
            (os.path.relpath(directory, here), name)
            for directory, name in entries_of(path)
            if directory == here or directory.startswith(f"{here}/")
        ]

    def test_from_the_root(self) -> None:
        """Every directory on the way counts, the root included."""
        names = self.path("file").split("/")[1:]
        found = entries_of(self.path("file"))
        self.assertEqual([name for _, name in found], names)
        self.assertEqual(found[0][0], "/")

    def test_missing(self) -> None:
        """What is not there is watched for where it would appear first."""
        self.assertEqual(self.below(self.path("no/such/file")), [(".", "no")])

    def test_link_to_a_file(self) -> None:
        """A link counts, and so does all that leads to its target."""
        (self.directory / "archive").mkdir()
        (self.directory / "archive/one").touch()
        (self.directory / "live").mkdir()
        (self.directory / "live/cert").symlink_to("../archive/one")
        self.assertEqual(
            self.below(self.path("live/cert")),
            [(".", "live"), ("live", "cert"), (".", "archive"), ("archive", "one")],
        )

    def test_links_to_directories(self) -> None:
        """Links in the middle are followed, absolute and relative ones."""
        (self.directory / "one").mkdir()
        (self.directory / "one/cert").touch()
        (self.directory / "data").symlink_to("one")
        (self.directory / "cert").symlink_to(self.directory / "data/cert")
        self.assertEqual(
            self.below(self.path("cert")),
            [(".", "cert"), (".", "data"), (".", "one"), ("one", "cert")],
        )

    def test_directory_itself(self) -> None:
        """Of a directory, every entry counts."""
        self.assertEqual(entries_of(str(self.directory))[-1], (str(self.directory), ANY_NAME))

    def test_circle(self) -> None:
        """Links that go round in a circle end the search."""
        (self.directory / "a").symlink_to("b")
        (self.directory / "b").symlink_to("a")
        self.assertEqual(set(self.below(self.path("a"))), {(".", "a"), (".", "b")})

    def test_superfluous_parts(self) -> None:
        """Dots and doubled slashes lead nowhere."""
        plain = entries_of(self.path("file"))
        self.assertEqual(entries_of(f"/.{self.directory}//x/../file".replace("/x/..", "")), plain)

    def test_links_in_a_directory(self) -> None:
        """What a hashed name leads to counts too, each way once; other names lead nowhere."""
        for name in ("lists", "crl.d"):
            (self.directory / name).mkdir()
        for number in range(3):
            (self.directory / f"crl.d/0a1b2c3d.r{number}").symlink_to(f"../lists/{number}")
        (self.directory / "crl.d/README").symlink_to("../lists/README")
        (self.directory / "crl.d/0a1b2c3d.0").touch()
        self.assertEqual(
            self.below(self.path("crl.d")),
            [
                (".", "crl.d"),
                ("crl.d", ANY_NAME),
                *[("crl.d", "0a1b2c3d.r0"), (".", "lists"), ("lists", "0")],
                *[("crl.d", "0a1b2c3d.r1"), ("lists", "1")],
                *[("crl.d", "0a1b2c3d.r2"), ("lists", "2")],
            ],
        )

    def test_directory_in_a_directory(self) -> None:
        """A hashed name that leads back to the directory does not go on for ever."""
        (self.directory / "0a1b2c3d.0").symlink_to(".")
        self.assertEqual(self.below(str(self.directory)), [(".", ANY_NAME), (".", "0a1b2c3d.0")])


class WatchTestCase(DirectoryTestCase):
    """A watch; ``changed`` takes what it has told since it was last asked."""

    def setUp(self) -> None:
        super().setUp()
        self.loop = OneDescriptorLoop()
        self.told: set[str] = set()
        self.queue = open_inotify()
        self.watch = FileWatch(self.queue, self.loop, self.told.update)
        self.addCleanup(self.watch.close)

    def changed(self) -> set[str]:
        """The names of the paths that may have changed."""
        self.loop.turn()
        told = {os.path.relpath(each, self.directory) for each in self.told}
        self.watch.refresh(self.told)
        self.told.clear()
        return told

    def follow(self, *names: str) -> None:
        """Watch *names* in the directory."""
        self.watch.follow(self.path(name) for name in names)


class ChangeTests(WatchTestCase):
    """No way of replacing a file goes unseen."""

    def test_other_names(self) -> None:
        """What happens to other files in the same directory is nobody's business."""
        self.follow("cert")
        (self.directory / "other").touch()
        self.assertEqual(self.changed(), set())

    def test_one_of_two(self) -> None:
        """Only the path that may have changed is told."""
        self.follow("cert", "key")
        (self.directory / "key").touch()
        self.assertEqual(self.changed(), {"key"})

    def test_deleted_and_created_again(self) -> None:
        """A file may come back at any later time."""
        cert = self.directory / "cert"
        cert.touch()
        self.follow("cert")
        for _ in range(3):
            cert.unlink()
            self.assertEqual(self.changed(), {"cert"})
            cert.touch()
            self.assertEqual(self.changed(), {"cert"})

    def test_directory_of_the_file_is_replaced(self) -> None:
        """After the whole directory was exchanged, the new one is watched."""
        for name in ("live", "next"):
            (self.directory / name).mkdir()
            (self.directory / name / "cert").touch()
        self.follow("live/cert")
        (self.directory / "live").rename(self.directory / "old")
        (self.directory / "next").rename(self.directory / "live")
        self.assertEqual(self.changed(), {"live/cert"})
        (self.directory / "live/cert").write_bytes(b"new")
        self.assertEqual(self.changed(), {"live/cert"})
        (self.directory / "old/cert").write_bytes(b"nobody's")
        self.assertEqual(self.changed(), set())

    def test_directory_deleted(self) -> None:
        """A directory may vanish with all that is in it, and be made again."""
        live = self.directory / "live"
        for _ in range(3):
            live.mkdir()
            (live / "cert").touch()
            self.follow("live/cert")
            shutil.rmtree(live)
            self.assertEqual(self.changed(), {"live/cert"})
            live.mkdir()
            self.assertEqual(self.changed(), {"live/cert"})
            (live / "cert").touch()
            self.assertEqual(self.changed(), {"live/cert"})
            shutil.rmtree(live)
            self.changed()

    def test_target_of_a_link(self) -> None:
        """The file a link leads to is watched where it is, also after the link has moved on."""
        archive = self.directory / "archive"
        archive.mkdir()
        link = self.directory / "cert"
        link.symlink_to("archive/1")
        self.follow("cert")
        (archive / "1").touch()
        self.assertEqual(self.changed(), {"cert"})
        link.unlink()
        link.symlink_to("archive/2")
        self.assertEqual(self.changed(), {"cert"})
        (archive / "1").touch()
        self.assertEqual(self.changed(), set())
        (archive / "2").touch()
        self.assertEqual(self.changed(), {"cert"})

    def test_directory_with_hashed_names(self) -> None:
        """Of a directory that is followed itself, every entry counts."""
        (self.directory / "ca.d").mkdir()
        self.follow("ca.d")
        (self.directory / "ca.d/0a1b2c3d.0").touch()
        self.assertEqual(self.changed(), {"ca.d"})

    def test_link_in_a_directory(self) -> None:
        """A list behind a link in the directory is watched where it is, for every change of it."""
        for name in ("crl.d", "lists"):
            (self.directory / name).mkdir()
        (self.directory / "crl.d/0a1b2c3d.r0").symlink_to("../lists/x.crl")
        self.follow("crl.d")
        for _ in range(2):
            (self.directory / "lists/fresh").touch()
            self.assertEqual(self.changed(), set())
            (self.directory / "lists/fresh").rename(self.directory / "lists/x.crl")
            self.assertEqual(self.changed(), {"crl.d"})
            (self.directory / "lists/x.crl").write_bytes(b"new")
            self.assertEqual(self.changed(), {"crl.d"})


class BookkeepingTests(WatchTestCase):
    """What is no longer wanted is not watched."""

    def test_dropped(self) -> None:
        """Paths that are followed no more are told no more."""
        self.follow("cert", "key")
        self.follow("key")
        (self.directory / "cert").touch()
        self.assertEqual(self.changed(), set())

    def test_nothing_is_left(self) -> None:
        """After many changes there are as many watches as at the beginning."""
        data = self.directory / "data"
        self.follow("data/cert")
        counts: Counter[int] = Counter()
        for number in range(20):
            made = self.directory / f"round{number}"
            made.mkdir()
            (made / "cert").touch()
            fresh = self.directory / "fresh"
            fresh.symlink_to(made.name)
            fresh.rename(data)
            self.assertEqual(self.changed(), {"data/cert"})
            if number:
                shutil.rmtree(self.directory / f"round{number - 1}")
                self.changed()
            counts[len(self.watch._watches)] += 1
            self.assertEqual(len(self.watch._directories), len(self.watch._watches))
        self.assertEqual(len(counts), 1)
        self.follow()
        self.assertEqual((self.watch._watches, dict(self.watch._directories)), ({}, {}))

    def test_closed(self) -> None:
        """A closed watch has left the loop and given its descriptor back."""
        watch = FileWatch(open_inotify(), self.loop, self.told.update)
        fd = watch._queue.fd
        watch.close()
        self.assertNotIn(fd, self.loop.callbacks)
        self.assertRaises(OSError, os.fstat, fd)


class RefusingQueue:
    """A kernel that has no watches left; ``waiting`` are the notices to be read."""

    fd = 0

    def __init__(self) -> None:
        self.waiting: list[Notice] = []

    def add(self, directory: str) -> int:
        """Refuse."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def remove(self, watch: int) -> None:
        """There is nothing to remove."""

    def read(self) -> list[Notice]:
        """What is waiting."""
        return self.waiting

    def close(self) -> None:
        """There is nothing to close."""


class TroubleTests(DirectoryTestCase):
    """When the kernel cannot keep up, or will not."""

    def setUp(self) -> None:
        super().setUp()
        self.loop = OneDescriptorLoop()
        self.queue = RefusingQueue()
        self.told: set[str] = set()
        self.watch = FileWatch(self.queue, self.loop, self.told.update)

    def test_unwatched(self) -> None:
        """A path that cannot be watched is listed, with the reason, as long as it is followed."""
        self.watch.follow([self.path("cert")])
        self.assertEqual(list(self.watch.unwatched), [self.path("cert")])
        self.assertIn("No space left on device", self.watch.unwatched[self.path("cert")])
        self.watch.follow([])
        self.assertEqual(self.watch.unwatched, {})

    def test_too_many_links(self) -> None:
        """Of very many links only the first are followed, and the directory is looked at."""
        self.patch(subject, "MAX_LINKED", 2)
        crls = self.directory / "crl.d"
        crls.mkdir()
        for number in range(3):
            (crls / f"0a1b2c3d.r{number}").symlink_to(f"../lists/{number}")
        queue = open_inotify()
        watch = FileWatch(queue, OneDescriptorLoop(), self.told.update)
        self.addCleanup(watch.close)
        watch.follow([str(crls)])
        self.assertEqual(watch.unwatched, {str(crls): f"{crls}: 3 links, more than 2"})
        self.assertNotIn((str(crls), "0a1b2c3d.r2"), entries_of(str(crls)))
        (crls / "0a1b2c3d.r2").unlink()
        watch.refresh([str(crls)])
        self.assertEqual(watch.unwatched, {})

    def test_overflow(self) -> None:
        """When notices were lost, anything may have changed."""
        paths = {self.path("cert"), self.path("key")}
        self.watch.follow(paths)
        self.queue.waiting = [Notice(-1, OVERFLOW, "")]
        self.loop.turn()
        self.assertEqual(self.told, paths)

    def test_notice_of_a_stranger(self) -> None:
        """A late notice of a watch that was removed means nothing."""
        self.watch.follow([self.path("cert")])
        self.queue.waiting = [Notice(7, 8, "cert")]
        self.loop.turn()
        self.assertEqual(self.told, set())
