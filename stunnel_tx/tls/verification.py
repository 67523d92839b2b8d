"""The verdict about a peer's certificate: pure decisions on plain values.

:func:`judge_step` answers OpenSSL during the handshake, once for every certificate and error it
reports; :func:`judge_finished` gives the final verdict, for full and for resumed handshakes
alike. In a resumed handshake no certificate is sent and OpenSSL checks nothing, so what can have
changed since is judged again. Every doubt rejects.
"""

from __future__ import annotations

from base64 import b64encode
from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from stunnel_tx.telemetry.events import (
    CERT_KEY_NOT_PINNED,
    CERT_KEY_PINNED,
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
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from stunnel_tx.tls.facts import LeafFacts
    from stunnel_tx.tls.policy import VerificationPolicy

__all__ = [
    "ACCEPTED",
    "NO_CERTIFICATE",
    "Outcome",
    "RevocationLists",
    "StepVerdict",
    "Verdict",
    "judge_finished",
    "judge_or_redirect",
    "judge_step",
]

#: Errors that say only that the leaf's issuer is not among the trusted certificates (OpenSSL's
#: numbers): no matter when the leaf itself is.
_ISSUER_ERRORS = frozenset({20, 21, 27})
_SELF_SIGNED_ERRORS = frozenset({18, 19})

NO_CERTIFICATE = "peer did not return a certificate"
SUBJECT_FAILED = "subject checks failed"
NOT_PINNED = "certificate not found in local repository"
KEY_NOT_PINNED = "public key is not among the pinned ones"
NOT_JUDGED = "peer certificate was not verified"
EXPIRED = "certificate has expired"
NOT_YET_VALID = "certificate is not yet valid"


class RevocationLists(Protocol):
    """What is known of certificates that were taken back."""

    def problem(self, issuer: bytes, serial: int, now: datetime) -> str:
        """What speaks against certificate *serial* of *issuer* (a DER name); "" for nothing."""


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
    if depth > 0 or code in _ISSUER_ERRORS:
        return False
    # Where the key alone is asked for, it does not matter who signed.
    return policy.pin or code not in _SELF_SIGNED_ERRORS


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
    notes: tuple[Note, ...] = (match,)
    if policy.pin:
        # The same subject and the same public key; issuer, serial and signature do not matter.
        if leaf.spki not in pins.get(leaf.subject, frozenset()):
            return StepVerdict(False, NOT_PINNED, (*notes, (CERT_NOT_PINNED, ())))
        notes = (*notes, (CERT_PINNED, ()))
    if policy.key_pins:
        digest = sha256(leaf.spki).digest()
        if digest not in policy.key_pins:
            shown = b64encode(digest).decode("ascii")
            return StepVerdict(False, KEY_NOT_PINNED, (*notes, (CERT_KEY_NOT_PINNED, (shown,))))
        notes = (*notes, (CERT_KEY_PINNED, ()))
    return StepVerdict(True, "", notes)


def judge_finished(  # noqa: PLR0913 - everything that has a say
    policy: VerificationPolicy,
    leaf: LeafFacts | None,
    pins: Mapping[bytes, frozenset[bytes]],
    *,
    judged: bool,
    resumed: bool | None,
    now: datetime,
    keyed: bool = False,
    revocations: RevocationLists | None = None,
) -> Verdict:
    """The verdict once the handshake is done and before any byte is passed on.

    *leaf* is the peer's certificate, ``None`` when it has none. *judged* tells that every step
    of this very handshake was accepted, up to the leaf. *resumed* is ``None`` where the library
    does not say. *keyed* tells that the peer proved to know a pre-shared key instead.
    *revocations* are consulted for what OpenSSL has not looked up itself.
    """
    if leaf is None:
        if policy.require and not keyed:
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
    if revocations is not None:
        problem = revocations.problem(leaf.issuer, leaf.serial, now)
        if problem:
            return _resumed_rejected(problem, ())
    step = _judge_leaf(policy, leaf, pins)
    if not step.accepted:
        return _resumed_rejected(step.reason, step.notes)
    return Verdict(Outcome.ACCEPTED, "", step.notes)


def judge_or_redirect(
    leaf: LeafFacts | None,
    finished: Callable[[], Verdict],
    *,
    known: bool,
    keyed: bool,
    failure: str = "",
) -> Verdict:
    """The verdict where peers that fail are led elsewhere: never REJECTED.

    *finished* gives that of :func:`judge_finished`. *known* tells that the certificate passed a
    full verification, now or when the session was made; *failure* is what a step of this very
    handshake had against it. Without a certificate nobody is authenticated, whatever the policy
    requires of others.
    """
    if leaf is None and not keyed:
        return Verdict(Outcome.UNAUTHENTICATED, NO_CERTIFICATE, ((CERT_MISSING, ()),))
    if failure or (leaf is not None and not known):
        return Verdict(Outcome.UNAUTHENTICATED, failure or NOT_JUDGED)
    return finished().softened()


def _resumed_rejected(reason: str, notes: tuple[Note, ...]) -> Verdict:
    return Verdict(Outcome.REJECTED, reason, (*notes, (CERT_RESUMED_REJECTED, (reason,))))
