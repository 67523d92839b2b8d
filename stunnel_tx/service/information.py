"""What the program says about itself: banner, libraries, capabilities, socket options."""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
from typing import TYPE_CHECKING

from stunnel_tx import __version__
from stunnel_tx.configuration.socket_options import SOCKET_OPTION_KINDS
from stunnel_tx.service.option_numbers import option_number
from stunnel_tx.telemetry.events import BANNER, FEATURES, LIBRARY

if TYPE_CHECKING:
    from stunnel_tx.telemetry.log import Scope

#: The release of stunnel whose behaviour this program follows.
COMPATIBLE_WITH = "5.82"

_YES_NO = {True: "yes", False: "no"}


def platform() -> str:
    """The machine as a GNU triplet, such as ``x86_64-pc-linux-gnu``."""
    system = os.uname()
    vendor = "pc" if system.machine in ("x86_64", "i686", "i386") else "unknown"
    multiarch = getattr(sys.implementation, "_multiarch", "") or f"-{sys.platform}-gnu"
    return f"{system.machine}-{vendor}-{'-'.join(multiarch.split('-')[1:])}"


def introduce(scope: Scope) -> None:
    """Log the three lines every run starts with."""
    from stunnel_tx.tls.binding.capabilities import capabilities

    polling = "EPOLL" if hasattr(select, "epoll") else "POLL"
    sockets = f"{polling},IPv6,SYSTEMD" if socket.has_ipv6 else f"{polling},SYSTEMD"
    scope(BANNER, f"{COMPATIBLE_WITH} (stunnel_tx {__version__})", platform())
    found = capabilities()
    scope(LIBRARY, found.version)
    scope(FEATURES, sockets, "PSK,SNI" if found.psk else "SNI")


def library_lines() -> list[str]:
    """The libraries underneath, and what this installation of them can do."""
    import cryptography
    import OpenSSL

    import twisted
    from stunnel_tx.tls.binding.capabilities import capabilities

    found = capabilities()
    origin = "bundled with cryptography" if found.bundled else "of the system"
    abilities = {
        "groups": found.groups,
        "signature algorithms": found.signature_algorithms,
        "PSK": found.psk,
        "session state": found.session_reused,
        "session export": found.session_text,
        "session scope": found.session_scope,
        "certificate callback": found.certificate_callback,
        "raw records": found.raw_records,
    }
    listed = ", ".join(f"{name}: {_YES_NO[value]}" for name, value in abilities.items())
    python = ".".join(str(part) for part in sys.version_info[:3])
    versions = {
        "Twisted": twisted.__version__,
        "pyOpenSSL": OpenSSL.__version__,
        "cryptography": cryptography.__version__,
        "Python": python,
    }
    return [
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"OpenSSL {origin}, {found.directory}",
        f"Capabilities: {listed}",
    ]


def socket_default(name: str, udp: bool) -> str | None:
    """The value of a socket option that a fresh TCP or UDP socket has, as it would be written.

    None when this system does not have the option.
    """
    numbers = option_number(name)
    if numbers is None:
        return None
    family = socket.AF_INET6 if name.startswith("IPV6_") else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as fresh:
            data = fresh.getsockopt(*numbers, 16)
    except OSError:
        return None
    return _render(SOCKET_OPTION_KINDS[name].type, data)


def _render(kind: str, data: bytes) -> str:
    if kind == "string":
        return data.rstrip(b"\0").decode("ascii", "replace")
    if kind in ("linger", "timeval"):
        first, second = struct.unpack("ii" if kind == "linger" else "ll", data)
        return f"{first}:{second}"
    number = int.from_bytes(data, sys.byteorder, signed=True)
    return _YES_NO[bool(number)] if kind == "flag" else str(number)
