"""Small facts about sockets: addresses as text, options as they are set."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

from attrs import frozen

from stunnel_tx.telemetry import events

if TYPE_CHECKING:
    from stunnel_tx.telemetry.log import Scope

_INTERNET = frozenset({int(socket.AF_INET), int(socket.AF_INET6)})


@frozen
class OptionSetting:
    """One ``setsockopt`` call: *name* for the log, the rest as the system call wants it."""

    name: str
    level: int
    option: int
    value: int | bytes


def apply_options(
    sock: socket.socket, settings: tuple[OptionSetting, ...], scope: Scope, side: str
) -> None:
    """Set each option on *sock*; one that fails is a warning, as the connection still works."""
    for setting in settings:
        try:
            sock.setsockopt(setting.level, setting.option, setting.value)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.ENOPROTOOPT}:
                scope(events.SOCKET_OPTION, setting.name, side, error.strerror)


def address_text(address: Any) -> str:
    """A socket address as log lines show it: ``host:port``, IPv6 without brackets, a path."""
    if isinstance(address, tuple):
        return f"{address[0]}:{address[1]}"
    if isinstance(address, bytes):
        address = address.decode("utf-8", "backslashreplace")
    return address or "unnamed socket"


def is_inet(family: int) -> bool:
    """True for the families of IPv4 and IPv6, whose sockets have options to set."""
    return family in _INTERNET
