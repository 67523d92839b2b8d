"""What a dialogue sees of the two sides, and of the service it talks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from attrs import define, field, frozen

from stunnel_tx.negotiation.limits import LINE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence


class Peer(Protocol):
    """One side of a conversation.

    All reads raise :class:`~stunnel_tx.errors.PeerClosed` when the side goes away,
    :class:`~stunnel_tx.errors.LimitExceeded` beyond a bound of
    :mod:`~stunnel_tx.negotiation.limits`, and are cut off by the negotiation's deadline.
    Nothing is read beyond what is asked for: what follows stays where it is, and so becomes the
    first input of TLS, or of the relay.
    """

    async def read_line(self, limit: int = LINE) -> bytes:
        """The next line without its terminator, of at most *limit* bytes with it.

        Raises :class:`~stunnel_tx.errors.ProtocolViolation` for NUL and for CR without LF.
        """

    async def read_exactly(self, count: int) -> bytes:
        """The next *count* bytes."""

    async def peek(self, count: int) -> bytes:
        """Between one and *count* bytes that are next, left unread."""

    async def spoken(self, within: float) -> bytes:
        """The next byte, left unread, or nothing when none comes *within* so many seconds."""

    async def send(self, data: bytes) -> None:
        """Send all of *data*."""


@frozen
class Endpoint:
    """One end of a connection: a numeric host and a port, or a UNIX path (port 0)."""

    host: str
    port: int = 0


@frozen
class Session:
    """What TLS settled for a side, as far as other protocols want to know it.

    ``version`` is like ``TLSv1.3``; ``certificate`` is the peer's, in DER; ``verified`` says
    whether it was verified; ``resumed`` whether it was shown in an earlier connection.
    """

    version: str
    cipher: str
    server_name: str | None = None
    alpn: bytes | None = None
    certificate: bytes | None = None
    common_name: str | None = None
    verified: bool = False
    resumed: bool = False


@frozen
class NegotiationOptions:
    """The service's ``protocol...`` options; a secret never appears in ``repr()``."""

    host: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    domain: str | None = None
    authentication: str = "basic"
    headers: tuple[str, ...] = ()
    #: Options of a single protocol, under their own names, already parsed.
    extra: dict[str, Any] = field(factory=dict, repr=False)


#: An end of a connection, or how to find it out: few dialogues ask.
Found = Endpoint | Callable[[], Endpoint | None] | None


def _look_up(found: Found) -> Endpoint | None:
    return found() if callable(found) else found


@define
class Conversation:
    """What a dialogue is given.

    ``local`` is the accepted side, ``remote`` the connected one (None in a stage before it is
    connected). ``note`` puts a line in the log and never takes a secret. ``source`` and
    ``target`` are the ends of the accepted connection: the client's address and ours; ``bound``
    is our own address on the way to the remote side. ``session`` is that of the TLS side once
    it is up. A dialogue that chooses its own destination sets ``destination``.
    """

    local: Peer
    remote: Peer | None
    options: NegotiationOptions
    note: Callable[..., None]
    _source: Found = None
    _target: Found = None
    _bound: Found = None
    session: Session | None = None
    destination: Endpoint | None = None
    #: Carried by a protocol from one of its stages to a later one.
    state: Any = None
    #: The local side has been told, has left by itself, or waits for TLS and would not
    #: understand it: no refusal is due, until TLS is up.
    refused: bool = False
    #: The local side is spoken to inside TLS.
    inside_tls: bool = False
    #: Numeric addresses of a host name, those that policy lets a client have and at least one;
    #: raises :class:`~stunnel_tx.errors.Rejected` or
    #: :class:`~stunnel_tx.negotiation.destinations.Unresolved`. None where nobody looks up.
    resolve: Callable[[str], Awaitable[Sequence[str]]] | None = None
    #: Set by a dialogue after which there is nothing left to do (the client said goodbye, or
    #: has its answer): the driver closes both sides with FIN, and that is no error.
    finished: bool = False
    #: Waits for the side that speaks next; see :meth:`speaker`. Set in the late stage.
    listen: Callable[[], Awaitable[Peer]] | None = None

    @property
    def source(self) -> Endpoint | None:
        """The client's address."""
        self._source = found = _look_up(self._source)
        return found

    @source.setter
    def source(self, found: Found) -> None:
        self._source = found

    @property
    def target(self) -> Endpoint | None:
        """Our address on the client's side."""
        self._target = found = _look_up(self._target)
        return found

    @target.setter
    def target(self, found: Found) -> None:
        self._target = found

    @property
    def bound(self) -> Endpoint | None:
        """Our address on the way to the remote side."""
        self._bound = found = _look_up(self._bound)
        return found

    @bound.setter
    def bound(self, found: Found) -> None:
        self._bound = found

    def far(self) -> Peer:
        """The remote side, in a stage where it is connected."""
        if self.remote is None:
            raise RuntimeError("the remote side is not connected in this stage")
        return self.remote

    async def speaker(self) -> Peer:
        """In the late stage: the side that has something to say next, or that closes.

        It may take as long as a connection may be idle (TIMEOUTidle); all else that a
        negotiation waits for is under TIMEOUTbusy.
        """
        if self.listen is None:
            raise RuntimeError("both sides are listened to in the late stage only")
        return await self.listen()


__all__ = ["Conversation", "Endpoint", "NegotiationOptions", "Peer", "Session"]
