"""``protocol = connect``: through an HTTP proxy (RFC 9110 §9.3.6), or as a small one.

As a client, TLS runs inside the tunnel that the proxy makes. As a server, the request comes in
clear, TLS follows the answer, and only then is the destination connected: nothing is reached
for a client that has not proven who it is. That is why the answer cannot tell the outcome.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import (
    DeadlineExceeded,
    LimitExceeded,
    OperatingError,
    PeerRefused,
    ProtocolViolation,
    Rejected,
)
from stunnel_tx.negotiation.destinations import DestinationPolicy, split_host_port
from stunnel_tx.negotiation.limits import LONG_LINE
from stunnel_tx.negotiation.peer import Endpoint
from stunnel_tx.negotiation.stages import Negotiation, Stages
from stunnel_tx.telemetry import events

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation, NegotiationOptions, Peer

__all__ = ["NEGOTIATION", "NTLM_REFUSED"]

NTLM_REFUSED: Final = (
    "NTLM is not supported: what HTTP proxies take of it rests on MD4 and single DES or MD5; "
    "use protocolAuthentication = basic"
)

#: ``HTTP/1.0`` or ``1.1``, three digits, and a reason that may be missing (RFC 9112 §4).
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: (.*))?", re.DOTALL)
_REQUEST: Final = re.compile(rb"([A-Za-z]{1,20}) ([!-~]+) HTTP/1\.[01]")

#: Characters of a proxy's words that go into the log.
_SHOWN: Final = 80


# --- client: R is the proxy ----------------------------------------------------------------


async def ask(conversation: Conversation) -> None:
    """Ask the proxy for a tunnel to ``protocolHost``."""
    proxy = conversation.far()
    await proxy.send(_request(conversation.options))
    status, reason = await _answer(proxy)
    # Informational answers may come first (RFC 9110 §15.2).
    while 100 <= status < 200 and status != 101:
        await _headers(proxy)
        status, reason = await _answer(proxy)
    if not 200 <= status < 300:
        offers = await _headers(proxy, b"proxy-authenticate") if status == 407 else []
        conversation.note(events.CONNECT_REJECTED)
        raise PeerRefused(_refusal(status, reason, offers))
    # A tunnel begins right behind the headers, whatever they say of a body (§9.3.6).
    await _headers(proxy)
    conversation.note(events.CONNECT_ACCEPTED)


def _request(options: NegotiationOptions) -> bytes:
    if options.authentication.lower() == "ntlm":
        raise OperatingError(NTLM_REFUSED)
    if options.host is None:
        raise OperatingError("protocol = connect needs protocolHost = HOST:PORT")
    try:
        host, port = split_host_port(options.host)
    except ValueError as error:
        raise OperatingError(f"protocolHost: {error}; write HOST:PORT") from error
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if options.username is not None and options.password is not None:
        lines.append(f"Proxy-Authorization: Basic {_basic(options.username, options.password)}")
    lines += options.headers
    if any(control in line for line in lines for control in "\r\n\0"):
        raise OperatingError("a protocol option contains a line break or NUL")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("utf-8", "surrogateescape")


def _basic(username: str, password: str) -> str:
    """Credentials of the Basic scheme (RFC 7617 §2), in UTF-8."""
    if ":" in username:
        raise OperatingError("protocolUsername must not contain a colon (RFC 7617 §2)")
    return b64encode(f"{username}:{password}".encode("utf-8", "surrogateescape")).decode("ascii")


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
    if offers:
        schemes = b", ".join(offer.split(b" ", 1)[0] for offer in offers)
        text += f" (it offers {schemes[:_SHOWN].decode('ascii', 'backslashreplace')})"
    return text


# --- server: L asks us ---------------------------------------------------------------------


async def serve(conversation: Conversation) -> None:
    """Take a request, and answer it before TLS starts."""
    local = conversation.local
    try:
        match = _REQUEST.fullmatch(await local.read_line(LONG_LINE))
        await _headers(local)
    except ProtocolViolation:
        await _refuse(conversation, b"400 Bad Request")
        raise
    except LimitExceeded:
        await _refuse(conversation, b"431 Request Header Fields Too Large")
        raise
    if match is None:
        await _refuse(conversation, b"400 Bad Request")
        raise ProtocolViolation("the client's request is not HTTP/1.x")
    if match[1] != b"CONNECT":
        await _refuse(conversation, b"405 Method Not Allowed", b"Allow: CONNECT\r\n")
        raise ProtocolViolation("the client's request is not CONNECT")
    conversation.destination = await _chosen(conversation, match[2])
    conversation.note(events.CONNECT_ACCEPTED)
    await local.send(b"HTTP/1.1 200 OK\r\n\r\n")
    conversation.state = True


async def _chosen(conversation: Conversation, authority: bytes) -> Endpoint:
    """The destination asked for, when it may be had so far as its spelling tells."""
    try:
        host, port = split_host_port(authority.decode("ascii"))
    except ValueError as error:
        await _refuse(conversation, b"400 Bad Request")
        raise ProtocolViolation(f"the client's CONNECT target: {error}") from error
    policy = conversation.options.extra.get("destinations")
    if not isinstance(policy, DestinationPolicy) or not (policy.only_listed and policy.permits):
        await _refuse(conversation, b"403 Forbidden")
        raise Rejected("protocol = connect serves nobody without protocolAllow")
    if not policy.conceivable(host, port):
        await _refuse(conversation, b"403 Forbidden")
        raise Rejected(f"CONNECT to {host}:{port}, which is not listed in protocolAllow")
    return Endpoint(host, port)


async def _refuse(conversation: Conversation, status: bytes, more: bytes = b"") -> None:
    conversation.state = True
    conversation.note(events.CONNECT_REJECTED)
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
