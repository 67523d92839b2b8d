"""Tests of the verify callback and its state; the whole way is in test_handshake."""

from __future__ import annotations

from typing import cast

from OpenSSL import SSL, crypto
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import Rejected
from stunnel_tx.tls import connection as module
from stunnel_tx.tls.connection import PeerJudgement, verify
from stunnel_tx.tls.policy import VerificationPolicy
from tests.doubles.certificates import Issued, self_signed
from tests.doubles.recording import Recording

CHAIN = VerificationPolicy(True, True, True)


class FakeConnection:
    """Carries the judgement, as a connection does."""

    def __init__(self, carried: object) -> None:
        self.carried = carried

    def get_app_data(self) -> object:
        """What the connection carries."""
        return self.carried


class VerifyTests(SynchronousTestCase):
    """OpenSSL asks, we answer and never raise."""

    def setUp(self) -> None:
        self.log = Recording()
        self.issued: Issued = self_signed("x")

    def ask(self, carried: object, code: int, depth: int, ok: int) -> bool:
        """One call of OpenSSL."""
        connection = cast("SSL.Connection", FakeConnection(carried))
        certificate = crypto.X509.from_cryptography(self.issued.cert)
        return verify(connection, certificate, code, depth, ok)

    def judgement(self, policy: VerificationPolicy = CHAIN) -> PeerJudgement:
        """Fresh state."""
        return PeerJudgement(policy, {}, self.log.scope, "peer")

    def test_no_state_no_acceptance(self) -> None:
        """A connection without a judgement is rejected."""
        self.assertFalse(self.ask(None, 0, 0, 1))

    def test_accepted_leaf(self) -> None:
        """Only the leaf, without an error, completes the judgement."""
        judgement = self.judgement()
        self.assertTrue(self.ask(judgement, 0, 1, 1))
        self.assertFalse(judgement.judged)
        self.assertTrue(self.ask(judgement, 0, 0, 1))
        self.assertTrue(judgement.judged)

    def test_ignored_error_is_no_acceptance(self) -> None:
        """An error that is passed over leaves the last word to the report that follows."""
        judgement = self.judgement(VerificationPolicy(True, True))
        self.assertTrue(self.ask(judgement, 18, 0, 0))
        self.assertFalse(judgement.judged)
        self.assertTrue(self.ask(judgement, 0, 0, 1))
        self.assertTrue(judgement.judged)

    def test_rejected(self) -> None:
        """A rejection is kept with its reason and undoes an earlier acceptance."""
        judgement = self.judgement()
        self.ask(judgement, 0, 0, 1)
        self.assertFalse(self.ask(judgement, 10, 0, 0))
        self.assertFalse(judgement.judged)
        self.assertEqual(judgement.reason, "certificate has expired")
        self.assertIn("Rejected by CERT at depth=0: CN=x", self.log.texts)

    def test_unreadable_certificate(self) -> None:
        """A certificate whose facts cannot be had is rejected, not an exception."""

        def unreadable(*_arguments: object) -> None:
            raise Rejected("bad names")

        self.patch(module, "facts_of_peer", unreadable)
        checks = VerificationPolicy(True, True, True, hosts=("a.example",))
        judgement = self.judgement(checks)
        self.assertFalse(self.ask(judgement, 0, 0, 1))
        self.assertEqual(judgement.reason, "bad names")
        self.assertFalse(self.ask(judgement, 10, 0, 0))
        self.assertEqual(judgement.reason, "certificate has expired")

    def test_unspeakable_name(self) -> None:
        """A subject that cannot be spelled is no reason to fail."""

        def unreadable(_name: object) -> None:
            raise RuntimeError("odd")

        self.patch(module, "distinguished_name", unreadable)
        self.assertTrue(self.ask(self.judgement(), 0, 0, 1))
        self.assertIn("Certificate accepted at depth=0: (unreadable subject)", self.log.texts)

    def test_unexpected_exception(self) -> None:
        """Whatever goes wrong in the judgement rejects this peer and nobody else."""

        def broken(*args: object) -> None:
            raise RuntimeError("broken")

        self.patch(module, "judge_step", broken)
        judgement = self.judgement()
        judgement.judged = True
        self.assertFalse(self.ask(judgement, 0, 0, 1))
        self.assertFalse(judgement.judged)
        self.assertIn("broken", judgement.reason)
