"""OpenSSL's errors as one line of text, in the form people's scripts look for."""

from __future__ import annotations

import os

from OpenSSL import SSL

__all__ = ["SUDDEN_END", "explain", "first_reason"]

#: What is said when the other end went away without a word of TLS.
SUDDEN_END = "Peer suddenly disconnected"

_LIBRARY = "SSL routines"

#: Errors printed of one queue: an attacker must not choose the length of a line.
MAX_ERRORS = 4

# Error codes of the reasons met most (OpenSSL's public sslerr.h: library 20, reason in the low
# bits). pyOpenSSL keeps the texts only.
_REASONS = {
    "no suitable key share": 101,
    "no suitable signature algorithm": 118,
    "certificate verify failed": 134,
    "digest check failed": 149,
    "https proxy request": 155,
    "http request": 156,
    "no protocols available": 191,
    "no shared cipher": 193,
    "packet length too long": 198,
    "peer did not return a certificate": 199,
    "no application protocol": 235,
    "unexpected message": 244,
    "unexpected record": 245,
    "unsupported protocol": 258,
    "wrong version number": 267,
    "decryption failed or bad record mac": 281,
    "unexpected eof while reading": 294,
    "no renegotiation": 339,
    "no shared signature algorithms": 376,
    "no shared groups": 410,
    "tlsv1 unrecognized name": 1112,
}

# An alert from the peer is reason 1000 plus its number (RFC 8446 §6). What stands before the
# word "alert" changes from one OpenSSL to the next: sslv3, ssl/tls, tls.
_ALERTS = {
    "unexpected message": 1010,
    "bad record mac": 1020,
    "record overflow": 1022,
    "handshake failure": 1040,
    "bad certificate": 1042,
    "unsupported certificate": 1043,
    "certificate revoked": 1044,
    "certificate expired": 1045,
    "certificate unknown": 1046,
    "illegal parameter": 1047,
    "unknown ca": 1048,
    "access denied": 1049,
    "decode error": 1050,
    "decrypt error": 1051,
    "protocol version": 1070,
    "insufficient security": 1071,
    "internal error": 1080,
    "user cancelled": 1090,
    "missing extension": 1109,
    "certificate required": 1116,
    "no application protocol": 1120,
}
_LIBRARY_NUMBER = 20 << 23

_REMEDIES = {
    "wrong version number": "the other side may not speak TLS on this port",
    "http request": "a plain HTTP request on a TLS port",
    "https proxy request": "a proxy request on a TLS port",
    "no shared cipher": "compare 'ciphers', 'curves' and the kind of certificate on both sides",
    "unsupported protocol": "compare 'sslVersion' on both sides",
    "tlsv1 alert protocol version": "compare 'sslVersion' on both sides",
    "tlsv1 alert unknown ca": "the other side does not trust the issuer of our certificate",
    "peer did not return a certificate": "the client needs 'cert' for this service",
    "tlsv13 alert certificate required": "the server wants a certificate: set 'cert'",
}


def explain(error: Exception) -> str:
    """*error* of a TLS call as one line, with a remedy where one is known.

    Takes :class:`OpenSSL.SSL.Error` with its subclasses, and whatever else a callback let
    through.
    """
    if isinstance(error, SSL.SysCallError):
        return _system_error(error)
    if isinstance(error, SSL.ZeroReturnError):
        return "Peer closed the connection (close_notify)"
    reasons = _reasons(error)
    if not reasons:
        return SUDDEN_END if isinstance(error, SSL.Error) else f"{type(error).__name__}: {error}"
    lines = [_line(library, reason) for library, reason in reasons]
    text = "; error queue: ".join(lines)
    for _, reason in reasons:
        if reason in _REMEDIES:
            return f"{text} ({_REMEDIES[reason]})"
    return text


def first_reason(error: SSL.Error) -> str:
    """The plain reason of the first error in the queue, for messages about the configuration."""
    reasons = _reasons(error)
    return reasons[0][1] if reasons else "unknown OpenSSL error"


def _reasons(error: Exception) -> list[tuple[str, str]]:
    """``(library, reason)`` of each queued error, oldest first."""
    queue = error.args[0] if error.args else ()
    if not isinstance(queue, (list, tuple)):
        return []
    return [(entry[0], entry[-1]) for entry in queue[:MAX_ERRORS] if isinstance(entry, tuple)]


def _line(library: str, reason: str) -> str:
    before, alert, name = reason.partition(" alert ")
    number = _ALERTS.get(name) if alert else _REASONS.get(before)
    code = ""
    if library == _LIBRARY and number is not None:
        code = f"{_LIBRARY_NUMBER + number:08X}:"
    return f"error:{code}{library}::{reason}"


def _system_error(error: SSL.SysCallError) -> str:
    number = error.args[0] if error.args else -1
    if not isinstance(number, int) or number <= 0:
        return SUDDEN_END
    return f"{os.strerror(number)} ({number})"
