"""The ClientHello, parsed from bytes that are still in the socket (RFC 8446 §4.1.2).

Nothing here reads or keeps anything: :func:`parse` looks at what has been peeked so far and
answers with the hello, with the number of bytes worth waiting for, or with :class:`NotTLS`.
It knows the structure; whether a handshake can come of it is for OpenSSL to say.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Final, NamedTuple

from attrs import frozen

from stunnel_tx.errors import ProtocolViolation

__all__ = ["MAX_HELLO", "ClientHello", "NeedMore", "NotTLS", "parse"]

#: Bytes on the wire, record headers included, that a hello may take. What is peeked stays in the
#: kernel's receive buffer, whose window starts at 64 KiB on Linux: a longer hello might never
#: be seen whole. Real ones have 200 to 2,500 bytes, with two post-quantum key shares 5,000.
MAX_HELLO: Final = 32 * 1024

#: Records a hello may be spread over: each is looked at again whenever more has come.
MAX_RECORDS: Final = 64

#: Largest plaintext of one record (RFC 8446 §5.1).
MAX_RECORD: Final = 16384

_RECORD_HEADER: Final = 5
_MESSAGE_HEADER: Final = 4
_HANDSHAKE: Final = 22
_ALERT: Final = 21
_CLIENT_HELLO: Final = 1
_LONGEST_SESSION_ID: Final = 32

_SERVER_NAME: Final = 0
_ALPN: Final = 16

_TWO_NUMBERS: Final = struct.Struct("!HH").unpack_from

#: The usual start: a record's type, major version and length, and the message's type with its
#: length.
_START: Final = struct.Struct("!BBxHI")

#: Version, random, and three empty vectors (RFC 8446 §4.1.2), in bytes.
_SHORTEST: Final = 38

_PLAIN_PROTOCOLS: Final = (
    (b"SSH-", "SSH"),
    (b"PROXY ", "PROXY protocol header"),
    (b"\r\n\r\n\0\r\nQUIT\n", "PROXY protocol version 2 header"),
    (b"EHLO ", "SMTP"),
    (b"HELO ", "SMTP"),
    (b"\x03\0\0", "RDP"),
    (b"\x05", "SOCKS5"),
    *(
        (verb + b" ", "HTTP request")
        for verb in (
            b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE",
            b"PATCH", b"PRI",
        )
    ),
)  # fmt: skip


class NotTLS(ProtocolViolation):
    """These bytes are no ClientHello and no further ones can make them one."""


@frozen
class NeedMore:
    """Not enough yet: ``at_least`` is the total number of bytes to peek before trying again."""

    at_least: int


class ClientHello(NamedTuple):
    """What a client asks for; one is made per connection, and a tuple is the cheapest value.

    ``server_name`` is the host name of RFC 6066 §3 as sent, ``None`` without one and for the
    IP addresses some clients put there. ``alpn`` are the protocol names of RFC 7301, and
    ``length`` is how many bytes the hello takes on the wire.
    """

    server_name: str | None
    alpn: tuple[bytes, ...]
    length: int


def parse(data: bytes | memoryview) -> ClientHello | NeedMore:
    """The hello at the start of *data*, or how much more is needed to see it.

    Raises :class:`NotTLS` as soon as it is certain that there is none.
    """
    # Slices of bytes are cheaper than those of a view, and a hello is short.
    raw = data if isinstance(data, bytes) else bytes(data)
    size = len(raw)
    if size >= _START.size:
        kind, major, length, message = _START.unpack_from(raw)
        width = message - (_CLIENT_HELLO << 24)
        end = _START.size + width
        usual = kind == _HANDSHAKE and major == 3 and _SHORTEST <= width <= MAX_HELLO
        if usual and width + _MESSAGE_HEADER <= length <= MAX_RECORD:
            return NeedMore(end) if size < end else _hello(raw[_START.size : end], end)
    if size and raw[0] != _HANDSHAKE:
        raise NotTLS(_other_protocol(raw))
    if size < _RECORD_HEADER:
        if not size:
            return NeedMore(1)  # the first byte already tells most strangers
        if size > 1 and raw[1] != 3:
            raise NotTLS(_other_protocol(raw))
        return NeedMore(_RECORD_HEADER)
    return _parse_fragments(raw)


def _parse_fragments(raw: bytes) -> ClientHello | NeedMore:
    """The general case: the hello is spread over several records, is cut, or is none."""
    size = len(raw)
    pieces: list[bytes] = []
    gathered = 0
    wanted = _MESSAGE_HEADER
    at = 0
    for _ in range(MAX_RECORDS):
        if size < at + _RECORD_HEADER:
            return NeedMore(_bounded(at + _RECORD_HEADER))
        length = _record_length(raw, at)
        at += _RECORD_HEADER
        piece = raw[at : at + length]
        pieces.append(piece)
        gathered += len(piece)
        if wanted == _MESSAGE_HEADER and gathered >= _MESSAGE_HEADER:
            wanted = _message_length(b"".join(pieces)[:_MESSAGE_HEADER])
        elif gathered and pieces[0][0] != _CLIENT_HELLO:
            raise NotTLS("a handshake message that is not a ClientHello")
        if gathered >= wanted > _MESSAGE_HEADER:
            message = b"".join(pieces)
            return _hello(message[_MESSAGE_HEADER:wanted], at + length - (gathered - wanted))
        if len(piece) < length:
            rest = len(piece) + wanted - gathered
            if rest > length:  # then the message goes on in the next record
                rest = length + _RECORD_HEADER + 1
            return NeedMore(_bounded(at + rest))
        at += length
    raise NotTLS(f"a ClientHello in more than {MAX_RECORDS} records")


def _record_length(raw: bytes, at: int) -> int:
    """The payload length of the record that starts at *at*; its header is there."""
    kind = raw[at]
    if kind != _HANDSHAKE:
        raise NotTLS("an alert" if kind == _ALERT else f"a record of type {kind} in a ClientHello")
    # RFC 8446 §5.1: the minor version must be ignored; the major one has always been 3.
    if raw[at + 1] != 3:
        raise NotTLS(f"record version {raw[at + 1]}.{raw[at + 2]}")
    length = raw[at + 3] << 8 | raw[at + 4]
    # RFC 8446 §5.1: no empty handshake fragments; nothing above 2^14 bytes.
    if not 0 < length <= MAX_RECORD:
        raise NotTLS(f"a record of {length} bytes")
    return length


def _message_length(header: bytes) -> int:
    """Length of the handshake message with its *header*, which must be a ClientHello's."""
    if header[0] != _CLIENT_HELLO:
        raise NotTLS(f"handshake message {header[0]} instead of a ClientHello")
    length = int.from_bytes(header[1:], "big")
    if length > MAX_HELLO:
        raise NotTLS(f"a ClientHello of {length} bytes")
    if length < _SHORTEST:
        raise NotTLS(f"a ClientHello of {length} bytes")
    return _MESSAGE_HEADER + length


def _bounded(wanted: int) -> int:
    if wanted > MAX_HELLO:
        raise NotTLS(f"a ClientHello of more than {MAX_HELLO} bytes")
    return wanted


def _hello(body: bytes, length: int) -> ClientHello:
    """The fields of a whole ClientHello; *body* is the message without its header."""
    try:
        return _fields(body, length)
    except IndexError as error:
        raise NotTLS("malformed ClientHello: a length reaches beyond the end") from error


def _fields(body: bytes, length: int) -> ClientHello:
    if body[34] > _LONGEST_SESSION_ID:
        raise NotTLS("malformed ClientHello: session id too long")
    at = 35 + body[34]
    at += 2 + (body[at] << 8 | body[at + 1])
    at += 1 + body[at]
    extensions = _extensions(body, at)
    name, alpn = extensions.get(_SERVER_NAME), extensions.get(_ALPN)
    return ClientHello(
        None if name is None else _server_name(_extension(body, name)),
        () if alpn is None else _protocols(_extension(body, alpn)),
        length,
    )


def _extension(body: bytes, at: int) -> bytes:
    """What is in the extension that starts *at*."""
    _kind, width = _TWO_NUMBERS(body, at)
    return body[at + 4 : at + 4 + width]


def _extensions(body: bytes, at: int) -> dict[int, int]:
    """Where each extension starts, by number (RFC 8446 §4.2); *at* is where their vector starts.

    A hello of TLS 1.2 and before may end without them (RFC 5246 §7.4.1.2).
    """
    size = len(body)
    found: dict[int, int] = {}
    if at == size:
        return found
    if at + 2 + (body[at] << 8 | body[at + 1]) != size:
        raise NotTLS("malformed ClientHello: wrong length of the extensions")
    at += 2
    number = 0
    try:
        while at < size:
            kind, width = _TWO_NUMBERS(body, at)
            found[kind] = at
            at += 4 + width
            number += 1
    except struct.error:
        at = size + 1
    # A second extension of a kind could be the one that the library goes by.
    if at != size or number != len(found):
        raise NotTLS("malformed ClientHello: cut or repeated extension")
    return found


def _server_name(data: bytes) -> str | None:
    """The one host name of the extension (RFC 6066 §3); ``None`` for an IP address.

    An extension with several names, or with one that is no ASCII text, is refused: the library
    could read another name from it than we do.
    """
    size = len(data)
    if size < 6 or data[0] << 8 | data[1] != size - 2 or data[2] != 0:
        raise NotTLS("malformed ClientHello: malformed server_name")
    name = data[5:]
    if data[3] << 8 | data[4] != len(name) or len(name) > 255:
        raise NotTLS("malformed ClientHello: malformed server_name")
    # Printable ASCII without blanks; NUL and control characters are attacks.
    if not name.isascii() or not (text := name.decode("ascii")).isprintable() or " " in text:
        raise NotTLS("malformed ClientHello: server_name is not a host name")
    if text[-1].isdigit() or ":" in text:
        try:
            ip_address(text.strip("[]"))
        except ValueError:
            return text
        return None
    return text


def _protocols(data: bytes) -> tuple[bytes, ...]:
    """The names of the ALPN extension (RFC 7301 §3.1)."""
    size = len(data)
    if size < 4 or data[0] << 8 | data[1] != size - 2:
        raise NotTLS("malformed ClientHello: malformed ALPN")
    names = []
    at = 2
    while at < size:
        stop = at + 1 + data[at]
        if stop > size or stop == at + 1:
            raise NotTLS("malformed ClientHello: malformed ALPN")
        names.append(data[at + 1 : stop])
        at = stop
    return tuple(names)


def _other_protocol(raw: bytes) -> str:
    """What *raw* looks like, in words for the log."""
    for start, name in _PLAIN_PROTOCOLS:
        if raw.startswith(start) or (len(raw) > 2 and start.startswith(raw)):
            return f"{name} on a TLS port"
    # The two-byte header of SSLv2 has its highest bit set; message type 1 follows.
    if raw[0] & 0x80 and len(raw) > 2 and raw[2] == 1:
        return "SSLv2 ClientHello, which is not supported"
    if raw[0] == _ALERT:
        return "a TLS alert instead of a ClientHello"
    if raw[:16].isascii() and raw[:16].decode("ascii").rstrip("\r\n").isprintable():
        return "plain text on a TLS port"
    return "not a TLS record"
