"""The reference page of all options, generated from their table.

``python -m stunnel_tx.configuration.reference`` prints it as Markdown.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from stunnel_tx.configuration.option import Group, Ignored, NotYet, Option, Refused, Repeat
from stunnel_tx.configuration.option_flags import OPTION_FLAGS
from stunnel_tx.configuration.options import OPTIONS
from stunnel_tx.configuration.socket_options import SOCKET_OPTION_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["render_reference"]

_INTRODUCTION = """\
# Options

Every option of the configuration file, generated from the table that the program itself
reads. Names can be written in any case. *Modes* tells where an option acts: in client (C)
or server (S) services.

A service option above the first `[section]` is the default of all sections. *Repeated*
tells what a further line with the same option does:

"""

_REPEAT = {
    Repeat.LAST: "last",
    Repeat.LIST: "list",
    Repeat.UNION: "union",
    Repeat.PER_KEY: "per name",
}

_ROLES = {"CS": "C, S", "C": "C", "S": "S"}


def render_reference() -> str:
    """Return the page as Markdown, ending in a line end."""
    legend = "".join(f"- *{word}*: {repeat.value}\n" for repeat, word in _REPEAT.items())
    parts = [_INTRODUCTION + legend]
    for group in Group:
        options = [option for option in OPTIONS if option.group is group and not option.beyond]
        parts.append(f"## {group.value}\n\n{_table(options)}")
    beyond = [option for option in OPTIONS if option.beyond]
    parts.append(
        "## Beyond stunnel\n\nOptions that stunnel does not have; stunnel refuses a file that"
        f" uses them.\n\n{_table(beyond)}"
    )
    parts.append(_socket_options())
    parts.append(_flags())
    return "\n".join(parts)


def _table(options: Iterable[Option]) -> str:
    rows = [
        "| Option | Value | Default | Modes | Effect | Repeated | State |",
        "|---|---|---|---|---|---|---|",
        *(_row(option) for option in options),
    ]
    return "\n".join(rows) + "\n"


def _row(option: Option) -> str:
    names = ", ".join(f"`{name}`" for name in (option.name, *option.aliases))
    cells = (
        names,
        f"`{_escaped(option.syntax)}`",
        _default(option),
        _ROLES[option.roles],
        _escaped(option.help),
        _REPEAT[option.repeat],
        _escaped(_state(option)),
    )
    return f"| {' | '.join(cells)} |"


def _default(option: Option) -> str:
    if option.version_lines:
        return "<br>".join(f"`{line}`" for line in option.version_lines)
    if isinstance(option.default, bool):
        return "`yes`" if option.default else "`no`"
    if option.name == "socket":
        return "see below"
    return f"`{option.default}`" if option.default and isinstance(option.default, str) else "none"


def _state(option: Option) -> str:
    support = option.support
    if isinstance(support, NotYet):
        state = "accepted, acts with" if support.harmless_alone else "not supported yet:"
        return f"{state} {support.area}"
    if isinstance(support, Refused):
        return f"refused: {support.reason}"
    if isinstance(support, Ignored):
        return f"ignored: {support.reason}"
    return f"supported; {support.note}" if support.note else "supported"


def _socket_options() -> str:
    rows = [
        "## Socket options\n",
        "`socket = a|l|r:NAME=VALUE`; a: listening, l: accepted, r: outgoing socket.\n",
        "| Name | Value | tcp | udp | Set by default for |",
        "|---|---|---|---|---|",
    ]
    forms = {
        "flag": "yes or no",
        "int": "number",
        "linger": "ON:SECONDS",
        "timeval": "SECONDS:MICROSECONDS",
        "string": "text",
    }
    for kind in SOCKET_OPTION_KINDS.values():
        known = f"{kind.elsewhere} only" if kind.elsewhere else None
        tcp, udp = (known or ("yes" if has else "no") for has in (kind.tcp, kind.udp))
        sides = ", ".join(kind.tcp_defaults) or "none"
        rows.append(f"| `{kind.name}` | {forms[kind.type]} | {tcp} | {udp} | {sides} |")
    return "\n".join(rows) + "\n"


def _flags() -> str:
    names = ", ".join(f"`{name}`" for name in OPTION_FLAGS)
    return f"## Flags of `options`\n\n{names}\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(render_reference())
