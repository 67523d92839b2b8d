"""Tests of the verdict on full handshakes: the whole matrix."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.policy import Role
from tests.tls.matrix import Cell, Encounter, cells
from tests.tls.peers import TLS_1_2, TLS_1_3


class MatrixTests(SynchronousTestCase):
    """Every way of verifying meets every kind of certificate, both roles and versions."""

    def check(self, role: Role, version: int) -> None:
        """Go through the whole table."""
        for cell in cells(role, version):
            with cell.meet(cell.judge()) as met:
                where = f"{cell} {met}"
                self.assertEqual(met.meeting.accepted, cell.accepted, where)
                self.assertFalse(met.judge.resumed, where)
                if not cell.accepted:
                    self.check_refused(cell, met, where)

    def check_refused(self, cell: Cell, met: Encounter, where: str) -> None:
        """The peer is told why, and so is the log, once."""
        self.assertIn(f"alert {cell.alert}", met.peer.refusal, where)
        if cell.kind == "none":
            self.assertIn("peer did not return a certificate", met.judge.refusal, where)
            return
        self.assertTrue(met.judge.context.rejection(met.judge.connection), where)
        rejections = [each for each in met.judge.log.texts if "Rejected by CERT" in each]
        self.assertEqual(len(rejections), 1, where)
        self.assertIn("certificate verify failed", met.judge.refusal, where)

    def test_server_tls_1_2(self) -> None:
        """A server judges its clients over TLS 1.2."""
        self.check(Role.SERVER, TLS_1_2)

    def test_server_tls_1_3(self) -> None:
        """A server judges its clients over TLS 1.3."""
        self.check(Role.SERVER, TLS_1_3)

    def test_client_tls_1_2(self) -> None:
        """A client judges its server over TLS 1.2."""
        self.check(Role.CLIENT, TLS_1_2)

    def test_client_tls_1_3(self) -> None:
        """A client judges its server over TLS 1.3."""
        self.check(Role.CLIENT, TLS_1_3)

    def test_wrong_pin_of_unknown_issuer_says_so(self) -> None:
        """With the pin alone, it is the pin that the log speaks of, not the issuer."""
        cell = Cell("verifyPeer", "unknown CA", Role.SERVER, TLS_1_3)
        with cell.meet(cell.judge()) as met:
            texts = met.judge.log.texts
        self.assertIn("CERT: Certificate not found in local repository", texts)
