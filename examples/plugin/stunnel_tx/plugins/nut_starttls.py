"""``protocol = nut``: STARTTLS of Network UPS Tools (RFC 9271, section 4.2.12).

::

    client mode    R <- STARTTLS              server mode    L -> STARTTLS
                   R -> OK STARTTLS                          L <- OK STARTTLS
                   TLS on R                                  TLS on L

Lines end in LF alone. In server mode everything but LOGOUT is refused before TLS, passwords
unread by anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.plugin import IPlugin
from zope.interface import implementer

from stunnel_tx.errors import PeerRefused, ProtocolViolation
from stunnel_tx.interfaces import INegotiation
from stunnel_tx.negotiation.refusing import refusing
from stunnel_tx.negotiation.stages import Stages
from stunnel_tx.negotiation.upgrades import go_ahead, refusal, taken_leave

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation

#: What the local side reads when there is no connection to be had.
refuse = refusal(b"ERR DRIVER-NOT-CONNECTED\n")


async def ask(conversation: Conversation) -> None:
    """Client mode: ask the server for TLS, and take no other answer than yes."""
    remote = conversation.far()
    await remote.send(b"STARTTLS\n")
    answer = await remote.read_line()
    if answer.startswith(b"ERR "):
        raise PeerRefused("Server does not support TLS")
    if answer != b"OK STARTTLS":
        raise ProtocolViolation("UPS server did not answer STARTTLS")


async def await_request(conversation: Conversation) -> None:
    """Server mode: answer the client until it asks for TLS."""
    while True:
        command = (await conversation.local.read_line()).strip().upper()
        if command == b"STARTTLS":
            await go_ahead(conversation, b"OK STARTTLS\n")
            return
        if command == b"LOGOUT":
            await taken_leave(conversation, b"OK Goodbye\n")
        await conversation.local.send(b"ERR ACCESS-DENIED\n")


@implementer(IPlugin, INegotiation)
class NetworkUPSTools:
    """What stunnel_tx is told of the protocol."""

    name = "nut"
    client = Stages(middle=refusing(ask, refuse), refuse=refuse)
    server = Stages(early=refusing(await_request, refuse), refuse=refuse)
    specification = "RFC 9271"
    alpn = ()


nut = NetworkUPSTools()
