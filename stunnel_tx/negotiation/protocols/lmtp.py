"""LMTP (RFC 2033): STARTTLS as in SMTP (RFC 3207), with LHLO for hello."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stunnel_tx.negotiation.mail_transfer import (
    Dialect,
    greet_client,
    no_service,
    upgrade_client,
    upgrade_server,
)
from stunnel_tx.negotiation.refusing import refusing
from stunnel_tx.negotiation.stages import Negotiation, Stages
from stunnel_tx.negotiation.upgrades import refusal

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation

__all__ = ["NEGOTIATION"]

# RFC 2033 §4.1: LHLO takes the place of EHLO, and HELO must not be accepted. No port is
# registered for LMTP inside TLS from the start, so nobody is waited for.
_LMTP: Final = Dialect(b"LMTP", hello=b"LHLO", plain_hello=None, implicit=False)


async def _ask(conversation: Conversation) -> None:
    await upgrade_server(conversation, _LMTP)


async def _greet(conversation: Conversation) -> None:
    await greet_client(conversation, _LMTP)


async def _serve(conversation: Conversation) -> None:
    await upgrade_client(conversation, _LMTP)


_no_service = refusal(no_service)

NEGOTIATION: Final = Negotiation(
    name="lmtp",
    client=Stages(
        middle=refusing(_ask, _no_service),
        late=refusing(_greet, _no_service),
        refuse=_no_service,
    ),
    server=Stages(middle=refusing(_serve, _no_service), connects_first=True, refuse=_no_service),
    specification="RFC 2033, RFC 3207",
)
