"""CIFS with the TLS extension of Samba 2.2 to the NetBIOS session service (RFC 1002 §4.3).

::

    client mode    R <- 81 00 00 00           server mode    L -> 81 00 LL LL ...
                   R -> 83 00 00 01 8E                       L <- 83 00 00 01 8E
                   TLS on R                                  TLS on L
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import LimitExceeded, PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.refusing import refusing
from stunnel_tx.negotiation.stages import Negotiation, Stages
from stunnel_tx.negotiation.upgrades import go_ahead, refusal, turning

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation

SESSION_REQUEST: Final = 0x81
NEGATIVE_RESPONSE: Final = 0x83
REQUEST: Final = bytes((SESSION_REQUEST, 0, 0, 0))

#: Negative responses: to a request, "use TLS"; "not listening"; and "unspecified error".
USE_TLS: Final = bytes((NEGATIVE_RESPONSE, 0, 0, 1, 0x8E))
NOT_LISTENING: Final = bytes((NEGATIVE_RESPONSE, 0, 0, 1, 0x81))
UNSPECIFIED: Final = bytes((NEGATIVE_RESPONSE, 0, 0, 1, 0x8F))

#: Longest session request, in bytes without its header: two encoded names with scope.
NAMES: Final = 124


#: The session cannot be had, for a reason that has no code.
refuse: Final = refusal(UNSPECIFIED)
#: What came was no session request that asks for TLS.
refuse_request: Final = refusal(NOT_LISTENING)


async def request_tls(conversation: Conversation) -> None:
    """Client mode: a server that knows TLS refuses the plain session for this reason.

    The flags byte is not looked at: servers have been seen to differ in it.
    """
    remote = conversation.far()
    await remote.send(REQUEST)
    kind, _flags, *length = await remote.read_exactly(4)
    if kind != NEGATIVE_RESPONSE or length != [0, 1]:
        raise PeerRefused("CIFS server does not want TLS")
    if await remote.read_exactly(1) != USE_TLS[-1:]:
        raise PeerRefused("CIFS server refuses the session")


async def await_request(conversation: Conversation) -> None:
    """Server mode: the session request is read, its names are not looked at."""
    local = conversation.local
    kind, flags, *length = await local.read_exactly(4)
    size = int.from_bytes((flags & 1, *length), "big")
    if kind != SESSION_REQUEST:
        raise ProtocolViolation("CIFS client does not want TLS")
    if size > NAMES:
        raise LimitExceeded("CIFS session request in bytes", NAMES)
    if size:
        await local.read_exactly(size)
    await go_ahead(conversation, USE_TLS)


NEGOTIATION = Negotiation(
    name="cifs",
    client=Stages(middle=refusing(request_tls, refuse), refuse=refuse),
    server=Stages(
        early=refusing(await_request, refuse_request),
        refuse=turning(refuse_request, refuse),
    ),
    specification="RFC 1002 §4.3 with Samba's negative response 0x8E",
)
