"""Where a configuration comes from: a file, a descriptor or a text, and what it includes.

``include = DIR`` is textual: the lines of every file of the directory stand where the
include stood, so a section opened there stays open behind it.
"""

from __future__ import annotations

import os
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import Factory, define, frozen

from stunnel_tx.configuration.lexer import Assignment, Header, Lexed, lex
from stunnel_tx.configuration.model import Place, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "MAX_DEPTH",
    "Expansion",
    "Source",
    "descriptor_source",
    "expand",
    "file_source",
    "text_source",
]

MAX_DEPTH = 100
"""Files open in one chain of includes, the first one counted; the same bound as stunnel's."""

MAX_FILES = 10_000
"""Files read in all: a bound on trees that include the same directory over and over."""

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Size of one file; a larger one is no configuration."""

_STANDARD_DESCRIPTORS = 3

_BACKUP_ENDINGS = ("~", ".swp", ".rpmsave", ".rpmnew", ".rpmorig")


class FileTooLarge(OSError):
    """A file beyond :data:`MAX_FILE_BYTES`."""

    def __str__(self) -> str:
        return f"it has more than {MAX_FILE_BYTES} bytes"


@frozen(eq=False, repr=False)
class Source:
    """One place to read a configuration from; ``read`` gives its bytes, or raises OSError.

    ``kind`` and ``name`` are for the log: ``Reading configuration from <kind> <name>``.
    """

    kind: str
    name: str
    read: Callable[[], bytes]


def file_source(path: str) -> Source:
    """Make a source of a file.

    Its absolute path is worked out now, so that a reload finds the same file after the
    program has changed its working directory.
    """
    given = Path(path)
    resolved = given.resolve()
    if not resolved.exists() and given.exists():
        resolved = given.absolute()
    return Source("file", str(resolved), partial(_read_file, resolved))


def descriptor_source(fd: int) -> Source:
    """Make a source of an inherited descriptor, as ``-fd N`` asks for.

    It is read once and its text is kept for reloads; descriptors from 3 on are closed.
    """
    return Source("descriptor", str(fd), cache(partial(_read_descriptor, fd)))


def text_source(data: bytes, name: str) -> Source:
    """Make a source of a text at hand; ``name`` stands for the file in places."""
    return Source("text", name, lambda: data)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise FileTooLarge
    return data


def _read_descriptor(fd: int) -> bytes:
    with open(fd, "rb", closefd=fd >= _STANDARD_DESCRIPTORS) as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise FileTooLarge
    return data


@define(eq=False, repr=False)
class Expansion:
    """All lines of a source and its includes, in order.

    ``files`` are the names of what was read, in order; ``byte_order_mark`` concerns the
    first of them.
    """

    items: list[Header | Assignment] = Factory(list)
    problems: list[Problem] = Factory(list)
    notes: list[Problem] = Factory(list)
    files: list[str] = Factory(list)
    byte_order_mark: bool = False


def expand(source: Source) -> Expansion:
    """Read a source and all it includes.  Whatever goes wrong becomes a problem in the result."""
    expansion = Expansion()
    try:
        data = source.read()
    except OSError as error:
        expansion.problems.append(
            Problem(
                Severity.ERROR,
                f"Cannot read configuration {source.kind} {source.name}: {_cause(error)}",
                remedy="name a file that exists and can be read",
            )
        )
        return expansion
    lexed = lex(data, source.name)
    expansion.byte_order_mark = lexed.byte_order_mark
    _add(expansion, lexed, source.name, (Path(source.name).resolve(),))
    return expansion


def _add(expansion: Expansion, lexed: Lexed, name: str, chain: tuple[Path, ...]) -> None:
    """Add the lines of one file; ``chain`` holds the real paths of the files being read."""
    expansion.files.append(name)
    expansion.problems.extend(lexed.problems)
    for item in lexed.items:
        if isinstance(item, Assignment) and item.name.lower() == "include":
            _include(expansion, item, chain)
        else:
            expansion.items.append(item)


def _include(expansion: Expansion, line: Assignment, chain: tuple[Path, ...]) -> None:
    if not line.value:
        _fail(expansion, line.place, "Failed to include directory: its name is missing", None)
        return
    try:
        paths = sorted(Path(line.value).iterdir(), key=os.fsencode)
    except OSError as error:
        _fail(expansion, line.place, f'Failed to include directory "{line.value}"', error)
        return
    for path in filter(_is_regular, paths):
        if _is_backup(path.name):
            expansion.notes.append(_skipped(path, line.place))
        elif len(expansion.files) >= MAX_FILES:
            _fail(expansion, line.place, f"More than {MAX_FILES} files are included", None)
            return
        else:
            _include_file(expansion, path, line.place, chain)


def _include_file(expansion: Expansion, path: Path, place: Place, chain: tuple[Path, ...]) -> None:
    real = path.resolve()
    if real in chain:
        _fail(expansion, place, f'"{path}" includes itself: recursive includes suspected', None)
        return
    if len(chain) >= MAX_DEPTH:
        text = f'Include stack overflow while including "{path}" (maximum depth {MAX_DEPTH})'
        _fail(expansion, place, f"{text}; recursive includes suspected", None)
        return
    try:
        lexed = lex(_read_file(path), str(path))
    except OSError as error:
        _fail(expansion, place, f'Failed to include a file "{path}"', error)
        return
    _add(expansion, lexed, str(path), (*chain, real))


def _is_regular(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _is_backup(name: str) -> bool:
    return name.startswith(".") or name.endswith(_BACKUP_ENDINGS) or ".dpkg-" in name


def _skipped(path: Path, place: Place) -> Problem:
    return Problem(
        Severity.WARNING,
        f'skipped "{path}": a hidden or backup file',
        place,
        option="include",
        remedy="stunnel would read it; rename it if it is meant to be read",
    )


def _fail(expansion: Expansion, place: Place, text: str, error: OSError | None) -> None:
    shown = text if error is None else f"{text}: {_cause(error)}"
    remedy = "include a directory of readable files that does not lead back to itself"
    expansion.problems.append(
        Problem(Severity.ERROR, shown, place, option="include", remedy=remedy)
    )


def _cause(error: OSError) -> str:
    return error.strerror or str(error)
