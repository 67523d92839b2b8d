"""A Sphinx extension: writes the reference pages that come from the program's own tables.

They land in ``docs/reference/_generated``, and the pages of the other folders include them.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

__all__ = ["half_close", "log_messages", "options", "setup"]

_LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_CHAPTER = re.compile(r"# -{3,} (.+?) -{3,}")
_EVENT = re.compile(r"([A-Z][A-Z0-9_]*) = Event\(")


def options() -> str:
    """The page of all options, from the option table, without its first heading."""
    from stunnel_tx.configuration.reference import render_reference

    return _without_title(render_reference())


def log_messages() -> str:
    """The page of all log messages, from the event catalogue, a table per chapter."""
    lines = []
    for chapter, level, text in _events():
        if chapter:
            lines += ["", f"## {chapter.capitalize()}", "", "| Level | Text |", "|---|---|"]
        shown = text.replace("{}", "…").replace("|", "\\|").replace("`", "'")
        lines.append(f"| {_LEVELS[level]} ({level}) | `{shown}` |")
    return "\n".join(lines) + "\n"


def half_close() -> str:
    """The state machine of half-closing, as a picture and as a table."""
    from half_close_diagram import diagram, table

    return f"{diagram()}\n\n{table()}\n"


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before Sphinx looks for its sources."""
    app.connect("config-inited", _write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Sphinx, _config: object) -> None:
    directory = Path(app.srcdir) / "reference" / "_generated"
    directory.mkdir(exist_ok=True)
    pages = (("options", options), ("log-messages", log_messages), ("half-close", half_close))
    for name, page in pages:
        (directory / f"{name}.md").write_text(page(), encoding="utf-8")


def _events() -> Iterator[tuple[str, int, str]]:
    """(chapter, level, text) of each event; the chapter only with its first one.

    The order and the chapters are those of the catalogue's source.
    """
    from stunnel_tx.telemetry import events

    chapter = "other"
    for line in inspect.getsource(events).splitlines():
        if heading := _CHAPTER.match(line):
            chapter = heading[1]
        elif found := _EVENT.match(line):
            event = getattr(events, found[1])
            if set(event.text) - set("{} "):
                yield chapter, event.level, event.text
                chapter = ""


def _without_title(page: str) -> str:
    first, _, rest = page.partition("\n")
    return rest if first.startswith("# ") else page
