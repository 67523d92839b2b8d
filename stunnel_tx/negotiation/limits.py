"""Bounds on what a peer may make a negotiation read; the driver enforces them all.

The time of a whole negotiation is bounded as well: TIMEOUTbusy, as one absolute deadline for
everything before the relay, not a time for each wait. Only where a client inside TLS may think
before it goes on, TIMEOUTidle takes its place.
"""

from __future__ import annotations

from typing import Final

#: Longest line, terminator included, in bytes. SMTP replies have at most 512 (RFC 5321
#: §4.5.3.1.5); greetings of real servers with long capability lists stay far below this.
LINE: Final = 2048

#: Longest line where a protocol allows more: IMAP capability lines, HTTP headers.
LONG_LINE: Final = 8192

#: Lines read from one peer in one negotiation.
LINES: Final = 100

#: Bytes read from one peer in one negotiation, binary messages included.
BYTES: Final = 65536

#: Seconds a server-mode STARTTLS service waits for a client that starts TLS unasked
#: (implicit TLS on the same port) before it sends its greeting.
IMPLICIT_TLS_WAIT: Final = 0.2

#: First byte of every TLS handshake record (RFC 8446 §5.1).
TLS_HANDSHAKE: Final = 0x16
