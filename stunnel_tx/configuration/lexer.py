"""Bytes to section headers and option lines; nothing is looked up and nothing is read.

Grammar: lines end in LF, every CR is dropped, white space is trimmed (C ``isspace``).  A
line is empty, a comment (``;`` or ``#`` first), a header ``[name]`` or an assignment
``name = value``, split at the first ``=``.  There are no quotes, escapes or trailing
comments.  stunnel reads a line of more than 16383 bytes as several lines; here it is an
error, since what the rest of such a line means is anybody's guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from stunnel_tx.configuration.model import Place, Problem, Severity
from stunnel_tx.configuration.values import quoted, quoted_name

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_LINE_BYTES", "Assignment", "Header", "Lexed", "lex"]

MAX_LINE_BYTES = 16383
"""Longest line that stunnel takes as one, without its LF."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""U+FEFF in UTF-8 (RFC 3629 section 6)."""

_WHITE_SPACE = b" \t\n\v\f\r"


@frozen
class Header:
    """A ``[name]`` line; the name is verbatim, inner blanks included."""

    name: str
    place: Place


@frozen
class Assignment:
    """A ``name = value`` line, both trimmed."""

    name: str
    value: str
    place: Place


@frozen(eq=False, repr=False)
class Lexed:
    """The lines of one file that mean something, and those that cannot."""

    items: tuple[Header | Assignment, ...]
    problems: tuple[Problem, ...]
    byte_order_mark: bool


def lex(data: bytes, file: str) -> Lexed:
    """Split the content of one file; ``file`` names it in places.

    Bytes that are not UTF-8 come through as surrogates (PEP 383), so that file names in
    other encodings still name their files.
    """
    marked = data.startswith(BYTE_ORDER_MARK)
    items: list[Header | Assignment] = []
    problems: list[Problem] = []
    for found in _read_lines(data[len(BYTE_ORDER_MARK) :] if marked else data, file):
        if isinstance(found, Problem):
            problems.append(found)
        else:
            items.append(found)
    return Lexed(tuple(items), tuple(problems), marked)


def _read_lines(data: bytes, file: str) -> Iterator[Header | Assignment | Problem]:
    for number, raw in enumerate(data.split(b"\n"), start=1):
        place = Place(file, number)
        line = raw.replace(b"\r", b"").strip(_WHITE_SPACE)
        if len(raw) > MAX_LINE_BYTES:
            yield _flaw(
                place,
                f"the line has {len(raw)} bytes",
                f"a line has at most {MAX_LINE_BYTES}: split it, or include a file",
            )
        elif b"\0" in line:
            yield _flaw(place, "the line holds a zero byte", "save the file as plain text, UTF-8")
        elif line and line[:1] not in {b";", b"#"}:
            yield _read_line(line, place)


def _read_line(line: bytes, place: Place) -> Header | Assignment | Problem:
    if line.startswith(b"[") and line.endswith(b"]"):
        return Header(_decoded(line[1:-1]), place)
    name, equals, value = line.partition(b"=")
    if not equals:
        header = line.startswith(b"[")
        shown = quoted(_decoded(line)) if header else quoted_name(_decoded(line))
        remedy = "a section header ends in ]" if header else "write NAME = VALUE"
        return _flaw(place, f"{shown}: No '=' found", remedy)
    return Assignment(
        _decoded(name.strip(_WHITE_SPACE)), _decoded(value.strip(_WHITE_SPACE)), place
    )


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _flaw(place: Place, text: str, remedy: str) -> Problem:
    return Problem(Severity.ERROR, text, place, remedy=remedy)
