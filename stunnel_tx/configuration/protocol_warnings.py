"""What is doubtful about ``protocol`` and the options around it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stunnel_tx.configuration.addresses import EndpointString, UnixPath
from stunnel_tx.configuration.protocols import BUILT_IN, OPTIONS_IN_USE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stunnel_tx.configuration.model import Settings

__all__ = ["PROXIES", "doubtful_protocols", "unused_credentials"]

PROXIES = ("connect", "socks")
"""Protocols whose server mode takes clients where they want to go."""

_CREDENTIALS = ("protocolUsername", "protocolPassword")
_OTHERS = ("protocolHost", "protocolAuthentication", "protocolHeader")

_TRUSTING = re.compile(r"(?:^|[/:=])(?:ldapi|\.s\.PGSQL\.[0-9]+|(?:mysqld?|mariadbd?)\.sock)$")
"""Names of UNIX sockets whose servers may ask the kernel who has connected."""

Finding = tuple[str, str, str | None]


def unused_credentials(settings: Settings, is_own: Callable[[str], bool]) -> Iterator[Finding]:
    """User and password that the service has no use for: nobody is asked for them."""
    yield from _unused(settings, is_own, _CREDENTIALS)


def doubtful_protocols(settings: Settings, is_own: Callable[[str], bool]) -> Iterator[Finding]:
    """All other doubts; *is_own* tells which options have a line in the section itself."""
    if settings["client"]:
        yield from _unused(settings, is_own, _OTHERS)
        return
    yield from _open_proxy(settings)
    for address in settings["connect"]:
        yield from _trusting_server(settings, address)


def _unused(
    settings: Settings, is_own: Callable[[str], bool], options: tuple[str, ...]
) -> Iterator[Finding]:
    protocol = settings["protocol"]
    if protocol is not None and protocol.name not in BUILT_IN:
        # What a plugin goes by is its own affair.
        return
    used: tuple[str, ...] = ()
    where = "without protocol"
    if protocol is not None:
        mode = "client" if settings["client"] else "server"
        used = OPTIONS_IN_USE.get((protocol.name, mode), ())
        where = f"with protocol = {protocol} in {mode} mode"
    for option in options:
        if option not in used and is_own(option):
            yield (f"{option} has no effect {where}", "remove it", option)


def _open_proxy(settings: Settings) -> Iterator[Finding]:
    """A proxy that asks nobody who he is."""
    protocol = settings["protocol"]
    if protocol is None or protocol.name not in PROXIES:
        return
    flags = settings["verification"]
    known = flags.authenticates or flags.require or settings["pinSHA256"] or settings["PSKsecrets"]
    if known:
        return
    if not settings["protocolPassword"]:
        yield (
            f"Service [{settings.name}] is a proxy for everybody who can reach it",
            "add verifyChain = yes and CAfile, or protocolUsername and protocolPassword",
            "protocol",
        )
    elif protocol.name == "connect":
        yield (
            "clients of protocol = connect send user and password in clear, before TLS",
            "add verifyChain = yes and CAfile",
            "protocolPassword",
        )


def _trusting_server(settings: Settings, address: object) -> Iterator[Finding]:
    """A server that believes the kernel: every client would be whom this program runs as."""
    path = ""
    if isinstance(address, UnixPath):
        path = str(address)
    elif isinstance(address, EndpointString) and address.text.startswith("unix:"):
        path = address.text
    if path and _TRUSTING.search(path):
        text = (
            f"Service [{settings.name}] gives its clients the rights of its own user where the"
            f" server at {path} goes by the credentials of UNIX sockets (EXTERNAL, peer,"
            " unix_socket)"
        )
        yield (text, "connect to its TCP address on localhost", "connect")
