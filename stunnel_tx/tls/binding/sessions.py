"""Sessions as bytes: what pyOpenSSL keeps to itself about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stunnel_tx.tls.binding.capabilities import private_library

if TYPE_CHECKING:
    from OpenSSL import SSL

__all__ = ["session_id"]

#: Elements of OpenSSL's SSL_SESSION structure in front of the session id.
_BEFORE_ID = 3
_LONG_FORM = 0x80


def session_id(session: SSL.Session) -> bytes | None:
    """The id of *session*, empty for one that cannot be resumed; ``None`` if nobody can tell.

    A client makes an id for each ticket it gets; in TLS 1.3 a session has none before.
    """
    found = private_library()
    pointer = getattr(session, "_session", None)
    if found is None or pointer is None or not hasattr(found[0], "i2d_SSL_SESSION"):
        return None
    lib, ffi = found
    size = lib.i2d_SSL_SESSION(pointer, ffi.NULL)
    if size <= 0:
        lib.ERR_clear_error()
        return b""
    room = ffi.new("unsigned char[]", size)
    lib.i2d_SSL_SESSION(pointer, ffi.new("unsigned char **", room))
    return _id_in(bytes(ffi.buffer(room, size)))


def _id_in(data: bytes) -> bytes:
    """The fourth element of the SEQUENCE *data*: OpenSSL's own DER, well-formed."""
    start, _ = _element(data, 0)
    for _ in range(_BEFORE_ID):
        content, length = _element(data, start)
        start = content + length
    content, length = _element(data, start)
    return data[content : content + length]


def _element(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at *at* starts, and its length (X.690 §8.1.3)."""
    length = data[at + 1]
    if length < _LONG_FORM:
        return at + 2, length
    size = length - _LONG_FORM
    return at + 2 + size, int.from_bytes(data[at + 2 : at + 2 + size], "big")
