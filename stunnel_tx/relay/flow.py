"""One direction of a relay, and the values that go into a relay and come out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from attrs import frozen

from stunnel_tx.relay.channel import WANT_READ, WANT_WRITE
from stunnel_tx.relay.half_close import State
from stunnel_tx.relay.loop import READ, WRITE

if TYPE_CHECKING:
    from stunnel_tx.relay.channel import Channel

_INTEREST: Final = {WANT_READ: READ, WANT_WRITE: WRITE}


@frozen
class RelayPolicy:
    """What the relay has to know of its service; times in seconds, negative for no limit."""

    idle: float
    close: float
    reset: bool
    require_close_notify: bool


class Outcome(NamedTuple):
    """How a relay ended: whether each side was reset, and the bytes given to each.

    ``truncated`` counts sides that ended without close_notify; ``failed`` is True when the
    end was not in good order. One is made per connection, and a tuple is the cheapest value.
    """

    local_reset: bool
    remote_reset: bool
    to_local: int
    to_remote: int
    truncated: int
    failed: bool

    @property
    def word(self) -> str:
        """The word stunnel's closing line has for it: remote side first where they differ."""
        local = "reset" if self.local_reset else "closed"
        remote = "reset" if self.remote_reset else "closed"
        return local if local == remote else f"{remote}/{local}"


class Flow:
    """One direction: bytes read from ``source`` and still to be written to ``sink``."""

    __slots__ = ("moved", "pending", "read_want", "sink", "source", "state", "write_want")

    def __init__(self, source: Channel, sink: Channel) -> None:
        self.source = source
        self.sink = sink
        self.state = State.OPEN
        #: Read but not written yet; while it is there, the source is not read.
        self.pending: memoryview | None = None
        self.read_want = WANT_READ
        self.write_want = WANT_WRITE
        self.moved = 0

    def interest(self) -> tuple[int, int]:
        """The readiness of the source, and of the sink, that would let this flow go on."""
        state = self.state
        if self.pending is not None or state is State.CLOSING:
            return 0, _INTEREST[self.write_want]
        if state is State.OPEN or state is State.DISCARDING:
            return _INTEREST[self.read_want], 0
        return 0, 0
