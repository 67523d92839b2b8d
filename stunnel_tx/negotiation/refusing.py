"""Telling the local side, once and in its own protocol's words, that it is refused."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

from stunnel_tx.errors import LimitExceeded, OperatingError, PeerError, StunnelTxError

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation
    from stunnel_tx.negotiation.stages import Dialogue, Refuse


async def tell(conversation: Conversation, words: bytes) -> None:
    """Send *words* to the local side unless it has been refused before.

    A local side that is gone does not hear them; the reason for the refusal is what counts.
    """
    if conversation.refused:
        return
    conversation.refused = True
    try:
        await conversation.local.send(words)
    except StunnelTxError:
        return


def refusing(dialogue: Dialogue, refuse: Refuse) -> Dialogue:
    """*dialogue*, which calls *refuse* before it ends with a fault of a peer or option, or a limit.

    What the driver throws in (a deadline, the end of the program) passes through: there may be
    no time left in which to speak.
    """

    @wraps(dialogue)
    async def guarded(conversation: Conversation) -> None:
        try:
            await dialogue(conversation)
        except (PeerError, LimitExceeded, OperatingError) as error:
            await refuse(conversation, error)
            raise

    return guarded
