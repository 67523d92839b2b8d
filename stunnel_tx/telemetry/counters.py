"""Numbers the program keeps about itself.

The live counters are plain attributes, since they are touched for every connection; whoever
shows them takes a frozen snapshot.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Most kinds of handshake failure told apart; the rest is counted as ``OTHER``, so that no
#: peer can make the table grow.
MAX_KINDS = 64

OTHER = "other"


def _freeze(kinds: Mapping[str, int]) -> Mapping[str, int]:
    return MappingProxyType(dict(kinds))


@frozen
class Snapshot:
    """The counters at one moment; all count connections, except the two in bytes."""

    accepted: int
    active: int
    refused_by_limit: int
    resumed: int
    truncated: int
    bytes_to_tls: int
    bytes_to_socket: int
    handshake_failures: Mapping[str, int] = field(converter=_freeze)


class Counters:
    """Live counters since the start of the process; change the attributes directly.

    ``bytes_to_tls`` and ``bytes_to_socket`` count application bytes sent to the TLS side and to
    the plain side; ``truncated`` counts TLS peers that left without close_notify.
    """

    __slots__ = (
        "accepted",
        "active",
        "bytes_to_socket",
        "bytes_to_tls",
        "handshake_failures",
        "refused_by_limit",
        "resumed",
        "truncated",
    )

    def __init__(self) -> None:
        self.accepted = 0
        self.active = 0
        self.refused_by_limit = 0
        self.resumed = 0
        self.truncated = 0
        self.bytes_to_tls = 0
        self.bytes_to_socket = 0
        self.handshake_failures: dict[str, int] = {}

    def handshake_failed(self, kind: str) -> None:
        """Count one failed handshake under *kind*, a short word such as ``timeout``."""
        kinds = self.handshake_failures
        if kind not in kinds and len(kinds) >= MAX_KINDS:
            kind = OTHER
        kinds[kind] = kinds.get(kind, 0) + 1

    def snapshot(self) -> Snapshot:
        """A frozen copy of the present numbers."""
        return Snapshot(
            accepted=self.accepted,
            active=self.active,
            refused_by_limit=self.refused_by_limit,
            resumed=self.resumed,
            truncated=self.truncated,
            bytes_to_tls=self.bytes_to_tls,
            bytes_to_socket=self.bytes_to_socket,
            handshake_failures=self.handshake_failures,
        )
