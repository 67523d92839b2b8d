"""What all upgrades to TLS have in common: saying no once, and clients that start TLS unasked.

A protocol says no in its own words through a :func:`refusal`. It is said at most once and never
to a side that waits for TLS, whoever asks for it: the dialogue itself, wrapped by
:func:`~stunnel_tx.negotiation.refusing.refusing`, or the driver when the connection or the
handshake fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stunnel_tx.errors import DeadlineExceeded, PeerClosed
from stunnel_tx.negotiation.limits import IMPLICIT_TLS_WAIT, TLS_HANDSHAKE
from stunnel_tx.negotiation.refusing import tell
from stunnel_tx.telemetry import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.negotiation.peer import Conversation
    from stunnel_tx.negotiation.stages import Refuse

__all__ = ["go_ahead", "implicit_tls", "refusal", "request_refusal", "taken_leave", "turning"]


def refusal(words: bytes | Callable[[Exception], bytes], *, implicit: bool = False) -> Refuse:
    """A refusal that says *words*, or those for the error, to the local side, once at most.

    With *implicit* the side may have started TLS unasked; then nothing is said in plaintext.
    Inside TLS it is spoken to again.
    """

    async def refuse(conversation: Conversation, error: Exception) -> None:
        if not (implicit and await _waits_for_tls(conversation)):
            await tell(conversation, words if isinstance(words, bytes) else words(error))

    return refuse


def request_refusal(fault: bytes, slow: bytes) -> Refuse:
    """A refusal of a side that has to ask for TLS: it says *slow* where that came too late."""
    return refusal(lambda error: slow if isinstance(error, DeadlineExceeded) else fault)


def turning(before: Refuse, inside: Refuse) -> Refuse:
    """A refusal that is *before* until the local side is inside TLS.

    For server mode that connects after TLS: until then the client alone can be at fault.
    """

    async def refuse(conversation: Conversation, error: Exception) -> None:
        await (inside if conversation.inside_tls else before)(conversation, error)

    return refuse


async def implicit_tls(conversation: Conversation, specification: str) -> bool:
    """True when the client starts TLS unasked; *specification* is that of STARTTLS, for the log.

    A client that says anything else before the greeting is heard later, as if it had waited.
    """
    if await _starts_tls(conversation):
        conversation.refused = True
        conversation.note(events.UPGRADE_NOT_DETECTED, specification)
        return True
    conversation.note(events.UPGRADE_DETECTED, specification)
    return False


async def _waits_for_tls(conversation: Conversation) -> bool:
    """True for a client that would not understand a refusal, or that is gone."""
    if conversation.refused or conversation.inside_tls:
        return conversation.refused
    try:
        return await _starts_tls(conversation)
    except PeerClosed:
        return True


async def _starts_tls(conversation: Conversation) -> bool:
    first = await conversation.local.spoken(IMPLICIT_TLS_WAIT)
    return first[:1] == bytes([TLS_HANDSHAKE])


async def go_ahead(conversation: Conversation, words: bytes) -> None:
    """Tell the local side to start TLS; from here on it understands nothing else."""
    conversation.refused = True
    await conversation.local.send(words)


async def taken_leave(conversation: Conversation, words: bytes) -> None:
    """Say good-bye to a client that leaves without TLS; always raises PeerClosed."""
    conversation.refused = True
    await conversation.local.send(words)
    raise PeerClosed("Client does not want TLS")
