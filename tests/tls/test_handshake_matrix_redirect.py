"""Tests of the verdict where peers that fail are led elsewhere: the whole matrix."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.policy import Role
from stunnel_tx.tls.verification import Outcome
from tests.tls.matrix import VERSIONS, Cell, Encounter, cells
from tests.tls.peers import KEY_PINNED, POLICIES


class MatrixTests(SynchronousTestCase):
    """Every way of verifying meets every kind of certificate, twice each."""

    def outcome(self, cell: Cell) -> Outcome:
        """What becomes of the peer; without a certificate nobody is authenticated."""
        if cell.accepted and cell.kind != "none":
            return Outcome.ACCEPTED
        return Outcome.UNAUTHENTICATED

    def check(self, cell: Cell, met: Encounter, *, resumed: bool) -> None:
        """The handshake is as good as any, and leads where it should."""
        where = f"{cell} {met}"
        self.assertTrue(met.meeting.accepted, where)
        self.assertEqual(met.judge.resumed, resumed, where)
        self.assertIs(met.judge.outcome, self.outcome(cell), where)

    def test_full_and_resumed(self) -> None:
        """Nobody is turned away, and a session is worth what the first handshake was."""
        for version in VERSIONS:
            for cell in cells(Role.SERVER, version):
                if not (any(POLICIES[cell.row][2:]) or cell.row in KEY_PINNED):
                    continue
                judge = cell.judge(redirect=True)
                with cell.meet(judge) as met:
                    self.check(cell, met, resumed=False)
                    session = met.meeting.session()
                with cell.meet(judge, session) as met:
                    self.check(cell, met, resumed=True)

    def test_nothing_to_tell_peers_apart(self) -> None:
        """A service that turns nobody down has nobody to lead elsewhere: that is an error."""
        for row in ("nothing", "requireCert", "verify = 0"):
            cell = Cell(row, "good", Role.SERVER, VERSIONS[0])
            self.assertRaises(ValueError, cell.judge, redirect=True)
