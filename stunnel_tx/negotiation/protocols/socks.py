"""``protocol = socks``: SOCKS 4, 4a and 5 (RFC 1928, RFC 1929) inside TLS.

As a client, we speak SOCKS 5 for a local program that knows nothing of it. As a server, the
client's choice is judged and connected by the driver, and answered with the true outcome.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import (
    DeadlineExceeded,
    OperatingError,
    PeerRefused,
    ProtocolViolation,
    Rejected,
)
from stunnel_tx.negotiation.credentials import Credentials, credentials, matching
from stunnel_tx.negotiation.destinations import Unresolved, canonical, split_host_port
from stunnel_tx.negotiation.peer import Endpoint
from stunnel_tx.negotiation.socks_messages import (
    COMMAND_NOT_SUPPORTED,
    CONNECT,
    GENERAL_FAILURE,
    HOST_UNREACHABLE,
    NETWORK_UNREACHABLE,
    NOT_ALLOWED,
    REFUSED,
    REPLIES,
    RESOLVE,
    SUCCEEDED,
    TTL_EXPIRED,
    Request,
    address_bytes,
    read_reply,
    read_v4,
    read_v5,
    reply,
)
from stunnel_tx.negotiation.stages import Negotiation, Stages

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation, NegotiationOptions, Peer

__all__ = ["NEGOTIATION"]

_NO_AUTHENTICATION: Final = 0x00
_PASSWORD: Final = 0x02
_NONE_ACCEPTABLE: Final = 0xFF

#: Version of the user/password sub-negotiation (RFC 1929 §2).
_PASSWORD_VERSION: Final = 0x01

#: Longest user and password, in bytes (RFC 1929 §2).
LONGEST: Final = 255

_BY_ERRNO: Final = {
    errno.ENETUNREACH: NETWORK_UNREACHABLE,
    errno.ENETDOWN: NETWORK_UNREACHABLE,
    errno.EHOSTUNREACH: HOST_UNREACHABLE,
    errno.EHOSTDOWN: HOST_UNREACHABLE,
    errno.ECONNREFUSED: REFUSED,
    errno.ETIMEDOUT: TTL_EXPIRED,
}


def _credentials(options: NegotiationOptions) -> Credentials | None:
    """User and password of the service, None when it has none."""
    known = credentials(options)
    if known is not None and any(len(each) > LONGEST for each in known):
        raise OperatingError("protocolUsername and protocolPassword have 1 to 255 bytes (RFC 1929)")
    return known


# --- client: R is the SOCKS server ---------------------------------------------------------


async def ask(conversation: Conversation) -> None:
    """Ask for a connection to ``protocolHost``, or to where the local side was going."""
    server = conversation.far()
    wanted = _wanted(conversation)
    ours = _credentials(conversation.options)
    methods = [_NO_AUTHENTICATION] if ours is None else [_NO_AUTHENTICATION, _PASSWORD]
    await server.send(bytes((5, len(methods), *methods)))
    version, method = await server.read_exactly(2)
    if version != 5:
        raise ProtocolViolation("the SOCKS server answered in another version")
    if method == _NONE_ACCEPTABLE:
        raise PeerRefused("the SOCKS server wants another way to log in")
    if method not in methods:
        raise ProtocolViolation("the SOCKS server chose a method that was not offered")
    if method == _PASSWORD and ours is not None:
        await _log_in(server, *ours)
    await server.send(bytes((5, CONNECT, 0)) + wanted)
    code = await read_reply(server)
    if code != SUCCEEDED:
        words = REPLIES[code] if code < len(REPLIES) else f"reply code {code}"
        raise PeerRefused(f"SOCKS5 request failed: {words}")


def _wanted(conversation: Conversation) -> bytes:
    host = conversation.options.host
    if host is None and conversation.destination is not None:
        return address_bytes(conversation.destination.host, conversation.destination.port)
    if host is None:
        raise OperatingError("protocol = socks needs protocolHost = HOST:PORT")
    try:
        return address_bytes(*split_host_port(host))
    except ValueError as error:
        raise OperatingError(f"protocolHost: {error}; write HOST:PORT") from error


async def _log_in(server: Peer, username: bytes, password: bytes) -> None:
    """Log in as RFC 1929 §2 has it."""
    sizes = bytes((len(username),)), bytes((len(password),))
    await server.send(bytes((_PASSWORD_VERSION,)) + sizes[0] + username + sizes[1] + password)
    # The version of the answer differs between servers that otherwise keep to the RFC.
    _, status = await server.read_exactly(2)
    if status:
        raise PeerRefused("the SOCKS server refused user and password")


# --- server: L asks us, inside TLS ---------------------------------------------------------


async def serve(conversation: Conversation) -> None:
    """Find out what the client wants; its answer waits for the connection."""
    local = conversation.local
    wanted = _credentials(conversation.options)
    version = (await local.read_exactly(1))[0]
    if version == 4:
        request = await read_v4(local)
        if wanted is not None:
            # SOCKS 4 knows a user id and no password.
            await _refuse(conversation, request, NOT_ALLOWED)
            raise Rejected("SOCKS 4 from a client that has to log in")
    elif version == 5:
        await _agree(local, wanted)
        request = await read_v5(local)
    else:
        raise ProtocolViolation("the client does not speak SOCKS 4 or 5")
    conversation.state = request
    await _judge(conversation, request)
    if request.command == RESOLVE:
        await _resolve(conversation, request)
    else:
        conversation.destination = Endpoint(request.host, request.port)


async def _agree(local: Peer, wanted: Credentials | None) -> None:
    """Choose a method (RFC 1928 §3), and let the client log in where it has to."""
    count = (await local.read_exactly(1))[0]
    offered = await local.read_exactly(count)
    method = _NO_AUTHENTICATION if wanted is None else _PASSWORD
    if method not in offered:
        await local.send(bytes((5, _NONE_ACCEPTABLE)))
        raise ProtocolViolation("the SOCKS client offers no acceptable way to log in")
    await local.send(bytes((5, method)))
    if wanted is not None:
        await _check(local, wanted)


async def _check(local: Peer, wanted: Credentials) -> None:
    """User and password of the client (RFC 1929 §2)."""
    version, size = await local.read_exactly(2)
    if version != _PASSWORD_VERSION:
        raise ProtocolViolation("the SOCKS client logs in with an unknown version")
    given_name = await local.read_exactly(size)
    given_password = await local.read_exactly((await local.read_exactly(1))[0])
    matches = matching((given_name, given_password), wanted)
    await local.send(bytes((_PASSWORD_VERSION, not matches)))
    if not matches:
        raise Rejected("wrong user or password of a SOCKS client")


async def _judge(conversation: Conversation, request: Request) -> None:
    """Refuse what can be refused before anything is looked up."""
    if request.command not in {CONNECT, RESOLVE}:
        request.problem = COMMAND_NOT_SUPPORTED
    elif request.command == CONNECT and request.port == 0 and not request.problem:
        request.problem = GENERAL_FAILURE
    if request.problem:
        await _refuse(conversation, request, request.problem)
        raise ProtocolViolation(f"SOCKS request refused: {REPLIES[request.problem]}")


async def _resolve(conversation: Conversation, request: Request) -> None:
    """Answer Tor's RESOLVE with an address that a connection may have, too."""
    if conversation.resolve is None:
        await _refuse(conversation, request, COMMAND_NOT_SUPPORTED)
        raise ProtocolViolation("SOCKS request refused: names are not looked up here")
    try:
        found = await conversation.resolve(request.host)
    except (Rejected, PeerRefused) as error:
        await refuse(conversation, error)
        raise
    fitting = [host for host in found if request.version == 5 or canonical(host).version == 4]
    if not fitting:
        await _refuse(conversation, request, HOST_UNREACHABLE)
        raise Unresolved("the name has no IPv4 address")
    request.answered = True
    await conversation.local.send(reply(request, SUCCEEDED, Endpoint(fitting[0])))
    conversation.finished = True


async def answer(conversation: Conversation) -> None:
    """Tell the client that it is connected, and from where."""
    request: Request = conversation.state
    request.answered = True
    await conversation.local.send(reply(request, SUCCEEDED, conversation.bound))


async def refuse(conversation: Conversation, error: Exception) -> None:
    """Tell the client why its destination could not be connected."""
    request = conversation.state
    if isinstance(request, Request) and not request.answered:
        await _refuse(conversation, request, _code(error))


async def _refuse(conversation: Conversation, request: Request, code: int) -> None:
    request.answered = True
    await conversation.local.send(reply(request, code))


def _code(error: BaseException | None) -> int:
    """The reply code for the reason why there is no connection."""
    if isinstance(error, Rejected):
        return NOT_ALLOWED
    if isinstance(error, Unresolved):
        return HOST_UNREACHABLE
    if isinstance(error, DeadlineExceeded):
        return TTL_EXPIRED
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0, GENERAL_FAILURE)
    if isinstance(error, PeerRefused) and error.__cause__ is not None:
        return _code(error.__cause__)
    return GENERAL_FAILURE


NEGOTIATION = Negotiation(
    name="socks",
    client=Stages(late=ask),
    server=Stages(middle=serve, late=answer, chooses_destination=True, refuse=refuse),
    specification="RFC 1928, RFC 1929; SOCKS 4 and 4a",
)
