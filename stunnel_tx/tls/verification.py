"""The verdict about a peer's certificate: pure decisions on plain values.

:func:`judge_step` answers OpenSSL during the handshake, once for every certificate and error it
reports; :func:`judge_finished` gives the final verdict, for full and for resumed handshakes
alike. In a resumed handshake no certificate is sent and OpenSSL checks nothing, so what can have
changed since is judged again. Every doubt rejects.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from attrs import frozen

from stunnel_tx.telemetry.events import (
    CERT_MISSING,
    CERT_NO_SUBJECT_CHECKS,
    CERT_NOT_PINNED,
    CERT_PINNED,
    CERT_PREVERIFICATION,
    CERT_RESUMED_REJECTED,
    CERT_SUBJECT_FAILED,
    CERT_UNVERIFIED,
)
from stunnel_tx.tls.subjects import Note, match_subject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from stunnel_tx.tls.facts import LeafFacts
    from stunnel_tx.tls.policy import VerificationPolicy

__all__ = [
    "ACCEPTED",
    "NO_CERTIFICATE",
    "Outcome",
    "StepVerdict",
    "Verdict",
    "judge_finished",
    "judge_step",
]

#: Errors that say only that the leaf's issuer is not among the trusted certificates (OpenSSL's
#: numbers): no matter when the leaf itself is.
_ISSUER_ERRORS = frozenset({20, 21, 27})
_SELF_SIGNED_ERRORS = frozenset({18, 19})

NO_CERTIFICATE = "peer did not return a certificate"
SUBJECT_FAILED = "subject checks failed"
NOT_PINNED = "certificate not found in local repository"
NOT_JUDGED = "peer certificate was not verified"
EXPIRED = "certificate has expired"
NOT_YET_VALID = "certificate is not yet valid"


class Outcome(Enum):
    """What becomes of the connection."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    #: Rejected, where the service has another place for such peers.
    UNAUTHENTICATED = "unauthenticated"


@frozen
class Verdict:
    """The final word; ``reason`` is empty when accepted. ``notes`` are events to put out."""

    outcome: Outcome
    reason: str = ""
    notes: tuple[Note, ...] = ()

    def softened(self) -> Verdict:
        """The same verdict where rejected peers are led elsewhere instead of turned away."""
        if self.outcome is not Outcome.REJECTED:
            return self
        return Verdict(Outcome.UNAUTHENTICATED, self.reason, self.notes)


ACCEPTED = Verdict(Outcome.ACCEPTED)


@frozen
class StepVerdict:
    """The answer to one report of OpenSSL; ``reason`` is empty when accepted."""

    accepted: bool
    reason: str = ""
    notes: tuple[Note, ...] = ()


def judge_step(
    policy: VerificationPolicy,
    depth: int,
    error: tuple[int, str] | None,
    leaf: LeafFacts | None,
    pins: Mapping[bytes, frozenset[bytes]],
) -> StepVerdict:
    """Judge the certificate at *depth*, about which OpenSSL says *error* (number and text).

    *leaf* is the peer's own certificate, needed at depth 0 of a policy that inspects it.
    """
    if not policy.evaluates:
        return StepVerdict(True, "", ((CERT_UNVERIFIED, ()),))
    if error is not None and _counts(policy, depth, error[0]):
        code, text = error
        if code in _SELF_SIGNED_ERRORS:
            text = f"{NOT_PINNED}: {text}"
        return StepVerdict(False, text, ((CERT_PREVERIFICATION, (text,)),))
    if depth > 0:
        return StepVerdict(True)
    return _judge_leaf(policy, leaf, pins)


def _counts(policy: VerificationPolicy, depth: int, code: int) -> bool:
    """True when error *code* at *depth* ends the matter."""
    if policy.chain:
        return True
    return depth == 0 and code not in _ISSUER_ERRORS


def _judge_leaf(
    policy: VerificationPolicy, leaf: LeafFacts | None, pins: Mapping[bytes, frozenset[bytes]]
) -> StepVerdict:
    if not policy.inspects:
        return StepVerdict(True, "", ((CERT_NO_SUBJECT_CHECKS, ()),))
    if leaf is None:
        return StepVerdict(False, NOT_JUDGED)
    match = match_subject(policy, leaf)
    if match is None:
        return StepVerdict(False, SUBJECT_FAILED, ((CERT_SUBJECT_FAILED, ()),))
    if not policy.pin:
        return StepVerdict(True, "", (match,))
    # The same subject and the same public key; issuer, serial and signature do not matter.
    if leaf.spki not in pins.get(leaf.subject, frozenset()):
        return StepVerdict(False, NOT_PINNED, (match, (CERT_NOT_PINNED, ())))
    return StepVerdict(True, "", (match, (CERT_PINNED, ())))


def judge_finished(
    policy: VerificationPolicy,
    leaf: LeafFacts | None,
    pins: Mapping[bytes, frozenset[bytes]],
    *,
    judged: bool,
    resumed: bool | None,
    now: datetime,
) -> Verdict:
    """The verdict once the handshake is done and before any byte is passed on.

    *leaf* is the peer's certificate, ``None`` when it has none. *judged* tells that every step
    of this very handshake was accepted, up to the leaf. *resumed* is ``None`` where the library
    does not say.
    """
    if leaf is None:
        if policy.require:
            return Verdict(Outcome.REJECTED, NO_CERTIFICATE, ((CERT_MISSING, ()),))
        return ACCEPTED
    if not policy.evaluates or judged:
        return ACCEPTED
    if resumed is False:
        return Verdict(Outcome.REJECTED, NOT_JUDGED)
    if now > leaf.not_after:
        return _resumed_rejected(EXPIRED, ())
    if now < leaf.not_before:
        return _resumed_rejected(NOT_YET_VALID, ())
    step = _judge_leaf(policy, leaf, pins)
    if not step.accepted:
        return _resumed_rejected(step.reason, step.notes)
    return Verdict(Outcome.ACCEPTED, "", step.notes)


def _resumed_rejected(reason: str, notes: tuple[Note, ...]) -> Verdict:
    return Verdict(Outcome.REJECTED, reason, (*notes, (CERT_RESUMED_REJECTED, (reason,))))
