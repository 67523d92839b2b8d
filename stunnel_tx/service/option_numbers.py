"""The numbers by which ``setsockopt`` and ``getsockopt`` know the socket options."""

from __future__ import annotations

import socket
from typing import Final

#: Linux options without a constant in every Python's socket module (linux/udp.h, linux/in.h).
_NUMBERS: Final = {
    "IP_FREEBIND": 15,
    "SO_BINDTODEVICE": 25,
    "UDP_CORK": 1,
    "UDP_ENCAP": 100,
    "UDP_NO_CHECK6_TX": 101,
    "UDP_NO_CHECK6_RX": 102,
    "UDP_SEGMENT": 103,
    "UDP_GRO": 104,
}

_LEVELS: Final = {
    "SO": socket.SOL_SOCKET,
    "TCP": socket.IPPROTO_TCP,
    "UDP": socket.IPPROTO_UDP,
    "IP": socket.IPPROTO_IP,
    "IPV6": socket.IPPROTO_IPV6,
}


def option_number(name: str) -> tuple[int, int] | None:
    """The level and the number of the socket option *name*.

    None when this system does not have the option.
    """
    level = _LEVELS.get(name.partition("_")[0])
    number: int | None = getattr(socket, name, _NUMBERS.get(name))
    return None if level is None or number is None else (level, number)
