"""Pre-shared keys: the file they are kept in, and the look-up of an identity.

One ``identity:key`` per line, split at the first colon; empty lines are skipped, there are no
comments and nothing is trimmed. A key of hexadecimal byte pairs, colons allowed between them,
is binary; any other is taken as it stands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from stunnel_tx.telemetry.events import PSK_RETRIEVED, PSK_SECRET
from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.pem import read_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stunnel_tx.telemetry.log import Scope

__all__ = [
    "MAX_IDENTITY",
    "MAX_KEY",
    "MIN_KEY",
    "Secret",
    "choose_secret",
    "keys_by_identity",
    "load_secrets",
    "parse_secrets",
    "shown_identity",
]

#: Bytes of an identity: OpenSSL hands its callbacks 256 with the NUL at the end.
MAX_IDENTITY: Final = 255
#: Bytes of a key: below 16 it could be guessed (RFC 9257 §4), above 512 OpenSSL has no room.
MIN_KEY: Final = 16
MAX_KEY: Final = 512

_HEX_PAIRS: Final = re.compile(rb"(?:[0-9A-Fa-f]{2}:?)*[0-9A-Fa-f]{2}")


@frozen
class Secret:
    """One identity with its key; ``line`` counts from 1, ``hexadecimal`` is how it was written."""

    identity: bytes
    key: bytes = field(repr=False)
    line: int
    hexadecimal: bool


def parse_secrets(data: bytes) -> tuple[Secret, ...]:
    """The secrets in *data*, in the order of their lines.

    Raises ``ValueError``, with the number of the line, for one that cannot be used.
    """
    secrets: list[Secret] = []
    seen: set[bytes] = set()
    for number, raw in enumerate(data.split(b"\n"), 1):
        line = raw.removesuffix(b"\r")
        if not line:
            continue
        try:
            secret = _parse_line(line, number)
        except ValueError as error:
            raise ValueError(f"PSKsecrets line {number}: {error}") from None
        if secret.identity in seen:
            raise ValueError(f"PSKsecrets line {number}: this identity has a key already")
        seen.add(secret.identity)
        secrets.append(secret)
    if not secrets:
        raise ValueError("no identity:key line found")
    return tuple(secrets)


def _parse_line(line: bytes, number: int) -> Secret:
    identity, colon, text = line.partition(b":")
    if not colon:
        raise ValueError("Not in the form identity:key")
    if not identity or len(identity) > MAX_IDENTITY:
        raise ValueError(f"Identity not between 1 and {MAX_IDENTITY} bytes long")
    # OpenSSL passes identities as C strings: one with a NUL would be cut there.
    if b"\0" in identity:
        raise ValueError("Identity with a NUL byte")
    hexadecimal = _HEX_PAIRS.fullmatch(text) is not None
    key = bytes.fromhex(text.replace(b":", b"").decode("ascii")) if hexadecimal else text
    if len(key) < MIN_KEY:
        raise ValueError(f"Key shorter than {MIN_KEY} bytes")
    if len(key) > MAX_KEY:
        raise ValueError(f"Key longer than {MAX_KEY} bytes")
    return Secret(identity, key, number, hexadecimal)


def load_secrets(path: str, scope: Scope) -> tuple[Secret, ...]:
    """Read the secrets file *path*; raises :class:`FileUnusable`."""
    try:
        secrets = parse_secrets(read_file(path))
    except ValueError as error:
        raise FileUnusable(path, f"Failed to read PSK secrets: {error}") from error
    for secret in secrets:
        kind = "hexadecimal" if secret.hexadecimal else "ASCII"
        scope(PSK_SECRET, secret.line, len(secret.key), kind, shown_identity(secret.identity))
    scope(PSK_RETRIEVED, len(secrets))
    return secrets


def choose_secret(secrets: tuple[Secret, ...], identity: str | None, path: str) -> Secret:
    """The secret a client uses: that of *identity*, else the first.

    Raises :class:`FileUnusable` when the file *path* has no such identity.
    """
    if identity is None:
        return secrets[0]
    wanted = identity.encode("utf-8", "surrogateescape")
    for secret in secrets:
        if secret.identity == wanted:
            return secret
    problem = f'No key found for the specified PSK identity: "{identity}"'
    raise FileUnusable(path, problem, "PSKidentity must be one of the identities in the file")


def keys_by_identity(secrets: tuple[Secret, ...]) -> Mapping[bytes, bytes]:
    """The look-up table of a server."""
    return {secret.identity: secret.key for secret in secrets}


def shown_identity(identity: bytes) -> str:
    """*identity* for the log: text where it is text, else its length alone."""
    try:
        text = identity.decode("utf-8")
    except UnicodeDecodeError:
        return f"({len(identity)} bytes that are no text)"
    return "".join(each if each.isprintable() else "?" for each in text)
