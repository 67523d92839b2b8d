"""``protocol = connect``: through an HTTP proxy (RFC 9110 §9.3.6), or as a small one.

As a client, TLS runs inside the tunnel that the proxy makes. As a server, the request comes in
clear, its user and password included, TLS follows the answer, and only then is the destination
connected: nothing is reached for a client that has not proven who it is. That is why the answer
cannot tell the outcome.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import (
    DeadlineExceeded,
    LimitExceeded,
    OperatingError,
    PeerRefused,
    ProtocolViolation,
    Rejected,
)
from stunnel_tx.negotiation.credentials import Credentials, credentials, matching
from stunnel_tx.negotiation.destinations import DestinationPolicy, split_host_port
from stunnel_tx.negotiation.limits import LONG_LINE
from stunnel_tx.negotiation.peer import Endpoint
from stunnel_tx.negotiation.stages import Negotiation, Stages
from stunnel_tx.telemetry import events

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation, NegotiationOptions, Peer

__all__ = ["NEGOTIATION"]

#: ``HTTP/1.0`` or ``1.1``, three digits, and a reason that may be missing (RFC 9112 §4).
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: (.*))?", re.DOTALL)
_REQUEST: Final = re.compile(rb"([A-Za-z]{1,20}) ([!-~]+) HTTP/1\.[01]")

#: Characters of a proxy's words that go into the log.
_SHOWN: Final = 80

#: What a proxy may want instead (IANA, HTTP Authentication Schemes); other words of a 407 are not
#: repeated in the log, since they may be anything.
_SCHEMES: Final = frozenset(b"basic bearer digest negotiate ntlm".split())

#: RFC 7617 §2.1; the realm is for people.
_CHALLENGE: Final = b'Proxy-Authenticate: Basic realm="stunnel", charset="UTF-8"\r\n'

_REJECTED: Final = "CONNECT request rejected"


# --- client: R is the proxy ----------------------------------------------------------------


async def ask(conversation: Conversation) -> None:
    """Ask the proxy for a tunnel to ``protocolHost``."""
    proxy = conversation.far()
    known = credentials(conversation.options)
    await proxy.send(_request(conversation.options, known))
    status, reason = await _answer(proxy)
    # Informational answers may come first (RFC 9110 §15.2).
    while 100 <= status < 200 and status != 101:
        await _headers(proxy)
        status, reason = await _answer(proxy)
    if not 200 <= status < 300:
        offers = await _headers(proxy, b"proxy-authenticate") if status == 407 else []
        # A proxy may repeat in its words what it was sent.
        words = _refusal(status, "" if known is not None else reason, offers)
        raise PeerRefused(f"{_REJECTED}: {words}")
    # A tunnel begins right behind the headers, whatever they say of a body (§9.3.6).
    await _headers(proxy)
    conversation.note(events.CONNECT_ACCEPTED)


def _request(options: NegotiationOptions, known: Credentials | None) -> bytes:
    if options.authentication.lower() != "basic":
        raise OperatingError("protocolAuthentication: HTTP proxies are logged in to with basic")
    if options.host is None:
        raise OperatingError("protocol = connect needs protocolHost = HOST:PORT")
    try:
        host, port = split_host_port(options.host)
    except ValueError as error:
        raise OperatingError(f"protocolHost: {error}; write HOST:PORT") from error
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if known is not None:
        lines.append(f"Proxy-Authorization: Basic {_basic(*known)}")
    lines += options.headers
    if any(control in line for line in lines for control in "\r\n\0"):
        raise OperatingError("a protocol option contains a line break or NUL")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("utf-8", "surrogateescape")


def _basic(username: bytes, password: bytes) -> str:
    """Credentials of the Basic scheme (RFC 7617 §2)."""
    if b":" in username:
        raise OperatingError("protocolUsername must not contain a colon (RFC 7617 §2)")
    return b64encode(username + b":" + password).decode("ascii")


async def _answer(proxy: Peer) -> tuple[int, str]:
    """Status code and reason of an answer."""
    match = _STATUS.fullmatch(await proxy.read_line(LONG_LINE))
    if match is None:
        raise ProtocolViolation("the proxy's answer is not HTTP/1.x")
    reason = match[2] or b""
    return int(match[1]), reason[:_SHOWN].decode("ascii", "backslashreplace")


async def _headers(peer: Peer, wanted: bytes = b"") -> list[bytes]:
    """Take header lines up to the empty one; the values of those named *wanted*."""
    values = []
    while line := await peer.read_line(LONG_LINE):
        name, _, value = line.partition(b":")
        if wanted and name.strip().lower() == wanted:
            values.append(value.strip())
    return values


def _refusal(status: int, reason: str, offers: list[bytes]) -> str:
    text = f"the proxy answered {status} {reason}".rstrip()
    schemes = [offer.split(b" ", 1)[0].decode("ascii", "replace") for offer in offers]
    named = [scheme for scheme in schemes if scheme.lower().encode() in _SCHEMES]
    if named:
        text += f" (it offers {', '.join(named)})"
    return text


# --- server: L asks us ---------------------------------------------------------------------


async def serve(conversation: Conversation) -> None:
    """Take a request, and answer it before TLS starts."""
    local = conversation.local
    wanted = credentials(conversation.options)
    try:
        match = _REQUEST.fullmatch(await local.read_line(LONG_LINE))
        given = await _headers(local, b"proxy-authorization")
    except ProtocolViolation as error:
        await _refuse(conversation, b"400 Bad Request")
        raise ProtocolViolation(f"{_REJECTED}: {error}") from error
    except LimitExceeded:
        await _refuse(conversation, b"431 Request Header Fields Too Large")
        raise
    if match is None:
        await _refuse(conversation, b"400 Bad Request")
        raise ProtocolViolation(f"{_REJECTED}: it is not HTTP/1.x")
    if match[1] != b"CONNECT":
        await _refuse(conversation, b"405 Method Not Allowed", b"Allow: CONNECT\r\n")
        raise ProtocolViolation(f"{_REJECTED}: its method is another")
    if wanted is not None and not _logged_in(given, wanted):
        await _refuse(conversation, b"407 Proxy Authentication Required", _CHALLENGE)
        problem = "wrong user or password" if given else "user and password are missing"
        raise Rejected(f"{_REJECTED}: {problem}")
    conversation.destination = await _chosen(conversation, match[2])
    conversation.note(events.CONNECT_ACCEPTED)
    await local.send(b"HTTP/1.1 200 OK\r\n\r\n")
    conversation.state = True


def _logged_in(given: list[bytes], wanted: Credentials) -> bool:
    """True for one Proxy-Authorization with the Basic scheme and what is *wanted*."""
    scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
    if scheme.lower() != b"basic":
        return False
    try:
        pair = b64decode(token.strip(b" "), validate=True)
    except ValueError:
        return False
    username, colon, password = pair.partition(b":")
    return bool(colon) and matching((username, password), wanted)


async def _chosen(conversation: Conversation, authority: bytes) -> Endpoint:
    """The destination asked for, when it may be had so far as its spelling tells."""
    try:
        host, port = split_host_port(authority.decode("ascii"))
    except ValueError as error:
        await _refuse(conversation, b"400 Bad Request")
        raise ProtocolViolation(f"{_REJECTED}: its target: {error}") from error
    policy = conversation.options.extra.get("destinations")
    if not isinstance(policy, DestinationPolicy) or not (policy.only_listed and policy.permits):
        await _refuse(conversation, b"403 Forbidden")
        raise Rejected("protocol = connect serves nobody without protocolAllow")
    if not policy.conceivable(host, port):
        await _refuse(conversation, b"403 Forbidden")
        raise Rejected(f"{_REJECTED}: {host}:{port} is not listed in protocolAllow")
    return Endpoint(host, port)


async def _refuse(conversation: Conversation, status: bytes, more: bytes = b"") -> None:
    conversation.state = True
    await conversation.local.send(
        b"HTTP/1.1 " + status + b"\r\n" + more + b"Content-Length: 0\r\nConnection: close\r\n\r\n"
    )


async def refuse(conversation: Conversation, error: Exception) -> None:
    """Tell a client that was too slow; all other refusals have been told by then."""
    if conversation.state is None and isinstance(error, DeadlineExceeded):
        await _refuse(conversation, b"408 Request Timeout")


NEGOTIATION = Negotiation(
    name="connect",
    client=Stages(middle=ask),
    server=Stages(early=serve, chooses_destination=True, refuse=refuse),
    specification="RFC 9110 §9.3.6, RFC 7617",
)
