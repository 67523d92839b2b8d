"""SMTP: STARTTLS (RFC 3207), AUTH after it in client mode (RFC 4954, RFC 4616).

In server mode one port serves STARTTLS and implicit TLS (RFC 8314 §3.3): a client that starts
TLS unasked gets the server's own greeting inside TLS.
"""

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

_SMTP: Final = Dialect(b"ESMTP", hello=b"EHLO", plain_hello=b"HELO", implicit=True)


async def _ask(conversation: Conversation) -> None:
    await upgrade_server(conversation, _SMTP)


async def _greet(conversation: Conversation) -> None:
    await greet_client(conversation, _SMTP)


async def _serve(conversation: Conversation) -> None:
    await upgrade_client(conversation, _SMTP)


_no_service = refusal(no_service)
_no_service_in_plain = refusal(no_service, implicit=True)

NEGOTIATION: Final = Negotiation(
    name="smtp",
    client=Stages(
        middle=refusing(_ask, _no_service),
        late=refusing(_greet, _no_service),
        refuse=_no_service,
    ),
    server=Stages(
        middle=refusing(_serve, _no_service_in_plain),
        connects_first=True,
        refuse=_no_service_in_plain,
    ),
    specification="RFC 3207, RFC 5321, RFC 4954, RFC 4616",
)
