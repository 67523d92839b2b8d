"""The head of an HTTP/1.x request, from bytes to a value (RFC 9112, sections 2 to 5), sans-IO."""

from __future__ import annotations

import re

from attrs import frozen

from stunnel_tx.errors import ProtocolViolation

__all__ = ["MAX_HEAD", "BadRequest", "Request", "find_head", "parse_head"]

#: Octets in a request's head, its final empty line included. Browsers send one or two thousand.
MAX_HEAD = 8192

# RFC 9110 section 5.6.2: token.
_TCHARS = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rf"({_TCHARS}) ([!-~]+) HTTP/([0-9])\.([0-9])")
# RFC 9112 section 5: no blank between name and colon, no folded lines.
_FIELD_LINE = re.compile(rf"({_TCHARS}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
# RFC 9112 section 2.2 lets a server take a bare LF for a line's end; people type requests by hand.
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")


class BadRequest(ProtocolViolation):
    """The client broke a rule of HTTP; ``status`` is the code to answer with."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


@frozen
class Request:
    """One request's head: method, target as sent, and the two fields that the page looks at."""

    method: str
    target: str
    accept: str
    user_agent: str

    @property
    def wants_html(self) -> bool:
        """Whether the client is a browser: it asks for text/html and is not curl."""
        return "text/html" in self.accept and not self.user_agent.startswith("curl/")


def find_head(received: bytes) -> bytes | None:
    """The head at the start of ``received`` without its empty line; None while it is incomplete.

    Empty lines before the request are dropped (RFC 9112 section 2.2).

    Raises:
        BadRequest: 431, when the head is longer than ``MAX_HEAD`` octets.
    """
    end = _END_OF_HEAD.search(received, len(received) - len(received.lstrip(b"\r\n")))
    if (end.end() if end else len(received)) > MAX_HEAD:
        raise BadRequest(431, "head too long")
    return received[: end.start()].lstrip(b"\r\n") if end else None


def parse_head(head: bytes) -> Request:
    """The request that ``head`` (of ``find_head``) spells.

    Raises:
        BadRequest: 400 for broken syntax or a missing Host (RFC 9112 section 3.2), 505 for
            anything but HTTP/1.x.
    """
    request_line, *field_lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    match = _REQUEST_LINE.fullmatch(request_line)
    if match is None:
        raise BadRequest(400, "no request line")
    method, target, major, minor = match.groups()
    if major != "1":
        raise BadRequest(505, "not HTTP/1.x")
    fields: dict[str, list[str]] = {}
    for line in field_lines:
        field = _FIELD_LINE.fullmatch(line)
        if field is None:
            raise BadRequest(400, "broken field line")
        fields.setdefault(field[1].lower(), []).append(field[2])
    hosts = len(fields.get("host", ()))
    if hosts > 1 or (hosts == 0 and minor != "0"):
        raise BadRequest(400, "not exactly one Host")
    return Request(
        method,
        target,
        accept=", ".join(fields.get("accept", ())).lower(),
        user_agent=", ".join(fields.get("user-agent", ())),
    )
