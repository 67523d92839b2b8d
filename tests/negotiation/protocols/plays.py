"""One stage of a dialogue, played between scripted peers in every way the bytes may arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from stunnel_tx.errors import DeadlineExceeded, PeerRefused, StunnelTxError
from tests.doubles.conversations import (
    BUSY,
    Notes,
    ScriptedPeer,
    Turns,
    conversation,
    every_split,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twisted.trial.unittest import SynchronousTestCase

    from stunnel_tx.negotiation.peer import Conversation
    from stunnel_tx.negotiation.stages import Dialogue, Negotiation, Stages

    Script = bytes | Turns
    State = Callable[[Conversation], Any]


@frozen
class Played:
    """What came of a stage: the error if any, and each side's words and leftovers.

    ``state`` is what the stage leaves for the next one; ``refused`` is also true of a client that
    waits for TLS and can be told nothing more in plain text.
    """

    error: str
    reason: str
    local: bytes
    remote: bytes
    local_unread: bytes
    remote_unread: bytes
    notes: tuple[str, ...]
    refused: bool
    state: Any = field(eq=False)


def both(negotiation: Negotiation) -> tuple[Stages, Stages]:
    """The stages of a protocol that knows both modes."""
    assert negotiation.client is not None
    assert negotiation.server is not None
    return negotiation.client, negotiation.server


def refusal(
    stages: Stages, state: Any = None, *, inside_tls: bool = False, slow: bool = False
) -> bytes:
    """What the local side is told when the remote side cannot be had, or when time is up (slow)."""
    assert stages.refuse is not None
    local = ScriptedPeer(eof=False)
    error = DeadlineExceeded("TIMEOUTbusy", BUSY) if slow else PeerRefused("No more addresses")
    run(stages.refuse(conversation(local, state=state, inside_tls=inside_tls), error))
    return local.sent


def play(
    dialogue: Dialogue | None,
    local: Script = b"",
    remote: Script = b"",
    *,
    splits: tuple[Sequence[int], Sequence[int]] = ((), ()),
    eof: bool = True,
    state: State | None = None,
    **fields: Any,
) -> Played:
    """Play *dialogue*; *state* makes the state that an earlier stage would have left."""
    assert dialogue is not None
    here = ScriptedPeer(local, splits=splits[0], eof=eof)
    there = ScriptedPeer(remote, splits=splits[1], eof=eof)
    notes = Notes()
    talk = conversation(here, there, note=notes, **fields)
    if state is not None:
        talk.state = state(talk)
    error = reason = ""
    try:
        run(dialogue(talk))
    except StunnelTxError as problem:
        error, reason = type(problem).__name__, str(problem)
    return Played(
        error,
        reason,
        here.sent,
        there.sent,
        here.unread,
        there.unread,
        tuple(notes.texts),
        talk.refused,
        talk.state,
    )


def play_split(
    case: SynchronousTestCase,
    dialogue: Dialogue | None,
    local: Script = b"",
    remote: Script = b"",
    **fields: Any,
) -> Played:
    """Play whole, byte by byte, cut at every place and at random; the outcome must not differ."""
    whole = play(dialogue, local, remote, **fields)
    ways = [(cut, ()) for cut in every_split(local)] + [((), cut) for cut in every_split(remote)]
    for splits in ways:
        case.assertEqual(play(dialogue, local, remote, splits=splits, **fields), whole, splits)
    return whole


def shortened(script: Script) -> Iterator[Turns]:
    """*script* cut off after each number of bytes that is less than all of it."""
    turns = script.turns if isinstance(script, Turns) else ((b"", script),)
    size = sum(len(reply) for _, reply in turns)
    for cut in range(size):
        left = cut
        kept = []
        for expect, reply in turns:
            kept.append((expect, reply[:left]))
            left -= min(left, len(reply))
            if not left:
                break
        yield Turns(kept)


def play_cut(
    case: SynchronousTestCase,
    dialogue: Dialogue | None,
    local: Script = b"",
    remote: Script = b"",
    *,
    of: str,
    **fields: Any,
) -> None:
    """Cut one side off at every byte it is needed for: PeerClosed, or the deadline if silent."""
    for short in shortened(local if of == "local" else remote):
        scripts = (short, remote) if of == "local" else (local, short)
        played = play(dialogue, *scripts, **fields)
        case.assertEqual(played.error, "PeerClosed", short.incoming)
        played = play(dialogue, *scripts, eof=False, **fields)
        case.assertEqual(played.error, "DeadlineExceeded", short.incoming)
