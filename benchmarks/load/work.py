"""What one generator process is to do, and what came of it; both travel as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from attrs import asdict, field, frozen

from benchmarks.summaries import Latencies

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What a process says when its connections are open; anything else is why they are not.
READY: Final = "ready"


@frozen
class Work:
    """*kind* of load on *port*, over so many *connections* at a time, with TLS or without.

    ``upload`` and ``download`` move *size* bytes on each connection. ``handshake`` goes on for
    *seconds*, or for *count* connections in all, whichever comes first, *resumed* or not, after
    the STARTTLS of *protocol* if one is named, each one *pause* seconds after the one before on
    the same thread. ``roundtrip`` goes on for *seconds*. ``idle``
    holds its connections until it is told to go on. *first* tells the processes of one run apart.
    """

    kind: str
    port: int
    tls: bool = True
    connections: int = 1
    size: int = 0
    seconds: float = 0.0
    count: int = 0
    resumed: bool = False
    protocol: str = ""
    pause: float = 0.0
    first: int = 0

    def to_json(self) -> str:
        """As the argument of a generator process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Work:
        """The work written in *text*."""
        return cls(**json.loads(text))


@frozen
class Result:
    """*units* of work done (bytes, handshakes or round trips) in *seconds*, *failures* beside.

    *resumed* counts the handshakes among them that were; *reason* is that of one failure.
    """

    units: int = 0
    seconds: float = 0.0
    failures: int = 0
    resumed: int = 0
    reason: str = ""
    latencies: Latencies = field(factory=Latencies, eq=False)

    def to_json(self) -> str:
        """As one line for the process that started this one."""
        shape = asdict(self, recurse=False)
        shape["latencies"] = self.latencies.counts
        return json.dumps(shape)

    @classmethod
    def from_json(cls, text: str) -> Result:
        """The result written in *text*."""
        shape = json.loads(text)
        counts = {int(bucket): count for bucket, count in shape.pop("latencies").items()}
        return cls(**shape, latencies=Latencies(counts))

    @classmethod
    def together(cls, parts: Sequence[Result]) -> Result:
        """The results of all processes of one run as one; the slowest says how long it took."""
        return cls(
            units=sum(part.units for part in parts),
            seconds=max((part.seconds for part in parts), default=0.0),
            failures=sum(part.failures for part in parts),
            resumed=sum(part.resumed for part in parts),
            reason=next((part.reason for part in parts if part.reason), ""),
            latencies=Latencies.together(part.latencies for part in parts),
        )
