"""MySQL and MariaDB (client/server protocol, "Connection Phase").

::

    client mode                                   server mode
    R -> greeting with TLS                        R -> greeting
    L <- the same without TLS                     L <- the same with TLS
    L -> response, its first 32 bytes read        L -> SSLRequest (32 bytes)
    R <- those 32 bytes as SSLRequest             TLS on L
    TLS on R                                      L -> response, number 2
    R <- response, number 2                       R <- response, number 1, without TLS
    login, renumbered, until OK or ERR            login, renumbered, until OK or ERR

The greeting's nonce and version are what a login is made from, so they have to be passed on
before TLS, in MySQL itself as here; they are checked and bounded. A server goes by the
capabilities in SSLRequest, not by those inside TLS: hence the local client's own are sent.
A MariaDB client that verifies a self-signed certificate by the password's hash (11.4) cannot do
so here, since the server behind does not know the certificate: give it one it can verify.
After OK the sequence numbers of both sides start again at 0, and everything is relayed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import define

from stunnel_tx.errors import PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.mysql_login import SHA256_PLUGIN, PlainClient, TLSClient, log_in
from stunnel_tx.negotiation.mysql_packets import (
    CANNOT_CONNECT,
    FIXED,
    HANDSHAKE_ERROR,
    PROTOCOL_41,
    SSL,
    TLS_REQUIRED,
    Greeting,
    Link,
    error,
    packet,
    parse_greeting,
)
from stunnel_tx.negotiation.refusing import refusing, tell
from stunnel_tx.negotiation.stages import Negotiation, Stages

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation

#: Plugins a greeting must not propose, since a client would answer with the password itself. A
#: server that wants one of them for an account says so later, inside TLS.
REVEALING: Final = frozenset({SHA256_PLUGIN, b"mysql_clear_password"})
HARMLESS: Final = b"mysql_native_password"

#: The RSA key of a client without TLS: see :mod:`stunnel_tx.negotiation.mysql_login`.
NO_RSA_KEY: Final = (
    2061,
    b"HY000",
    b"Authentication requires secure connection: connect through a UNIX socket",
)


@define
class Progress:
    """What the stages leave for each other."""

    local: Link
    remote: Link
    nonce: bytes = b""
    size: int = 0
    fixed: bytes = b""
    problem: tuple[int, bytes, bytes] = HANDSHAKE_ERROR


async def refuse(conversation: Conversation, _error: Exception) -> None:
    """An ERR packet with the number that the client expects."""
    progress = conversation.state
    if not isinstance(progress, Progress):
        await tell(conversation, packet(error(CANNOT_CONNECT, greeted=False), 0))
        return
    # Once greeted, the client speaks before it listens.
    sequence = progress.local.sequence
    greeted = sequence > 0
    if sequence == 1:
        sequence = 2
    await tell(conversation, packet(error(progress.problem, greeted=greeted), sequence))


async def greet_plain(conversation: Conversation) -> None:
    """Client mode, before TLS: learn from the client what to ask the server for."""
    progress, greeting = await _greeting(conversation)
    if not greeting.capabilities & SSL:
        raise PeerRefused("MySQL server does not support TLS")
    await _greet(progress, greeting, tls=False)
    capabilities = await _fixed_part(progress)
    if progress.size <= FIXED or capabilities & SSL:
        raise ProtocolViolation("MySQL client asks for TLS that was not offered")
    progress.problem = CANNOT_CONNECT
    fixed = _with_capabilities(progress.fixed, capabilities | SSL)
    await progress.remote.send(fixed)
    progress.fixed = fixed


async def log_in_behind_tls(conversation: Conversation) -> None:
    """Client mode, inside TLS: the client's whole response, and the login."""
    progress = _resume(conversation)
    local, remote = progress.local, progress.remote
    await remote.send(progress.fixed + await local.rest(progress.size - FIXED))
    try:
        await log_in(local, remote, PlainClient(remote).answer)
    except PeerRefused:
        progress.problem = NO_RSA_KEY
        raise


async def greet_for_tls(conversation: Conversation) -> None:
    """Server mode, before TLS: the client has to ask for TLS before it says who it is."""
    progress, greeting = await _greeting(conversation)
    await _greet(progress, greeting, tls=True)
    capabilities = await _fixed_part(progress)
    if progress.size > FIXED or not capabilities & SSL:
        # Read to its end, so that the client gets to see the refusal rather than a reset.
        await progress.local.rest(progress.size - FIXED)
        progress.problem = TLS_REQUIRED
        raise ProtocolViolation("MySQL client did not request TLS")
    conversation.refused = True  # it waits for TLS


async def log_in_without_tls(conversation: Conversation) -> None:
    """Server mode, inside TLS: the client's response, to a server that knows of no TLS."""
    progress = _resume(conversation)
    local, remote = progress.local, progress.remote
    response = await local.receive()
    capabilities = int.from_bytes(response[:4], "little")
    if len(response) <= FIXED or not capabilities & PROTOCOL_41:
        raise ProtocolViolation("malformed MySQL response")
    progress.problem = CANNOT_CONNECT
    await remote.send(_with_capabilities(response, capabilities & ~SSL))
    bound = conversation.bound
    # Over a UNIX socket the server wants the password as it is, as over TLS.
    trusting = bound is not None and bound.port == 0
    answers = PlainClient(remote) if trusting else TLSClient(remote, progress.nonce)
    await log_in(local, remote, answers.answer)


async def _greeting(conversation: Conversation) -> tuple[Progress, Greeting]:
    """The server's greeting, and the two counts that begin with it."""
    remote = Link(conversation.far())
    progress = Progress(Link(conversation.local), remote, problem=CANNOT_CONNECT)
    conversation.state = progress
    greeting = parse_greeting(await remote.receive())
    progress.nonce = greeting.nonce
    return progress, greeting


async def _greet(progress: Progress, greeting: Greeting, *, tls: bool) -> None:
    plugin = HARMLESS if greeting.plugin in REVEALING else greeting.plugin
    await progress.local.send(greeting.offering(tls=tls, plugin=plugin).encode())
    progress.problem = HANDSHAKE_ERROR


async def _fixed_part(progress: Progress) -> int:
    """Read the client's first packet up to what an SSLRequest has; its capabilities."""
    local = progress.local
    progress.size = await local.receive_size()
    if progress.size < FIXED:
        raise ProtocolViolation("MySQL response without protocol 4.1")
    progress.fixed = await local.rest(FIXED)
    capabilities = int.from_bytes(progress.fixed[:4], "little")
    if not capabilities & PROTOCOL_41:
        raise ProtocolViolation("MySQL response without protocol 4.1")
    return capabilities


def _with_capabilities(response: bytes, capabilities: int) -> bytes:
    return capabilities.to_bytes(4, "little") + response[4:]


def _resume(conversation: Conversation) -> Progress:
    """The progress so far, on what the two sides have become."""
    progress: Progress = conversation.state
    progress.local.peer = conversation.local
    progress.remote.peer = conversation.far()
    return progress


NEGOTIATION = Negotiation(
    name="mysql",
    client=Stages(
        middle=refusing(greet_plain, refuse),
        late=refusing(log_in_behind_tls, refuse),
        refuse=refuse,
    ),
    server=Stages(
        middle=refusing(greet_for_tls, refuse),
        late=refusing(log_in_without_tls, refuse),
        connects_first=True,
        refuse=refuse,
    ),
    specification="MySQL client/server protocol, connection phase; MariaDB protocol, connecting",
)
