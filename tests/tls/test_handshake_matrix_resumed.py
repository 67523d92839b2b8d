"""Tests of the verdict on resumed handshakes: the whole matrix, and what may change meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls import handshake
from stunnel_tx.tls.policy import Role
from stunnel_tx.tls.verification import Outcome
from tests.doubles.certificates import DAY
from tests.tls.matrix import VERSIONS, Cell, cells
from tests.tls.peers import KEY_PINNED, POLICIES, TLS_1_2, TLS_1_3, context

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from OpenSSL import SSL

    from stunnel_tx.tls.handshake import TLSContext


class MatrixTests(SynchronousTestCase):
    """Every cell again, with the session that its peer has."""

    def check(self, role: Role, version: int) -> None:
        """Go through the whole table."""
        for cell in cells(role, version):
            judge = cell.judge()
            session = self.session(cell, judge)
            with cell.meet(judge, session) as met:
                where = f"{cell} {met}"
                self.assertEqual(met.meeting.accepted, cell.accepted, where)
                self.assertEqual(met.judge.resumed, cell.accepted, where)
                if not cell.accepted:
                    self.assertIn(f"alert {cell.alert}", met.peer.refusal, where)

    def session(self, cell: Cell, judge: TLSContext) -> SSL.Session | None:
        """The best session the peer can have.

        One who is refused has none of *judge*. A client has one of the same service from the
        time when that did not verify anybody; a server is not offered what it did not give.
        """
        if not cell.accepted and cell.role is Role.CLIENT:
            with cell.meet(judge):
                return None
        if not cell.accepted:
            lenient = Cell("verify = 0", cell.kind, cell.role, cell.version).judge().policy
            judge = context(evolve(lenient, service=judge.policy.service))
        with cell.meet(judge) as met:
            self.assertTrue(met.meeting.accepted, met)
            return met.meeting.session()

    def test_server_tls_1_2(self) -> None:
        """Clients come back to a server over TLS 1.2."""
        self.check(Role.SERVER, TLS_1_2)

    def test_server_tls_1_3(self) -> None:
        """Clients come back to a server over TLS 1.3."""
        self.check(Role.SERVER, TLS_1_3)

    def test_client_tls_1_2(self) -> None:
        """A client comes back to servers over TLS 1.2."""
        self.check(Role.CLIENT, TLS_1_2)

    def test_client_tls_1_3(self) -> None:
        """A client comes back to servers over TLS 1.3."""
        self.check(Role.CLIENT, TLS_1_3)


class TakenBack:
    """Revocation lists on which every certificate is."""

    def problem(self, _issuer: bytes, _serial: int, _now: datetime) -> str:
        """The same for all."""
        return "certificate revoked"


@frozen
class Change:
    """What has happened since the session was made, and in which rows that counts."""

    reason: str
    counts: Callable[[str], bool]
    change: Callable[[TLSContext], TLSContext] = lambda judge: judge
    later: timedelta = 0 * DAY


def verifies(row: str) -> bool:
    """True when *row* can turn a certificate down."""
    return row in KEY_PINNED or any(POLICIES[row][2:])


def with_rules(**rules: Any) -> Callable[[TLSContext], TLSContext]:
    """A change of the rules, for a context with the sessions it had."""

    def changed(judge: TLSContext) -> TLSContext:
        policy = judge.policy
        verification = evolve(policy.verification, **rules)
        return evolve(judge, policy=evolve(policy, verification=verification))

    return changed


CHANGES = (
    Change("", lambda _row: False),
    Change("certificate has expired", verifies, later=3 * DAY),
    Change("certificate is not yet valid", verifies, later=-3 * DAY),
    Change("certificate revoked", verifies, lambda judge: evolve(judge, revocations=TakenBack())),
    Change("subject checks failed", verifies, with_rules(hosts=("elsewhere.example",))),
    Change(
        "certificate not found in local repository",
        lambda row: POLICIES[row][3],
        lambda judge: evolve(judge, pins={}),
    ),
    Change(
        "public key is not among the pinned ones",
        verifies,
        with_rules(key_pins=(bytes(32),)),
    ),
)


class ChangedTests(SynchronousTestCase):
    """A peer that was good when the session was made is judged again when it comes back.

    Rules do not change in the life of a context; where they do here, it is to see that none of
    them is left out.
    """

    def setUp(self) -> None:
        self.now = handshake._now()
        self.today = self.now
        self.patch(handshake, "_now", lambda: self.today)

    def check(self, role: Role, *, redirect: bool = False) -> None:
        """Every row in *role*, after every change."""
        for version in VERSIONS:
            for cell in cells(role, version, ("good",)):
                if verifies(cell.row) or not redirect:
                    for change in CHANGES:
                        self.check_change(cell, change, redirect=redirect)

    def check_change(self, cell: Cell, change: Change, *, redirect: bool) -> None:
        """A peer that is good, and comes back after the *change*."""
        judge = evolve(cell.judge(redirect=redirect), sessions=None)
        self.today = self.now
        with cell.meet(judge) as met:
            self.assertFalse(met.judge.resumed, met)
            session = met.meeting.session()
        self.today += change.later
        # A context that verifies nobody has no rules that could change.
        changed = change.change(judge) if verifies(cell.row) else judge
        self.check_again(cell, change, changed, session)

    def check_again(
        self, cell: Cell, change: Change, judge: TLSContext, session: SSL.Session
    ) -> None:
        """The peer comes back with its *session*."""
        good = not change.counts(cell.row)
        with cell.meet(judge, session) as met:
            where = f"{cell} {change.reason} {met}"
            if judge.policy.redirect:
                wanted = Outcome.ACCEPTED if good else Outcome.UNAUTHENTICATED
                self.assertTrue(met.judge.resumed, where)
                self.assertIs(met.judge.outcome, wanted, where)
            else:
                self.assertEqual(met.meeting.accepted, good, where)
                self.assertEqual(met.judge.resumed, good, where)
                self.assertEqual(met.judge.refusal, "" if good else change.reason, where)

    def test_server(self) -> None:
        """A server and its clients."""
        self.check(Role.SERVER)

    def test_client(self) -> None:
        """A client and its servers."""
        self.check(Role.CLIENT)

    def test_redirect(self) -> None:
        """A server that leads elsewhere whom it does not let in."""
        self.check(Role.SERVER, redirect=True)
