r"""Scripted peers: dialogues are tested without a socket, a reactor or a clock.

A :class:`ScriptedPeer` holds what the other end will say and records what it hears::

    local = ScriptedPeer(b"EHLO me\r\nSTARTTLS\r\n")
    remote = ScriptedPeer(Turns([(b"", b"220 hi\r\n"), (b"EHLO", b"250 ok\r\n")]))
    run(dialogue(conversation(local, remote)))

What was fed but not read is in ``unread``: with a real connection that is what TLS would get.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, TypeVar

from stunnel_tx.errors import DeadlineExceeded, LimitExceeded, PeerClosed
from stunnel_tx.negotiation.framing import find_line
from stunnel_tx.negotiation.limits import BYTES, LINE, LINES
from stunnel_tx.negotiation.peer import Conversation, NegotiationOptions, Peer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence

    from stunnel_tx.telemetry.events import Event

T = TypeVar("T")

#: The seconds a silent peer is waited for, as its DeadlineExceeded says.
BUSY = 300.0


class Turns:
    """A script of ``(expect, reply)``: a reply becomes readable once *expect* was sent.

    Each *expect* is looked for behind the one before it; an empty one is met at once.
    """

    def __init__(self, turns: Sequence[tuple[bytes, bytes]]) -> None:
        self.turns = tuple(turns)
        self.incoming = b"".join(reply for _, reply in self.turns)

    def released(self, sent: bytes) -> int:
        """How many bytes of ``incoming`` are readable after *sent*."""
        place = size = 0
        for expect, reply in self.turns:
            found = sent.find(expect, place)
            if found < 0:
                break
            place = found + len(expect)
            size += len(reply)
        return size

    def awaited(self, sent: bytes) -> bytes:
        """What the script still waits for; nothing when it has been played to its end."""
        place = 0
        for expect, _ in self.turns:
            found = sent.find(expect, place)
            if found < 0:
                return expect
            place = found + len(expect)
        return b""


class ScriptedPeer:
    """A peer that says *incoming* and records what it hears.

    *splits* are the offsets at which the input is cut into chunks; each wait brings one chunk.
    After the last one the peer closes (*eof*), or stays silent until the deadline. With *deaf*
    it has closed already when something is sent to it. The bounds of
    :mod:`stunnel_tx.negotiation.limits` apply, as with the real driver.
    """

    def __init__(
        self,
        incoming: bytes | Turns = b"",
        *,
        splits: Sequence[int] = (),
        eof: bool = True,
        deaf: bool = False,
    ) -> None:
        self.turns = incoming if isinstance(incoming, Turns) else Turns([(b"", incoming)])
        self.incoming = self.turns.incoming
        self.splits = sorted(splits)
        self.eof = eof
        self.deaf = deaf
        self.sent = b""
        self.waits = 0
        self._consumed = 0
        self._arrived = 0
        self._lines = 0

    @property
    def unread(self) -> bytes:
        """What the peer says and nobody has read, arrived or not."""
        return self.incoming[self._consumed :]

    @property
    def consumed(self) -> bytes:
        """What has been read."""
        return self.incoming[: self._consumed]

    async def read_line(self, limit: int = LINE) -> bytes:
        """See :class:`stunnel_tx.negotiation.peer.Peer`."""
        if self._lines >= LINES:
            raise LimitExceeded("lines in a negotiation", LINES)
        while True:
            text, size = find_line(self._buffer, limit)
            if text is not None:
                self._lines += 1
                self._consume(size)
                return text
            self._arrive()

    async def read_exactly(self, count: int) -> bytes:
        """See :class:`stunnel_tx.negotiation.peer.Peer`."""
        while len(self._buffer) < count:
            self._arrive()
        data = self._buffer[:count]
        self._consume(count)
        return data

    async def peek(self, count: int) -> bytes:
        """See :class:`stunnel_tx.negotiation.peer.Peer`."""
        if not self._buffer:
            self._arrive()
        return self._buffer[:count]

    async def spoken(self, within: float) -> bytes:
        """See :class:`stunnel_tx.negotiation.peer.Peer`; a silent peer takes no real time."""
        if not self._buffer and not self._available():
            if self.eof and not self.unread:
                raise PeerClosed("the peer closed the connection")
            return b""
        return await self.peek(1)

    async def send(self, data: bytes) -> None:
        """See :class:`stunnel_tx.negotiation.peer.Peer`."""
        if self.deaf:
            raise PeerClosed("the peer closed the connection")
        self.sent += data

    @property
    def speaks(self) -> bool:
        """True when there is something to read."""
        return bool(self._buffer) or self._available()

    @property
    def _buffer(self) -> bytes:
        return self.incoming[self._consumed : self._arrived]

    def _available(self) -> bool:
        return self.turns.released(self.sent) > self._arrived

    def _arrive(self) -> None:
        """Let the next chunk come in, or find out that none will."""
        self.waits += 1
        released = self.turns.released(self.sent)
        if released > self._arrived:
            cuts = (cut for cut in self.splits if self._arrived < cut < released)
            self._arrived = next(cuts, released)
            return
        awaited = self.turns.awaited(self.sent)
        if awaited:
            raise AssertionError(f"read before {awaited!r} was sent; sent so far: {self.sent!r}")
        if self.eof:
            raise PeerClosed("the peer closed the connection")
        raise DeadlineExceeded("TIMEOUTbusy", BUSY)

    def _consume(self, count: int) -> None:
        self._consumed += count
        if self._consumed > BYTES:
            raise LimitExceeded("bytes in a negotiation", BYTES)


class Notes:
    """Stands for the log of a conversation; ``texts`` are the lines with their values."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, event: Event, *values: object) -> None:
        """Keep one line."""
        self.texts.append(event.text.format(*values))


def conversation(
    local: Peer,
    remote: Peer | None = None,
    *,
    options: NegotiationOptions | None = None,
    note: Notes | None = None,
    **fields: Any,
) -> Conversation:
    """A conversation between doubles; *fields* are further fields of it.

    Of two sides that have something to say the remote one is heard, as with the real driver.
    """

    async def listen() -> Peer:
        return remote if isinstance(remote, ScriptedPeer) and remote.speaks else local

    fields.setdefault("listen", listen)
    return Conversation(
        local=local,
        remote=remote,
        options=options or NegotiationOptions(),
        note=note or Notes(),
        **fields,
    )


def run(awaitable: Awaitable[T]) -> T:
    """The result of a coroutine that never really waits, as no dialogue over doubles does."""
    steps = awaitable.__await__()
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("the coroutine waits for something that is no scripted peer")


def every_split(data: bytes | Turns, *, samples: int = 8) -> Iterator[tuple[int, ...]]:
    """Ways to cut *data*: not at all, everywhere, at each single place, and some at random.

    The random ones are the same in every run.
    """
    size = len(data.incoming if isinstance(data, Turns) else data)
    yield ()
    yield tuple(range(1, size))
    for cut in range(1, size):
        yield (cut,)
    dice = random.Random(size)
    for _ in range(samples if size > 2 else 0):
        yield tuple(sorted(dice.sample(range(1, size), dice.randrange(1, size - 1))))
