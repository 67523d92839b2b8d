"""Which names on disk have to be watched, so that no way of replacing a file goes unseen.

A path means another file as soon as any entry on its way does: the file itself, a link to it
(Certbot), a link to its directory (Kubernetes), or a directory above. So every directory on
the way is watched, for the one entry that leads on. Of a directory that is followed itself
every entry counts, and where its entries are links, what leads to their targets.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from stunnel_tx.relay.loop import READ
from stunnel_tx.service.fingerprints import HASHED
from stunnel_tx.service.inotify import GONE, OVERFLOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from stunnel_tx.relay.loop import Loop
    from stunnel_tx.service.inotify import Notice

__all__ = ["ANY_NAME", "FileWatch", "NoticeQueue", "entries_of", "linked_names"]

#: Links followed for one path, as in the kernel (path_resolution(7)).
MAX_LINKS: Final = 40

#: Links in one directory whose targets are watched; the store of a system has about 300.
MAX_LINKED: Final = 1000

#: How often a path is resolved again when it changes under our hands.
MAX_TRIES: Final = 5

#: Stands for every entry of a directory.
ANY_NAME: Final = ""

Entry = tuple[str, str]
"""A directory without links in its path, and a name in it."""


def entries_of(path: str) -> tuple[Entry, ...]:
    """The entries that decide what the absolute *path* means, from the root downwards.

    They end where the path does, or at the first name that is not there. If it is a directory
    of hashed names, those follow that its links lead through, of :data:`MAX_LINKED` at most.
    """
    entries, directory = _way(path)
    if directory is None:
        return tuple(entries)
    found = dict.fromkeys([*entries, (directory, ANY_NAME)])
    for link in linked_names(directory)[:MAX_LINKED]:
        found |= dict.fromkeys(_way(link)[0])
    return tuple(found)


def linked_names(path: str) -> list[str]:
    """The hashed names in directory *path* that are links; none where it is no directory."""
    try:
        with os.scandir(path) as entries:
            return sorted(each.path for each in entries if _is_link(each))
    except OSError:
        return []


def _is_link(entry: os.DirEntry[str]) -> bool:
    return HASHED.match(entry.name) is not None and entry.is_symlink()


def _way(path: str) -> tuple[list[Entry], str | None]:
    """The entries that *path* leads through, and where it ends if that is a directory."""
    entries: list[Entry] = []
    here, links = "/", 0
    names = path.split("/")[::-1]
    mode = stat.S_IFDIR
    while names:
        name = names.pop()
        if name in {"", "."}:
            continue
        if name == "..":
            here = posixpath.dirname(here)
            continue
        entries.append((here, name))
        full = posixpath.join(here, name)
        try:
            mode = os.lstat(full).st_mode
            target = str(Path(full).readlink()) if stat.S_ISLNK(mode) else None
        except OSError:
            return entries, None
        if target is None:
            here = full
            continue
        links += 1
        if links > MAX_LINKS:
            return entries, None
        names += target.split("/")[::-1]
        if target.startswith("/"):
            here = "/"
    return entries, here if stat.S_ISDIR(mode) else None


class NoticeQueue(Protocol):
    """What a watch needs of :class:`~stunnel_tx.service.inotify.Inotify`."""

    fd: int

    def add(self, directory: str) -> int:
        """Watch *directory*; raises ``OSError``."""

    def remove(self, watch: int) -> None:
        """End a watch."""

    def read(self) -> list[Notice]:
        """The notices that wait."""

    def close(self) -> None:
        """End every watch."""


class FileWatch:
    """Calls *changed* with the paths that may mean something else than before.

    ``unwatched`` tells, for each path that cannot be watched, why.
    """

    def __init__(
        self, queue: NoticeQueue, loop: Loop, changed: Callable[[frozenset[str]], None]
    ) -> None:
        self._queue = queue
        self._loop = loop
        self._changed = changed
        self._entries: dict[str, tuple[Entry, ...]] = {}
        self._users: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(
            lambda: defaultdict(set)
        )
        self._watches: dict[str, int] = {}
        self._directories: defaultdict[int, set[str]] = defaultdict(set)
        self.unwatched: dict[str, str] = {}
        loop.watch(queue.fd, READ, self._ready)

    def follow(self, paths: Iterable[str]) -> None:
        """Watch *paths*, and nothing else."""
        wanted = set(paths)
        for path in self._entries.keys() - wanted:
            self._use(path, ())
            del self._entries[path]
            self.unwatched.pop(path, None)
        self._drop_unused()
        self.refresh(wanted)

    def refresh(self, paths: Iterable[str]) -> None:
        """Look again what leads to each of *paths*; what happens from now on is noticed."""
        for path in paths:
            for _ in range(MAX_TRIES):
                entries = entries_of(path)
                self._use(path, entries)
                self._watch_all(path, entries)
                # A link that was changed before its directory was watched leads elsewhere.
                if entries_of(path) == entries:
                    break
        self._drop_unused()

    def close(self) -> None:
        """Stop watching."""
        self._loop.forget(self._queue.fd)
        self._queue.close()

    # --- what is watched -------------------------------------------------------------------

    def _use(self, path: str, entries: tuple[Entry, ...]) -> None:
        for directory, name in self._entries.get(path, ()):
            names = self._users[directory]
            names[name].discard(path)
            if not names[name]:
                del names[name]
        self._entries[path] = entries
        for directory, name in entries:
            self._users[directory][name].add(path)

    def _watch_all(self, path: str, entries: tuple[Entry, ...]) -> None:
        self.unwatched.pop(path, None)
        if (links := len(linked_names(path))) > MAX_LINKED:
            self.unwatched[path] = f"{path}: {links} links, more than {MAX_LINKED}"
        for directory in dict.fromkeys(directory for directory, _ in entries):
            try:
                watch = self._queue.add(directory)
            except OSError as error:
                self.unwatched[path] = f"{directory}: {error.strerror or error}"
                continue
            before = self._watches.get(directory)
            if before != watch:
                # The name belongs to another directory now.
                self._let_go(directory)
                self._watches[directory] = watch
                self._directories[watch].add(directory)

    def _let_go(self, directory: str) -> None:
        watch = self._watches.pop(directory, None)
        if watch is None:
            return
        sharing = self._directories[watch]
        sharing.discard(directory)
        if not sharing:
            del self._directories[watch]
            self._queue.remove(watch)

    def _drop_unused(self) -> None:
        for directory in [each for each, names in self._users.items() if not names]:
            del self._users[directory]
            self._let_go(directory)

    # --- what is noticed -------------------------------------------------------------------

    def _ready(self, _event: int) -> None:
        paths: set[str] = set()
        for notice in self._queue.read():
            if notice.mask & OVERFLOW:
                paths.update(self._entries)
                continue
            for directory in tuple(self._directories.get(notice.watch, ())):
                names: Mapping[str, set[str]] = self._users.get(directory, {})
                if not notice.name:
                    paths.update(*names.values())
                else:
                    paths |= names.get(notice.name, set()) | names.get(ANY_NAME, set())
                if notice.mask & GONE:
                    self._watches.pop(directory, None)
            if notice.mask & GONE:
                self._directories.pop(notice.watch, None)
        if paths:
            self._changed(frozenset(paths))
