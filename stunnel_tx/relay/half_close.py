"""How one direction of a tunnel comes to its end: the state machine, as data.

A tunnel has two flows; each goes through these states on its own, and the tunnel ends in good
order when both are done::

    OPEN ──END──> DRAINING ──DRAINED──> CLOSING ──CLOSED──> DONE
      │                                    └──BLOCKED (stays; tried again on readiness)
      ├──LOST──> DISCARDING ──END──> DONE
      └──GONE──> DONE

``END``      the source has no more bytes (FIN, or close_notify inside TLS)
``DRAINED``  everything read before the end has been written to the sink
``CLOSED``   the sink has been told (FIN, or close_notify inside TLS)
``BLOCKED``  the sink could not be told yet: its send buffer is full
``LOST``     the sink takes no more, but may have left an answer behind (a server that refuses
             an upload): the source is read and dropped until its end, because closing a
             socket with unread input would send RST and destroy the answer on its way
``GONE``     the sink's program has left, and nobody wants what the source still has to say; what
             the sink had sent before is the other flow's, and is passed on

RFC 8446 §6.1: close_notify ends one direction only. RFC 5246 §7.2.1 demands an immediate
answer from the peer, which is the peer's affair: on TLS 1.2 as well, this side keeps
reading until the peer's own end.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class State(IntEnum):
    """Where a flow stands; the order is the order of its life."""

    OPEN = 0
    DRAINING = 1
    CLOSING = 2
    DISCARDING = 3
    DONE = 4


class Event(IntEnum):
    """What can happen to a flow on its way to the end."""

    END = 0
    DRAINED = 1
    CLOSED = 2
    BLOCKED = 3
    LOST = 4
    GONE = 5


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.OPEN, Event.END): State.DRAINING,
    (State.DRAINING, Event.DRAINED): State.CLOSING,
    (State.CLOSING, Event.BLOCKED): State.CLOSING,
    (State.CLOSING, Event.CLOSED): State.DONE,
    (State.OPEN, Event.LOST): State.DISCARDING,
    (State.DRAINING, Event.LOST): State.DONE,
    (State.CLOSING, Event.LOST): State.DONE,
    (State.DISCARDING, Event.END): State.DONE,
    (State.OPEN, Event.GONE): State.DONE,
    (State.DRAINING, Event.GONE): State.DONE,
    (State.CLOSING, Event.GONE): State.DONE,
}


def advance(state: State, event: Event) -> State:
    """The state after *event*; :class:`ValueError` for an event that cannot happen there."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise ValueError(f"{event.name} cannot happen in {state.name}") from None


class Wait(IntEnum):
    """Which time-out applies to a relay that is waiting."""

    IDLE = 0
    CLOSE = 1


def waiting(initiator: State, responder: State, *, buffered: bool) -> Wait:
    """The time-out for a relay whose two flows stand as given.

    *initiator* is the flow from the accepted connection, *responder* the flow back to it. An
    initiator that has closed its direction is waiting for its answer, however long that
    takes (TIMEOUTidle). Once the responder's direction is done, little can be of use in the
    other one, and TIMEOUTclose bounds the wait for its end; not, however, while the initiator's
    bytes are *buffered* because a slow reader has no room for them.
    """
    if responder is State.DONE and initiator is not State.DONE and not buffered:
        return Wait.CLOSE
    return Wait.IDLE
