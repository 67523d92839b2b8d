"""The words of an endpoint string, looked at before Twisted has a use for them.

Twisted takes any number for a port and any text for an address, and only notices when it binds
or connects, where nobody knows the line of the configuration any more.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from stunnel_tx.configuration.addresses import MAX_PORT, UNIX_PATH_BYTES, is_ip
from stunnel_tx.errors import OperatingError
from stunnel_tx.service.addresses import look_up

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Words", "look_at_connecting", "look_at_listening", "words_of"]

#: Kinds with a port to listen on, and the place of the interface among the bare words.
_LISTENING: Final = {"tcp": 1, "tcp6": 1, "ssl": None}
#: Kinds that connect to a host and a port.
_CONNECTING: Final = frozenset({"tcp", "tls", "ssl"})


@frozen
class Words:
    """A string's kind, its bare words, and those with a name."""

    kind: str
    bare: tuple[str, ...] = ()
    named: Mapping[str, str] = field(factory=dict)

    def get(self, name: str, place: int | None) -> str | None:
        """The word of that *name*, or in that *place* among the bare ones; None without."""
        if name in self.named or place is None or place >= len(self.bare):
            return self.named.get(name)
        return self.bare[place]


def words_of(description: str) -> Words:
    """Split at ``:`` and ``=``; a backslash makes the next character an ordinary one."""
    words: list[list[str]] = [[""]]
    escaped = False
    for char in description:
        if escaped or char not in ":=\\":
            words[-1][-1] += char
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ":":
            words.append([""])
        else:
            words[-1].append("")
    bare = tuple(word[0] for word in words[1:] if len(word) == 1)
    return Words(words[0][0], bare, {word[0]: "=".join(word[1:]) for word in words if word[1:]})


def look_at_listening(description: str) -> None:
    """Raise ValueError for a string that nobody can listen on; blocks to look up a name."""
    words = words_of(description)
    if words.kind == "unix":
        _look_at_path(words)
    elif words.kind == "systemd":
        domain = words.get("domain", None)
        if domain and not hasattr(socket, f"AF_{domain}"):
            raise ValueError(f"there is no address family {domain}")
    elif words.kind in _LISTENING:
        _look_at_port(words.get("port", 0), 0)
        _look_at_own(words.get("interface", _LISTENING[words.kind]), "interface")


def look_at_connecting(description: str) -> None:
    """Raise ValueError for a string that leads nowhere; blocks to look up a name."""
    words = words_of(description)
    if words.kind == "unix":
        _look_at_path(words)
    elif words.kind in _CONNECTING:
        if words.get("host", 0) == "":
            raise ValueError("the host is missing")
        _look_at_port(words.get("port", 0 if "host" in words.named else 1), 1)
        _look_at_own(words.get("bindAddress", None), "bindAddress")


def _look_at_path(words: Words) -> None:
    path = words.get("address", 0) or words.get("path", None)
    if not path:
        raise ValueError("the path is missing")
    size = len(path.encode("utf-8", "surrogateescape"))
    if size > UNIX_PATH_BYTES:
        raise ValueError(
            f"the path is {size} bytes long, and a socket's path has at most {UNIX_PATH_BYTES}"
        )


def _look_at_port(port: str | None, lowest: int) -> None:
    # One that is missing is noticed by Twisted.
    if port is None:
        return
    try:
        good = lowest <= int(port) <= MAX_PORT
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"the port {port!r} is not a number from {lowest} to {MAX_PORT}")


def _look_at_own(host: str | None, name: str) -> None:
    """Look at a word that means an address of this machine."""
    if not host or is_ip(host):
        return
    try:
        look_up(host, 0, passive=True)
    except OperatingError as error:
        raise ValueError(f"{name}: Cannot resolve {host!r}: {error}") from error
