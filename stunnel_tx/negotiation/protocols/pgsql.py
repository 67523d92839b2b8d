"""PostgreSQL (frontend/backend protocol 3.x, "SSL Session Encryption").

::

    client mode    L -> SSLRequest, GSSENCRequest   (each answered N: this side is plain)
                   L -> first 8 bytes of a start message, kept
                   R <- SSLRequest
                   R -> S, TLS on R, then R <- the start message
                   R -> first answer, without channel binding; the rest is relayed
    server mode    L -> GSSENCRequest (answered N), SSLRequest (answered S), TLS on L
                   or L starts TLS at once (PostgreSQL 17), with ALPN "postgresql"

A cancel request in plain text carries a secret and has no answer: it is dropped. Inside TLS it is
relayed like a start message.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import DeadlineExceeded, PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.limits import TLS_HANDSHAKE
from stunnel_tx.negotiation.refusing import refusing
from stunnel_tx.negotiation.stages import Negotiation, Stages
from stunnel_tx.negotiation.upgrades import go_ahead, refusal, request_refusal, turning

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation

ALPN: Final = b"postgresql"

#: Length and code at the start of every message that opens a connection.
HEADER: Final = Struct("!II")
CANCEL: Final = 80877102
SSL: Final = 80877103
GSS_ENCRYPTION: Final = 80877104
SSL_REQUEST: Final = HEADER.pack(8, SSL)

#: The major version whose messages are understood here.
VERSION: Final = 3

#: Type and length of every later message; the length counts its own 4 bytes, and the body.
MESSAGE: Final = Struct("!cI")
LENGTH: Final = 4

#: What an authentication request begins with that lists SASL mechanisms.
SASL: Final = (10).to_bytes(4, "big")

#: Messages read while the server makes up its mind; one NegotiateProtocolVersion is usual.
ANSWERS: Final = 4

#: Longest start message, in bytes (MAX_STARTUP_PACKET_LENGTH of the server).
START_MESSAGE: Final = 10000

_DIRECT: Final = "direct TLS"


def error_response(code: str, text: str) -> bytes:
    """A fatal ErrorResponse with the SQLSTATE *code* (protocol 3.0, error fields S, V, C, M)."""
    fields = (("S", "FATAL"), ("V", "FATAL"), ("C", code), ("M", text))
    body = b"".join(f"{kind}{value}".encode() + b"\0" for kind, value in fields) + b"\0"
    return b"E" + (4 + len(body)).to_bytes(4, "big") + body


#: 08006 is connection_failure.
refuse: Final = refusal(error_response("08006", "the database server cannot be reached"))
#: 28000 is what the server itself says where no pg_hba.conf line allows plain text.
#: 57014 what it says where authentication takes too long.
refuse_request: Final = request_refusal(
    fault=error_response("28000", "this service accepts TLS only"),
    slow=error_response("57014", "the client did not ask for TLS in time"),
)
#: 08P01 is protocol_violation.
refuse_name: Final = refusal(error_response("08P01", "TLS without the ALPN protocol postgresql"))


async def refuse_plain(conversation: Conversation, error: Exception) -> None:
    """Client mode: until its start message is there, a local client that is slow is so itself."""
    slow = isinstance(error, DeadlineExceeded) and conversation.state is None
    await (_refuse_slow if slow else refuse)(conversation, error)


_refuse_slow: Final = refusal(error_response("57014", "no start message came in time"))


async def open_plain(conversation: Conversation) -> None:
    """Client mode, first: hear what the local client wants; it always speaks first.

    libpq asks for encryption by default. Were the question relayed, it would be asked inside
    TLS, which the server takes for an error.
    """
    local = conversation.local
    for _ in range(3):
        head = await local.read_exactly(HEADER.size)
        length, code = HEADER.unpack(head)
        if head[0] == TLS_HANDSHAKE:
            raise ProtocolViolation("TLS from the local PostgreSQL client, which must be plain")
        if length == HEADER.size and code in {SSL, GSS_ENCRYPTION}:
            await local.send(b"N")
        elif HEADER.size < length <= START_MESSAGE:
            conversation.state = head
            return
        else:
            break
    raise ProtocolViolation("no PostgreSQL start message from the local client")


async def request_tls(conversation: Conversation) -> None:
    """Client mode, before TLS: everything but ``S`` ends it.

    An error text is not read: it is not protected (CVE-2024-10977).
    """
    remote = conversation.far()
    await remote.send(SSL_REQUEST)
    answer = await remote.read_exactly(1)
    if answer in {b"N", b"E"}:
        raise PeerRefused("PostgreSQL server rejected TLS")
    if answer != b"S":
        raise ProtocolViolation("PostgreSQL server answered SSLRequest with something else")


async def pass_start(conversation: Conversation) -> None:
    """Client mode, inside TLS: the start message, what was kept of it first, and its answer.

    A server with TLS offers SCRAM with channel binding, which libpq takes for an attack where it
    has no TLS itself. A cancel request has no answer; other versions have other answers.
    """
    local, remote = conversation.local, conversation.far()
    length, code = HEADER.unpack(conversation.state)
    if code >> 16 != VERSION:
        await remote.send(conversation.state)
        return
    await remote.send(conversation.state + await local.read_exactly(length - HEADER.size))
    for _ in range(ANSWERS):
        head = await remote.read_exactly(MESSAGE.size)
        kind, size = MESSAGE.unpack(head)
        if kind not in {b"R", b"v"} or not LENGTH + LENGTH <= size <= START_MESSAGE:
            await local.send(head)
            return
        body = await remote.read_exactly(size - LENGTH)
        if kind == b"R":
            body = without_binding(body)
        await local.send(MESSAGE.pack(kind, LENGTH + len(body)) + body)
        if kind == b"R":
            return
    raise ProtocolViolation("PostgreSQL server negotiates versions without end")


def without_binding(body: bytes) -> bytes:
    """Take mechanisms with channel binding from an authentication request, unless none is left."""
    code, names = body[:LENGTH], body[LENGTH:].split(b"\0")
    kept = [name for name in names if not name.endswith(b"-PLUS")]
    return code + b"\0".join(kept) if code == SASL and any(kept) else body


async def await_request(conversation: Conversation) -> None:
    """Server mode: answer until the client asks for TLS, or find that it has begun it."""
    local = conversation.local
    if (await local.peek(1))[0] == TLS_HANDSHAKE:
        conversation.state = _DIRECT
        conversation.refused = True  # it waits for TLS
        return
    asked_gss = False
    while True:
        length, code = HEADER.unpack(await local.read_exactly(HEADER.size))
        if length == HEADER.size and code == SSL:
            await go_ahead(conversation, b"S")
            return
        if length != HEADER.size or code != GSS_ENCRYPTION or asked_gss:
            break
        asked_gss = True
        await local.send(b"N")
    if code == CANCEL:
        conversation.refused = True  # a cancel request is never answered
        raise ProtocolViolation("PostgreSQL cancel request without TLS")
    if not HEADER.size < length <= START_MESSAGE:
        raise ProtocolViolation("no PostgreSQL start message")
    # Read to its end, so that the client gets to see the refusal rather than a reset.
    await local.read_exactly(length - HEADER.size)
    raise ProtocolViolation("PostgreSQL client did not request TLS, rejecting")


async def check_alpn(conversation: Conversation) -> None:
    """Server mode, inside TLS: without the question, ALPN is what tells the protocol.

    It is required of a client that starts TLS at once, as PostgreSQL does; one that asked first
    may do without, but not name another protocol.
    """
    chosen = conversation.session.alpn if conversation.session is not None else None
    if chosen != ALPN and (chosen is not None or conversation.state == _DIRECT):
        raise ProtocolViolation("PostgreSQL client without ALPN postgresql")


NEGOTIATION = Negotiation(
    name="pgsql",
    client=Stages(
        early=refusing(open_plain, refuse),
        middle=refusing(request_tls, refuse),
        late=refusing(pass_start, refuse),
        refuse=refuse_plain,
    ),
    server=Stages(
        early=refusing(await_request, refuse_request),
        middle=refusing(check_alpn, refuse_name),
        refuse=turning(refuse_request, refuse),
    ),
    specification="PostgreSQL frontend/backend protocol: session encryption, canceling requests",
    alpn=(ALPN,),
)
