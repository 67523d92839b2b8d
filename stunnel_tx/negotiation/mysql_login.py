"""The login of MySQL between two sides that differ in TLS.

Most plugins do not care (mysql_native_password, client_ed25519, parsec, PAM): their packets are
passed on, with each side's own sequence numbers. The two SHA-256 plugins do: where TLS is, the
client sends the password as it is; where there is none, the server gives it an RSA key.
"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import LimitExceeded, PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.limits import LINES
from stunnel_tx.negotiation.mysql_packets import (
    ERROR,
    MORE_DATA,
    OK,
    SWITCH,
    Link,
    parse_switch,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    #: Passes the client's answer to a server's packet on, or does something better.
    Answer = Callable[[bytes, bytes], Awaitable[None]]

#: The nonce a password is mixed with, in bytes (SCRAMBLE_LENGTH).
NONCE: Final = 20

#: caching_sha2_password: the hash was right; the whole password is needed.
FAST_SUCCESS: Final = bytes((MORE_DATA, 3))
FULL_LOGIN: Final = bytes((MORE_DATA, 4))

SHA256_PLUGIN: Final = b"sha256_password"


async def log_in(client: Link, server: Link, answer: Answer) -> None:
    """Pass the server's packets on until it has said OK or ERR.

    *answer* takes each packet of the server that wants a reply, with the client's reply.
    """
    for _ in range(LINES):
        said = await server.receive()
        if not said:
            raise ProtocolViolation("empty MySQL packet from the server")
        await client.send(said)
        if said[0] in {OK, ERROR}:
            return
        if said != FAST_SUCCESS:
            await answer(said, await client.receive())
    raise LimitExceeded("MySQL packets in a login", LINES)


def key_request(said: bytes) -> bytes:
    """What a client without TLS may reply to *said* to get the server's RSA key, if anything."""
    if said == FULL_LOGIN:
        return b"\x02"
    if said[0] == SWITCH and parse_switch(said)[0] == SHA256_PLUGIN:
        return b"\x01"
    return b""


class PlainClient:
    """Answers of a client without TLS, for a server with TLS."""

    def __init__(self, server: Link) -> None:
        self._server = server

    async def answer(self, said: bytes, reply: bytes) -> None:
        """Pass *reply* on, unless it asks for an RSA key.

        The server would take that for the password.
        """
        if reply and reply == key_request(said):
            raise PeerRefused(
                "the MySQL client asks for an RSA key, but the server behind TLS has none: "
                "let the client connect through a UNIX socket"
            )
        await self._server.send(reply)


class TLSClient:
    """Answers of a client with TLS, for a server that has none."""

    def __init__(self, server: Link, nonce: bytes) -> None:
        self._server = server
        self._nonce = nonce[:NONCE]

    async def answer(self, said: bytes, reply: bytes) -> None:
        """Pass *reply* on; a password as it is goes encrypted with the server's RSA key."""
        if said[0] == SWITCH:
            nonce = parse_switch(said)[1]
            self._nonce = nonce[:NONCE] or self._nonce
        request = key_request(said)
        # A lone NUL is the empty password, which needs no key.
        if not request or len(reply) < 2 or reply[-1]:
            await self._server.send(reply)
            return
        await self._server.send(request)
        key = await self._server.receive()
        if key[:1] != bytes((MORE_DATA,)):
            raise PeerRefused("MySQL server gives no RSA key for the password")
        await self._server.send(encrypt(reply, self._nonce, key[1:]))


def encrypt(password: bytes, nonce: bytes, pem: bytes) -> bytes:
    """*password*, its NUL included, mixed with *nonce*, for the RSA key in *pem* (OAEP, SHA-1).

    Raises :class:`~stunnel_tx.errors.ProtocolViolation` when that is no RSA key, or one too
    small for the password. OAEP with SHA-1 is what the protocol prescribes.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if len(nonce) != NONCE:
        raise ProtocolViolation("MySQL nonce of another length")
    mixed = bytes(one ^ other for one, other in zip(password, cycle(nonce), strict=False))
    padding = OAEP(mgf=MGF1(SHA1()), algorithm=SHA1(), label=None)  # noqa: S303 - see above
    try:
        key = load_pem_public_key(pem)
        if isinstance(key, RSAPublicKey):
            return key.encrypt(mixed, padding)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ProtocolViolation("MySQL server's RSA key cannot be used") from error
    raise ProtocolViolation("MySQL server's key is no RSA key")
