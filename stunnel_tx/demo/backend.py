"""A plain HTTP/1.1 server for the demo page: GET and HEAD, one request per connection.

It sits behind the tunnel and is as distrustful as anything that reads from the network: the head of
a request is bounded in size and time, bad input gets its status code, nothing is kept afterwards.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IHalfCloseableProtocol, ITCPTransport
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from zope.interface import implementer

from stunnel_tx.demo.page import as_html, as_text
from stunnel_tx.demo.request import BadRequest, Request, find_head, parse_head

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
    from twisted.python.failure import Failure

    from stunnel_tx.demo.page import TLSFacts

    # From the peer address of a connection to the facts of the tunnel that made it.
    FactsFor = Callable[[IAddress], TLSFacts | None]

__all__ = ["DEADLINE", "PageFactory"]

#: Seconds for a whole connection, from its first octet to its close; loopback needs milliseconds.
DEADLINE = 10.0


@implementer(IHalfCloseableProtocol)
class _PageProtocol(Protocol):
    """One connection: collect a head, answer it, close this direction, wait for the other end.

    Closing one direction first (rather than both) lets the answer arrive even when the client is
    still sending: closing a socket with unread input would reset it.
    """

    transport: ITCPTransport

    def __init__(self, clock: IReactorTime, facts_for: FactsFor) -> None:
        self._clock = clock
        self._facts_for = facts_for
        self._received = b""
        self._answered = False
        self._deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Start the deadline."""
        self._deadline = self._clock.callLater(DEADLINE, self._expired)

    def dataReceived(self, data: bytes) -> None:
        """Collect the head and answer as soon as it is whole; whatever follows is dropped."""
        if self._answered:
            return
        self._received += data
        try:
            head = find_head(self._received)
            if head is not None:
                self._respond(parse_head(head))
        except BadRequest as problem:
            self._send(HTTPStatus(problem.status), f"{problem}\n")

    def readConnectionLost(self) -> None:
        """The client has sent its last octet; what was written before still goes out."""
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our direction is closed, as asked for; the client closes the other one."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the deadline."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()

    def _respond(self, request: Request) -> None:
        """Choose the answer to a well-formed request."""
        if request.method not in {"GET", "HEAD"}:
            self._send(
                HTTPStatus.METHOD_NOT_ALLOWED, "GET or HEAD, please\n", "Allow: GET, HEAD\r\n"
            )
        elif request.target.partition("?")[0] != "/":
            self._send(HTTPStatus.NOT_FOUND, "only / is here\n", head=request.method == "HEAD")
        else:
            facts = self._facts_for(self.transport.getPeer())
            body, kind = as_text(facts), "text/plain"
            if request.wants_html:
                body, kind = as_html(facts), "text/html"
            self._send(HTTPStatus.OK, body, kind=kind, head=request.method == "HEAD")

    def _send(
        self,
        status: HTTPStatus,
        text: str,
        fields: str = "",
        kind: str = "text/plain",
        *,
        head: bool = False,
    ) -> None:
        """Write one answer (its body left out when ``head``) and close this direction."""
        body = text.encode()
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f"Content-Type: {kind}; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"{_FIXED_FIELDS}{fields}\r\n"
        )
        self._answered = True
        self._received = b""
        self.transport.write(lines.encode() + (b"" if head else body))
        self.transport.loseWriteConnection()

    def _expired(self) -> None:
        """Too slow, or not closing after the answer: no more patience."""
        if self._answered:
            self.transport.abortConnection()
        else:
            self._send(HTTPStatus.REQUEST_TIMEOUT, "too slow\n")
            self.transport.loseConnection()


_FIXED_FIELDS = (
    "Cache-Control: no-store\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Vary: Accept, User-Agent\r\n"
    "Connection: close\r\n"
)


class PageFactory(ServerFactory):
    """Builds the page's connections.

    ``facts_for`` is asked with the peer address of a connection, which is the local address of the
    tunnel's outgoing one, and answers with the visitor's facts or None.
    """

    noisy = False

    def __init__(self, clock: IReactorTime, facts_for: FactsFor) -> None:
        self._clock = clock
        self._facts_for = facts_for

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """One connection."""
        return _PageProtocol(self._clock, self._facts_for)
