"""The verification matrix: what each way of verifying makes of each kind of peer.

The rows are :data:`tests.tls.peers.POLICIES`, the columns :data:`KINDS`; every cell is played in
every role and version, in a full and in a resumed handshake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import evolve, frozen

from stunnel_tx.tls.policy import Role
from tests.doubles.handshakes import Meeting
from tests.tls.peers import (
    KEY_PINNED,
    POLICIES,
    TLS_1_2,
    TLS_1_3,
    context,
    judge_policy,
    peer_policy,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from OpenSSL import SSL

    from stunnel_tx.tls.handshake import TLSContext
    from tests.doubles.handshakes import End

KINDS = (
    "good",
    "none",
    "unknown CA",
    "self-signed",
    "expired",
    "not yet valid",
    "wrong host",
    "other key",
    "reissued",
    "reissued self-signed",
    "revoked",
    "weak key",
)

VERSIONS = (TLS_1_2, TLS_1_3)

# Which certificates each way of looking at them lets through; "none" depends on "require".
BY_CHAIN = {"good", "other key"}
BY_PIN = {"good", "reissued"}
BY_KEY = {"good", "reissued", "reissued self-signed"}

# What the rejected side is told. For what OpenSSL itself has nothing against (names and pins) it
# has no alert of its own.
ALERTS = {
    "unknown CA": "unknown ca",
    "self-signed": "unknown ca",
    "expired": "certificate expired",
    "not yet valid": "bad certificate",
    "wrong host": "internal error",
    "other key": "internal error",
    "reissued": "unknown ca",
    "reissued self-signed": "unknown ca",
    "revoked": "certificate revoked",
    "weak key": "bad certificate",
}
NO_CERTIFICATE = {TLS_1_2: "handshake failure", TLS_1_3: "certificate required"}


@frozen
class Cell:
    """A peer of one kind before a judge of one row, who is in *role*."""

    row: str
    kind: str
    role: Role
    version: int

    @property
    def accepted(self) -> bool:
        """Whether the peer is let through."""
        _, require, chain, pin = POLICIES[self.row]
        if self.kind == "none":
            return not require
        keyed = self.row not in KEY_PINNED or self.kind in BY_KEY
        chained = not chain or self.kind in BY_CHAIN
        return keyed and chained and (not pin or self.kind in BY_PIN)

    @property
    def alert(self) -> str:
        """What a peer is told that is not."""
        if self.kind == "none":
            return NO_CERTIFICATE[self.version]
        if self.row == "pinSHA256" and self.kind != "weak key":
            # Without any roots no issuer is known, and that is found before anything else.
            return "unknown ca"
        return ALERTS[self.kind]

    def judge(self, *, redirect: bool = False) -> TLSContext:
        """The context of the end that judges."""
        policy = judge_policy(self.role, self.row, self.version, self.kind, redirect=redirect)
        return context(policy)

    def peer(self) -> TLSContext:
        """The context of the end that is judged; it remembers no sessions of its own accord."""
        other = Role.SERVER if self.role is Role.CLIENT else Role.CLIENT
        return evolve(context(peer_policy(other, self.kind)), sessions=None)

    def meet(self, judge: TLSContext, session: SSL.Session | None = None) -> Encounter:
        """A handshake of the peer with *judge*, to be closed."""
        if self.role is Role.SERVER:
            meeting = Meeting(judge, self.peer(), session).shake()
            return Encounter(meeting, meeting.server, meeting.client)
        meeting = Meeting(self.peer(), judge, session).shake()
        return Encounter(meeting, meeting.client, meeting.server)


@frozen
class Encounter:
    """A meeting with its two ends told apart by what they do."""

    meeting: Meeting
    judge: End
    peer: End

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.meeting.close()

    def __str__(self) -> str:
        return f"{self.judge.refusal!r}, {self.peer.refusal!r}: {self.judge.log.texts}"


def cells(role: Role, version: int, kinds: tuple[str, ...] = KINDS) -> Iterator[Cell]:
    """Every cell of *role* and *version*.

    A server without a certificate has no handshake to offer.
    """
    for row in POLICIES:
        for kind in kinds:
            if role is Role.SERVER or kind != "none":
                yield Cell(row, kind, role, version)
