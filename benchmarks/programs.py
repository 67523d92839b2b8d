"""The programs that can be measured: where they are, and how each is started."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Final

from attrs import frozen

from benchmarks.configurations import (
    haproxy_configuration,
    hitch_configuration,
    stunnel_configuration,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.configurations import Setting

#: What ratios are to.
REFERENCE: Final = "stunnel"

#: This program, in tables and in ``--json``.
OURS: Final = "stunnel_tx"

#: Where the file's path goes in a command.
PLACE: Final = "{configuration}"

#: Daemons live in places that an ordinary user's PATH may not have.
_PLACES: Final = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


@frozen
class Program:
    """A name, the words that start it in the foreground, and how its configuration is written."""

    name: str
    command: tuple[str, ...]
    configuration: Callable[[Setting], str]

    def words(self, path: Path) -> list[str]:
        """The command for the configuration file *path*."""
        return [word.replace(PLACE, str(path)) for word in self.command]


@frozen
class Peer:
    """A program of others: the names it goes by and its arguments."""

    executables: tuple[str, ...]
    arguments: tuple[str, ...]
    configuration: Callable[[Setting], str]


PEERS: Final = {
    # stunnel4 first: on some systems "stunnel" is a wrapper for the options of old.
    REFERENCE: Peer(("stunnel4", "stunnel"), (PLACE,), stunnel_configuration),
    "haproxy": Peer(("haproxy",), ("-f", PLACE), haproxy_configuration),
    "hitch": Peer(("hitch",), ("--config", PLACE), hitch_configuration),
}


def find_peer(name: str, places: str = _PLACES) -> Program | None:
    """The peer *name* if it is installed; KeyError for one that is not known."""
    peer = PEERS[name]
    for executable in peer.executables:
        path = shutil.which(executable, path=places)
        if path is not None:
            return Program(name, (path, *peer.arguments), peer.configuration)
    return None


def own_program(command: str | None) -> Program:
    """This program, started by *command*, or as a module of the running Python.

    The command is split like a shell would; where it has no ``{configuration}``, the path is
    appended.
    """
    words = shlex.split(command) if command else [sys.executable, "-m", "stunnel_tx"]
    if not any(PLACE in word for word in words):
        words.append(PLACE)
    return Program(OURS, tuple(words), stunnel_configuration)


def find_programs(peers: Sequence[str], command: str | None) -> tuple[list[Program], list[str]]:
    """The programs to measure, the reference first, and the names of peers not installed."""
    found: list[Program] = []
    missing: list[str] = []
    for name in sorted(peers, key=lambda name: name != REFERENCE):
        program = find_peer(name)
        if program is None:
            missing.append(name)
        else:
            found.append(program)
    place = 1 if found and found[0].name == REFERENCE else 0
    found.insert(place, own_program(command))
    return found, missing
