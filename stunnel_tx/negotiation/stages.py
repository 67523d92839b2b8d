"""The stages of a negotiation, and the record a protocol is.

::

    client mode   early(L) ── connect ── middle(L, R) ── TLS on R ── late(L, R) ── relay
    server mode   early(L) ── TLS on L ── middle(L) ── connect ── late(L, R) ── relay
    server mode,  early(L) ── connect ── middle(L, R) ── TLS on L ── late(L, R) ── relay
    connects_first
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import frozen

from stunnel_tx.negotiation.peer import Conversation

Dialogue = Callable[[Conversation], Awaitable[None]]
Refuse = Callable[[Conversation, Exception], Awaitable[None]]


@frozen
class Stages:
    """The dialogues of one direction of a protocol; None where it has nothing to say.

    ``refuse`` tells the local side, in the protocol's own words, that the connection cannot be
    had (the remote side is down, a limit was hit); it is called once, only while the local
    side can still understand it, and its own failure is ignored. ``chooses_destination`` is
    True when the early or middle stage sets ``conversation.destination``; no ``connect`` line
    is needed then.
    """

    early: Dialogue | None = None
    middle: Dialogue | None = None
    late: Dialogue | None = None
    connects_first: bool = False
    chooses_destination: bool = False
    refuse: Refuse | None = None


@frozen
class Negotiation:
    """One protocol: its ``protocol =`` word and what it does in either mode (None: not at all).

    ``alpn`` are the names registered for it with IANA, ``specification`` names the documents.
    """

    name: str
    client: Stages | None
    server: Stages | None
    specification: str
    alpn: tuple[bytes, ...] = ()
