"""Tests of stunnel_tx.configuration.verification."""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.verification import (
    NO_VERIFICATION,
    VERIFICATION_OPTIONS,
    VerificationFlags,
    evaluate,
)

Line = tuple[str, bool | int]

TABLE: dict[tuple[Line, ...], str] = {
    (): "----",
    (("requireCert", True),): "qr--",
    (("verifyChain", True),): "qrc-",
    (("verifyPeer", True),): "qr-p",
    (("verify", 0),): "q---",
    (("verify", 1),): "q-c-",
    (("verify", 2),): "qrc-",
    (("verify", 3),): "qrcp",
    (("verify", 4),): "qr-p",
    (("verifyChain", True), ("requireCert", False)): "q-c-",
    (("requireCert", False), ("verifyChain", True)): "qrc-",
    (("verifyChain", True), ("verifyPeer", True)): "qrcp",
    (("verifyChain", True), ("verifyPeer", True), ("verifyChain", False)): "qr-p",
    (("verifyPeer", True), ("verify", 1)): "q-c-",
    (("verify", 3), ("verifyPeer", False)): "qrc-",
    (("requireCert", True), ("requireCert", False)): "q---",
}


def flags(shown: str) -> VerificationFlags:
    """Read the four letters of the table: request, require, chain, pin."""
    return VerificationFlags(*(letter != "-" for letter in shown))


class EvaluationTests(SynchronousTestCase):
    """Lines to flags."""

    def test_table(self) -> None:
        """Each sequence of lines comes to the flags that stunnel comes to."""
        for lines, shown in TABLE.items():
            result = NO_VERIFICATION
            for option, value in lines:
                result = evaluate(result, option, value)
            self.assertEqual(result, flags(shown), lines)

    def test_verify_overwrites(self) -> None:
        """What verify comes to does not depend on what stood before it."""
        for level, letters in product(range(5), product((False, True), repeat=4)):
            before = VerificationFlags(*letters)
            self.assertEqual(
                evaluate(before, "verify", level), evaluate(NO_VERIFICATION, "verify", level)
            )

    def test_no_never_adds(self) -> None:
        """Writing no to any of the options never switches anything on."""
        for letters, option in product(
            product((False, True), repeat=4), VERIFICATION_OPTIONS - {"verify"}
        ):
            before = VerificationFlags(*letters)
            after = evaluate(before, option, False)
            for name in ("request", "require", "chain", "pin"):
                self.assertLessEqual(getattr(after, name), getattr(before, name))

    def test_authenticates(self) -> None:
        """Asking for a certificate is not checking it."""
        self.assertFalse(flags("qr--").authenticates)
        self.assertTrue(flags("--c-").authenticates)
        self.assertTrue(flags("---p").authenticates)
