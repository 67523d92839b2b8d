"""Tests of the verdict as a pure function."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.telemetry.events import (
    CERT_KEY_NOT_PINNED,
    CERT_KEY_PINNED,
    CERT_MISSING,
    CERT_NO_SUBJECT_CHECKS,
    CERT_NOT_PINNED,
    CERT_PINNED,
    CERT_PREVERIFICATION,
    CERT_SUBJECT_FAILED,
    CERT_UNVERIFIED,
)
from stunnel_tx.tls.facts import LeafFacts
from stunnel_tx.tls.policy import VerificationPolicy
from stunnel_tx.tls.verification import (
    ACCEPTED,
    Outcome,
    StepVerdict,
    Verdict,
    judge_finished,
    judge_step,
)
from tests.doubles.certificates import DAY, NOW

if TYPE_CHECKING:
    from datetime import datetime

LEAF = LeafFacts("CN=x", b"subject", b"key", NOW - DAY, NOW + DAY, dns_names=("a.example",))
PINS = {b"subject": frozenset({b"key", b"another key"})}

UNVERIFIED = VerificationPolicy(True, True)
CHAIN = VerificationPolicy(True, True, True)
PIN = VerificationPolicy(True, True, False, True)
BOTH = VerificationPolicy(True, True, True, True)
WRONG_HOST = VerificationPolicy(True, True, True, True, hosts=("b.example",))
OPTIONAL = VerificationPolicy(True, False, True)

KEY_DIGEST = sha256(b"key").digest()
KEY = VerificationPolicy(True, True, key_pins=(bytes(32), KEY_DIGEST))
OTHER_KEY = VerificationPolicy(True, True, key_pins=(bytes(32),))
CHAIN_AND_KEY = VerificationPolicy(True, True, True, key_pins=(KEY_DIGEST,))
PIN_AND_OTHER_KEY = VerificationPolicy(True, True, False, True, key_pins=(bytes(32),))

NOT_YET_VALID, EXPIRED, SELF_SIGNED, SELF_SIGNED_CHAIN = 9, 10, 18, 19
NO_ISSUER, NO_LEAF_SIGNATURE, UNTRUSTED = 20, 21, 27


class JudgeStepTests(SynchronousTestCase):
    """Answers to OpenSSL's reports."""

    def judge(
        self,
        policy: VerificationPolicy,
        code: int = 0,
        depth: int = 0,
        leaf: LeafFacts | None = LEAF,
    ) -> StepVerdict:
        """The verdict about one report; *code* 0 is none."""
        return judge_step(policy, depth, (code, f"error {code}") if code else None, leaf, PINS)

    def test_errors_table(self) -> None:
        """Which errors count at which depth, under chain, pin and both."""
        for code in (EXPIRED, NOT_YET_VALID, SELF_SIGNED, SELF_SIGNED_CHAIN, 26, 50):
            self.assertFalse(self.judge(PIN, code).accepted, code)
            self.assertTrue(self.judge(PIN, code, depth=1).accepted, code)
        for code in (NO_ISSUER, NO_LEAF_SIGNATURE, UNTRUSTED):
            self.assertTrue(self.judge(PIN, code).accepted, code)
        for policy in (CHAIN, BOTH, OPTIONAL):
            for code in (NO_ISSUER, NO_LEAF_SIGNATURE, UNTRUSTED, EXPIRED, SELF_SIGNED):
                for depth in (0, 1, 2):
                    self.assertFalse(self.judge(policy, code, depth).accepted, (code, depth))

    def test_nothing_verified(self) -> None:
        """Without chain and pin every error is passed over, with a remark."""
        for code in (0, EXPIRED, SELF_SIGNED):
            verdict = self.judge(UNVERIFIED, code, leaf=None)
            self.assertEqual(verdict, StepVerdict(True, "", ((CERT_UNVERIFIED, ()),)))

    def test_error_texts(self) -> None:
        """OpenSSL's words are the reason; self-signed errors say what that means here."""
        verdict = self.judge(CHAIN, EXPIRED)
        self.assertEqual(verdict.reason, "error 10")
        self.assertEqual(verdict.notes, ((CERT_PREVERIFICATION, ("error 10",)),))
        for code in (SELF_SIGNED, SELF_SIGNED_CHAIN):
            self.assertEqual(
                self.judge(CHAIN, code).reason,
                f"certificate not found in local repository: error {code}",
            )

    def test_leaf_only(self) -> None:
        """Names and pins are a matter of the leaf."""
        self.assertTrue(self.judge(WRONG_HOST, depth=1).accepted)
        verdict = self.judge(WRONG_HOST)
        self.assertFalse(verdict.accepted)
        self.assertEqual(verdict.notes, ((CERT_SUBJECT_FAILED, ()),))

    def test_pins(self) -> None:
        """A pin is the same subject with the same key, among several keys."""
        verdict = self.judge(PIN)
        self.assertTrue(verdict.accepted)
        self.assertEqual(verdict.notes, ((CERT_NO_SUBJECT_CHECKS, ()), (CERT_PINNED, ())))
        for pins in ({}, {b"subject": frozenset({b"x"})}, {b"other": frozenset({b"key"})}):
            verdict = judge_step(PIN, 0, None, LEAF, pins)
            self.assertFalse(verdict.accepted)
            self.assertIn((CERT_NOT_PINNED, ()), verdict.notes)

    def test_key_pins(self) -> None:
        """One of the pinned digests must be that of the leaf's key, beside all that is asked."""
        self.assertEqual(
            self.judge(KEY).notes, ((CERT_NO_SUBJECT_CHECKS, ()), (CERT_KEY_PINNED, ()))
        )
        verdict = self.judge(OTHER_KEY)
        self.assertEqual(verdict.reason, "public key is not among the pinned ones")
        shown = b64encode(KEY_DIGEST).decode()
        self.assertIn((CERT_KEY_NOT_PINNED, (shown,)), verdict.notes)
        self.assertFalse(self.judge(PIN_AND_OTHER_KEY).accepted)
        self.assertTrue(self.judge(CHAIN_AND_KEY).accepted)

    def test_key_alone_needs_no_issuer(self) -> None:
        """With key pins alone nobody needs to have signed; validity still counts."""
        for code in (NO_ISSUER, NO_LEAF_SIGNATURE, UNTRUSTED, SELF_SIGNED, SELF_SIGNED_CHAIN):
            self.assertTrue(self.judge(KEY, code).accepted, code)
            self.assertFalse(self.judge(OTHER_KEY, code).accepted, code)
            self.assertFalse(self.judge(CHAIN_AND_KEY, code).accepted, code)
        for code in (EXPIRED, NOT_YET_VALID):
            self.assertFalse(self.judge(KEY, code).accepted, code)

    def test_unreadable_leaf(self) -> None:
        """A leaf whose facts cannot be had is rejected where they are needed."""
        for policy in (PIN, BOTH, WRONG_HOST, KEY):
            self.assertFalse(self.judge(policy, leaf=None).accepted)
        self.assertTrue(self.judge(CHAIN, leaf=None).accepted)


class JudgeFinishedTests(SynchronousTestCase):
    """The final verdict."""

    def judge(
        self,
        policy: VerificationPolicy,
        leaf: LeafFacts | None = LEAF,
        *,
        judged: bool = False,
        resumed: bool | None = True,
        days: float = 0,
    ) -> Verdict:
        """The verdict *days* from now."""
        now = NOW + days * DAY
        return judge_finished(policy, leaf, PINS, judged=judged, resumed=resumed, now=now)

    def test_no_certificate(self) -> None:
        """Absence is rejected where one is required, full or resumed."""
        for resumed in (True, False, None):
            for policy in (UNVERIFIED, CHAIN, PIN, BOTH):
                verdict = self.judge(policy, None, resumed=resumed, judged=True)
                self.assertIs(verdict.outcome, Outcome.REJECTED)
                self.assertEqual(verdict.reason, "peer did not return a certificate")
                self.assertEqual(verdict.notes, ((CERT_MISSING, ()),))
            self.assertIs(self.judge(OPTIONAL, None, resumed=resumed), ACCEPTED)

    def test_judged_in_this_handshake(self) -> None:
        """What every step accepted is not judged twice."""
        self.assertIs(self.judge(WRONG_HOST, judged=True, resumed=False), ACCEPTED)

    def test_never_judged(self) -> None:
        """A full handshake in which the leaf was never judged is rejected."""
        verdict = self.judge(CHAIN, resumed=False)
        self.assertEqual(verdict.reason, "peer certificate was not verified")
        self.assertIs(self.judge(UNVERIFIED, resumed=False), ACCEPTED)

    def test_resumed(self) -> None:
        """A resumed session is judged by validity, names and pin, once more."""
        for resumed in (True, None):
            for policy in (CHAIN, PIN, BOTH):
                self.assertIs(self.judge(policy, resumed=resumed).outcome, Outcome.ACCEPTED)
                late = self.judge(policy, resumed=resumed, days=1.5)
                self.assertEqual(late.reason, "certificate has expired")
                early = self.judge(policy, resumed=resumed, days=-1.5)
                self.assertEqual(early.reason, "certificate is not yet valid")
            self.assertEqual(self.judge(WRONG_HOST).reason, "subject checks failed")
            verdict = judge_finished(PIN, LEAF, {}, judged=False, resumed=resumed, now=NOW)
            self.assertEqual(verdict.reason, "certificate not found in local repository")

    def test_resumed_key_pin(self) -> None:
        """The pinned key is asked for again."""
        self.assertIs(self.judge(KEY).outcome, Outcome.ACCEPTED)
        self.assertIs(self.judge(OTHER_KEY).outcome, Outcome.REJECTED)

    def test_pre_shared_key_instead(self) -> None:
        """Who knows a pre-shared key needs no certificate."""
        verdict = judge_finished(CHAIN, None, PINS, judged=False, resumed=True, now=NOW, keyed=True)
        self.assertIs(verdict, ACCEPTED)

    def test_revocations(self) -> None:
        """Lists have their say about a resumed session, and not about what was just judged."""

        class Lists:
            """Lists in which everything is revoked."""

            def problem(self, issuer: bytes, serial: int, now: datetime) -> str:
                """Never nothing."""
                return f"revoked {issuer!r} {serial}"

        for judged, outcome in ((True, Outcome.ACCEPTED), (False, Outcome.REJECTED)):
            verdict = judge_finished(
                CHAIN, LEAF, PINS, judged=judged, resumed=True, now=NOW, revocations=Lists()
            )
            self.assertIs(verdict.outcome, outcome)
        self.assertEqual(verdict.reason, "revoked b'' 0")

    def test_validity_is_inclusive(self) -> None:
        """The first and the last second belong to it (RFC 5280 §4.1.2.5)."""
        for days in (-1, 1):
            self.assertIs(self.judge(CHAIN, days=days).outcome, Outcome.ACCEPTED)

    def test_softened(self) -> None:
        """Where rejected peers are led elsewhere, they are unauthenticated, with the reason."""
        verdict = self.judge(WRONG_HOST)
        self.assertIs(verdict.softened().outcome, Outcome.UNAUTHENTICATED)
        self.assertEqual(verdict.softened().reason, verdict.reason)
        self.assertIs(ACCEPTED.softened(), ACCEPTED)
