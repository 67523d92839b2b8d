"""What a client asks of the backend: nine bytes, a verb and a count, first thing on a connection.

========  =====================================================================
``SINK``    the backend takes that many bytes and answers with one
``SOURCE``  the backend sends that many bytes
``ECHO``    the backend sends everything back that follows; the count means nothing
========  =====================================================================
"""

from __future__ import annotations

import struct
from typing import Final

from attrs import frozen

SINK: Final = b"S"
SOURCE: Final = b"O"
ECHO: Final = b"E"

_LAYOUT: Final = struct.Struct("!cQ")

#: Bytes of a request on the wire.
REQUEST_SIZE: Final = _LAYOUT.size

#: Bytes that are written in one call on either end; larger than any one record or proxy buffer.
CHUNK: Final = 256 * 1024

#: First line of the backend of each negotiation, which the program passes on.
GREETINGS: Final = {
    "smtp": b"220 localhost ESMTP\r\n",
    "imap": b"* OK IMAP4rev1 localhost\r\n",
}


@frozen
class Request:
    """A verb and how many bytes it is about."""

    verb: bytes
    count: int = 0

    def pack(self) -> bytes:
        """As it goes over the wire."""
        return _LAYOUT.pack(self.verb, self.count)

    @classmethod
    def unpack(cls, data: bytes) -> Request:
        """The request in exactly :data:`REQUEST_SIZE` bytes; ValueError for an unknown verb."""
        verb, count = _LAYOUT.unpack(data)
        if verb not in {SINK, SOURCE, ECHO}:
            raise ValueError(f"no such verb: {verb!r}")
        return cls(verb, count)
