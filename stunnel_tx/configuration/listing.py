"""The texts of ``-help``, ``-version``, ``-sockets`` and ``-options``, from the tables.

Each function returns lines without their ends, as stunnel lays them out: option names
are padded to 22 columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stunnel_tx.configuration.option import NotYet, Option, Refused, Scope
from stunnel_tx.configuration.option_flags import OPTION_FLAGS
from stunnel_tx.configuration.options import OPTIONS
from stunnel_tx.configuration.socket_options import BACKEND_SEND_BUFFER, SOCKET_OPTION_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stunnel_tx.configuration.socket_options import Side, SocketOptionKind

__all__ = ["default_lines", "flag_lines", "help_lines", "socket_lines"]

NAME_COLUMNS = 22

_HEADINGS = ((Scope.GLOBAL, "Global options:"), (Scope.SERVICE, "Service-level options:"))


def help_lines() -> list[str]:
    """Return the list of all options with their one-line help."""
    return _chapters(lambda option: [f"{option.syntax}: {option.help}{_availability(option)}"])


def default_lines() -> list[str]:
    """Return the default values, as ``-version`` shows them."""
    return _chapters(lambda option: list(option.version_lines))


def _chapters(describe: Callable[[Option], list[str]]) -> list[str]:
    lines: list[str] = []
    for scope, heading in _HEADINGS:
        lines += [*([" "] if lines else []), heading]
        for option in OPTIONS:
            if option.scope is scope:
                lines += [f"{option.name:<{NAME_COLUMNS}} = {text}" for text in describe(option)]
    return lines


def _availability(option: Option) -> str:
    if isinstance(option.support, NotYet) and not option.support.harmless_alone:
        return " (not supported yet)"
    return " (not available)" if isinstance(option.support, Refused) else ""


def flag_lines() -> list[str]:
    """Return the values of ``options`` that are known, as ``-options`` shows them."""
    return ["Supported TLS options:", *(f"options = {name}" for name in OPTION_FLAGS)]


def socket_lines(system_default: Callable[[str, bool], str | None]) -> list[str]:
    """Return the tables of socket options.

    ``system_default`` gives the operating system's own value of a named option for a TCP
    (False) or UDP (True) socket, None when it does not have the option.
    """
    lines = ["TCP socket option defaults:", *_socket_table(system_default, udp=False)]
    lines.append(f"    (Remote SO_SNDBUF in server mode: {BACKEND_SEND_BUFFER})")
    return [*lines, " ", "UDP socket option defaults:", *_socket_table(system_default, udp=True)]


def _socket_table(system_default: Callable[[str, bool], str | None], *, udp: bool) -> Iterator[str]:
    yield "    Option Name         |  Accept  |   Local  |  Remote  |OS default"
    yield "    --------------------+----------+----------+----------+----------"
    for kind in SOCKET_OPTION_KINDS.values():
        shown = None if kind.elsewhere else system_default(kind.name, udp)
        if shown is not None and (kind.udp if udp else kind.tcp):
            sides: tuple[Side, ...] = ("a", "l", "r")
            cells = "|".join(_default_cell(kind, side, udp=udp) for side in sides)
            yield f"    {kind.name:<20}|{cells}|{shown:>10}"


def _default_cell(kind: SocketOptionKind, side: Side, *, udp: bool) -> str:
    ours = kind.udp_defaults if udp else kind.tcp_defaults
    return f"{'yes':>10}" if side in ours else "    --    "
