"""Text to value, for the options that say which peers are let in.

Each function takes the text right of ``=``, trimmed, and returns the value or raises
:class:`~stunnel_tx.configuration.values.InvalidValue`.
"""

from __future__ import annotations

import base64
import binascii
import re

from stunnel_tx.configuration.values import InvalidValue, quoted

__all__ = ["SYSTEM_STORE", "dns_pattern", "key_pin", "system_store", "uri_pattern"]

SYSTEM_STORE = "system"
"""The value of ``CAfile`` and ``CAstore`` that stands for the operating system's store."""

SHA256_BYTES = 32

_PIN_PREFIX = "sha256//"
_DNS = re.compile(r"(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?", re.ASCII)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+", re.ASCII)


def key_pin(given: str) -> tuple[bytes, ...]:
    """Read one digest of a SubjectPublicKeyInfo in base64 (RFC 7469 section 2.4).

    curl's way of writing it, with ``sha256//`` in front, is understood too.
    """
    try:
        digest = base64.b64decode(given.removeprefix(_PIN_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != SHA256_BYTES:
        raise InvalidValue(
            "Invalid SHA-256 digest of a public key",
            "write 44 characters of base64; openssl x509 -in CERT -noout -pubkey |"
            " openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64",
        )
    return (digest,)


def dns_pattern(given: str) -> tuple[str, ...]:
    """Read one DNS name of a rule; ``*`` may be its left-most label."""
    if not _DNS.fullmatch(given):
        raise InvalidValue(
            "Invalid DNS name", f"write a name like *.clients.example.org, not {quoted(given)}"
        )
    return (given,)


def uri_pattern(given: str) -> tuple[str, ...]:
    """Read one URI of a rule; whole segments of its path may be ``*``, the last one ``**``."""
    scheme, mark, rest = given.partition("://")
    authority, *segments = rest.split("/")
    starred = [each for each in segments[:-1] if "*" in each and each != "*"]
    starred += [each for each in segments[-1:] if "*" in each and each not in {"*", "**"}]
    misplaced = "*" in scheme or "*" in authority or (not mark and "*" in given)
    if not _URI.fullmatch(given) or starred or misplaced:
        raise InvalidValue(
            "Invalid URI",
            "write a URI like spiffe://example.org/ns/*/sa/web, * for one whole segment of the"
            f" path and ** for all that follow, not {quoted(given)}",
        )
    return (given,)


def system_store(given: str) -> str:
    """Read ``CAstore``: OpenSSL's stores cannot be reached, the system's can."""
    if given.lower() != SYSTEM_STORE:
        raise InvalidValue(
            "OpenSSL's stores cannot be reached through pyOpenSSL",
            f"use CAfile or CApath, or write CAstore = {SYSTEM_STORE} for the system's store",
        )
    return SYSTEM_STORE
