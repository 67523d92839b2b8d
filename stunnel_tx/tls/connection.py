"""What is remembered of one connection's verification, and what is told about it afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from stunnel_tx.errors import Rejected
from stunnel_tx.telemetry.events import (
    CERT_ACCEPTED,
    CERT_ACCEPTED_LEAF,
    CERT_REJECTED,
    VERIFY_STARTED,
)
from stunnel_tx.telemetry.levels import DEBUG, INFO
from stunnel_tx.tls.binding.contexts import verify_error_text
from stunnel_tx.tls.names import distinguished_name
from stunnel_tx.tls.peer_facts import facts_of_peer
from stunnel_tx.tls.verification import NOT_JUDGED, judge_step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from OpenSSL import SSL
    from OpenSSL.crypto import X509

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.facts import LeafFacts
    from stunnel_tx.tls.policy import VerificationPolicy
    from stunnel_tx.tls.subjects import Note

__all__ = ["PeerJudgement", "TLSFacts", "facts_of", "put_out", "verify"]


@frozen
class TLSFacts:
    """What was negotiated: ``version`` like ``TLSv1.3``, ``bits`` of the cipher's key.

    ``group`` is ``None`` where none was used or the library does not say; ``server_name`` and
    ``alpn`` are ``None`` where the extension was not sent or not agreed on.
    """

    version: str
    cipher: str
    bits: int
    group: str | None
    server_name: str | None
    alpn: str | None


def facts_of(connection: SSL.Connection) -> TLSFacts:
    """The facts of a *connection* whose handshake is done."""
    name = connection.get_servername()
    alpn = connection.get_alpn_proto_negotiated()
    return TLSFacts(
        version=connection.get_protocol_version_name(),
        cipher=connection.get_cipher_name() or "none",
        bits=connection.get_cipher_bits() or 0,
        group=connection.get_group_name(),
        server_name=None if name is None else name.decode("utf-8", "replace"),
        alpn=alpn.decode("utf-8", "replace") or None,
    )


class PeerJudgement:
    """Carried by a connection while its peer is judged.

    ``judged`` turns true when OpenSSL has gone through the whole chain down to the leaf and
    every step was accepted; ``reason`` is that of the step that was not. OpenSSL reports a
    leaf more than once when there is something wrong with it, so its facts are kept meanwhile.
    While ``lenient`` the handshake goes on in spite of ``reason``.
    """

    __slots__ = (
        "_unreadable",
        "judged",
        "leaf",
        "lenient",
        "peer_text",
        "pins",
        "policy",
        "reason",
        "scope",
    )

    def __init__(
        self,
        policy: VerificationPolicy,
        pins: Mapping[bytes, frozenset[bytes]],
        scope: Scope,
        peer_text: str,
        *,
        lenient: bool = False,
    ) -> None:
        self.lenient = lenient
        self.policy = policy
        self.pins = pins
        self.scope = scope
        self.peer_text = peer_text
        self.leaf: LeafFacts | None = None
        self.judged = False
        self.reason = ""
        self._unreadable = NOT_JUDGED

    def step(self, certificate: X509, code: int, depth: int, *, ok: bool) -> bool:
        """Judge one report of OpenSSL and log it; the answer for the library."""
        subject = _Subject(certificate)
        scope = self.scope
        if scope.enabled(DEBUG):
            scope(VERIFY_STARTED, depth, subject)
        if depth == 0 and self.policy.inspects:
            self._read(certificate)
        error = None if ok else (code, verify_error_text(code))
        verdict = judge_step(self.policy, depth, error, self.leaf, self.pins)
        if not verdict.accepted:
            self.judged = False
            self.reason = self._unreadable if verdict.reason == NOT_JUDGED else verdict.reason
            put_out(scope, verdict.notes)
            scope(CERT_REJECTED, depth, subject)
            return self.lenient
        if ok and not self.reason:
            self._passed(depth, subject, verdict.notes)
        return True

    def _passed(self, depth: int, subject: _Subject, notes: tuple[Note, ...]) -> None:
        """Note and log that OpenSSL is done with one certificate."""
        scope = self.scope
        if depth > 0:
            if scope.enabled(INFO):
                scope(CERT_ACCEPTED, depth, subject)
            return
        self.judged = True
        self.leaf = None
        put_out(scope, notes)
        if scope.enabled(CERT_ACCEPTED_LEAF.level):
            scope(CERT_ACCEPTED_LEAF, subject)

    def _read(self, certificate: X509) -> None:
        """Take the facts of the leaf; there are none when it cannot be read, which rejects."""
        if self.leaf is None:
            try:
                self.leaf = facts_of_peer(certificate, self.policy)
            except Rejected as error:
                self._unreadable = error.reason


class _Subject:
    """The name of a certificate, which is parsed only when a sink takes it."""

    __slots__ = ("_raw", "_text")

    def __init__(self, raw: X509) -> None:
        self._raw = raw
        self._text = ""

    def __format__(self, spec: str) -> str:
        if not self._text:
            try:
                self._text = distinguished_name(self._raw.to_cryptography().subject)
            except Exception:  # noqa: BLE001 - a log line must not end a handshake
                self._text = "(unreadable subject)"
        return self._text


def put_out(scope: Scope, notes: tuple[Note, ...]) -> None:
    """Put out the events a verdict brought along."""
    for event, values in notes:
        scope(event, *values)


def verify(connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
    """OpenSSL's verify callback, the same function for every context.

    It never raises: pyOpenSSL would report the exception on whichever connection of the
    context fails next. The library's own verdict is returned where we agree with it, so that
    the peer gets the specific alert.
    """
    judgement = connection.get_app_data()
    if not isinstance(judgement, PeerJudgement):
        return False
    try:
        return judgement.step(certificate, code, depth, ok=bool(ok))
    except Exception as error:  # noqa: BLE001 - see above; every doubt rejects
        judgement.judged = False
        judgement.reason = f"{NOT_JUDGED}: {error}"
        return judgement.lenient
