"""``protocol = proxy``: tell the remote side who the client is (PROXY protocol, version 1).

The options ``sendProxy`` and ``acceptProxy`` do the same, and more, beside any protocol; they are
the driver's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stunnel_tx.negotiation.proxy_header import encode_v1
from stunnel_tx.negotiation.stages import Negotiation, Stages

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation

__all__ = ["NEGOTIATION"]


async def announce(conversation: Conversation) -> None:
    """Send the header, before any other byte."""
    await conversation.far().send(encode_v1(conversation.source, conversation.target))


NEGOTIATION = Negotiation(
    name="proxy",
    # A TLS server that is told of its clients wants the header in front of the ClientHello.
    client=Stages(middle=announce),
    server=Stages(late=announce),
    specification="The PROXY protocol (HAProxy), section 2.1",
)
