"""Where a line ends in bytes that have only been looked at (peeked), and whether it is one."""

from __future__ import annotations

from stunnel_tx.errors import LimitExceeded, ProtocolViolation


def find_line(data: bytes, limit: int) -> tuple[bytes | None, int]:
    """The first line of *data*, which may have been looked at only in part.

    Its text without terminator, None while there is none yet, and how many bytes can belong to
    nothing but this line. CRLF ends a line; a bare LF is tolerated, since many programs send it.
    Raises :class:`~stunnel_tx.errors.ProtocolViolation` for NUL and for CR without LF, both of
    which some parsers take for an end of line, and :class:`~stunnel_tx.errors.LimitExceeded` for
    more than *limit* bytes without an end. What follows the line is never judged here.
    """
    end = data.find(b"\n")
    body = data if end < 0 else data[:end]
    if b"\0" in body:
        raise ProtocolViolation("NUL in a line")
    stripped = body[:-1] if body.endswith(b"\r") else body
    if b"\r" in stripped:
        raise ProtocolViolation("CR without LF in a line")
    size = len(body) + 1
    if end < 0:
        if len(body) >= limit:
            raise LimitExceeded("line length in bytes", limit)
        return None, len(body)
    if size > limit:
        raise LimitExceeded("line length in bytes", limit)
    return stripped, size
