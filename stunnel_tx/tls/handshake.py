"""A finished context at work: making connections, and judging the finished handshake."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING

from attrs import frozen
from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_ASN1, dump_certificate

from stunnel_tx.errors import Rejected
from stunnel_tx.telemetry.events import (
    ALPN_NEGOTIATED,
    ALPN_NONE,
    CIPHERSUITE,
    NEGOTIATED_GROUP,
    PEER_CERT_NOT_REQUIRED,
    PEER_CERT_REQUIRED,
    SNI_DISABLED,
    SNI_SENDING,
    TLS_ACCEPTED_NEW,
    TLS_ACCEPTED_PSK,
    TLS_ACCEPTED_REUSED,
    TLS_CONNECTED_NEW,
    TLS_CONNECTED_PSK,
    TLS_CONNECTED_REUSED,
)
from stunnel_tx.telemetry.levels import INFO
from stunnel_tx.tls.alpn import NO_PROTOCOL
from stunnel_tx.tls.binding.contexts import session_reused
from stunnel_tx.tls.binding.sessions import session_id
from stunnel_tx.tls.connection import PeerJudgement, facts_of, put_out
from stunnel_tx.tls.peer_facts import facts_of_peer
from stunnel_tx.tls.policy import Role
from stunnel_tx.tls.verification import (
    ACCEPTED,
    NOT_JUDGED,
    Outcome,
    Verdict,
    judge_finished,
    judge_or_redirect,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from socket import socket

    from OpenSSL.crypto import X509

    from stunnel_tx.telemetry.events import Event
    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.binding.psk import KeyExchange
    from stunnel_tx.tls.client_identities import ClientIdentities
    from stunnel_tx.tls.connection import TLSFacts
    from stunnel_tx.tls.facts import LeafFacts
    from stunnel_tx.tls.identity import Identity
    from stunnel_tx.tls.policy import TLSPolicy
    from stunnel_tx.tls.resumption import AcceptedPeers, SessionCache
    from stunnel_tx.tls.session_periods import SessionPeriods
    from stunnel_tx.tls.verification import RevocationLists

__all__ = ["TLSContext", "server_name_bytes"]

_EVENTS = {
    (Role.SERVER, False): TLS_ACCEPTED_NEW,
    (Role.SERVER, True): TLS_ACCEPTED_REUSED,
    (Role.CLIENT, False): TLS_CONNECTED_NEW,
    (Role.CLIENT, True): TLS_CONNECTED_REUSED,
}


@frozen(eq=False)
class TLSContext:
    """A policy made ready: the source of one service's connections.

    ``identity`` is ``None`` where there is no certificate, ``keys`` and ``revocations`` where
    there are no pre-shared keys and no revocation lists; ``sessions`` are those of a client that
    resumes, ``periods`` those of a server that resumes peers it has verified, ``peers`` those a
    redirecting server has accepted, ``identities`` the certificates a client chooses from. Made
    by :func:`stunnel_tx.tls.context.build_context`.
    """

    policy: TLSPolicy
    context: SSL.Context
    identity: Identity | None
    pins: Mapping[bytes, frozenset[bytes]]
    _server_name: bytes | None
    keys: KeyExchange | None = None
    revocations: RevocationLists | None = None
    sessions: SessionCache | None = None
    peers: AcceptedPeers | None = None
    identities: ClientIdentities | None = None
    periods: SessionPeriods | None = None

    def connection(
        self, sock: socket, scope: Scope, peer_text: str, target: str = ""
    ) -> SSL.Connection:
        """A connection on the non-blocking *sock*, ready for its handshake.

        *peer_text* is the peer's address as it appears in the log. *target* tells servers apart
        that a client service keeps separate sessions for.
        """
        policy = self.policy
        if self.periods is not None:
            self.periods.refresh()
        connection = SSL.Connection(self.context, sock)
        verification = policy.verification
        if verification.request:
            judgement = PeerJudgement(
                verification, self.pins, scope, peer_text, lenient=policy.redirect
            )
            connection.set_app_data(judgement)
        if self.keys is not None:
            self.keys.watch(connection, scope)
        if policy.role is Role.SERVER:
            connection.set_accept_state()
        else:
            connection.set_connect_state()
            if self._server_name is not None:
                connection.set_tlsext_host_name(self._server_name)
            if self.sessions is not None:
                self.sessions.offer(connection, target, scope)
        if scope.enabled(INFO):
            self._announce(scope)
        return connection

    def finish(self, connection: SSL.Connection, scope: Scope) -> Outcome:
        """Give the verdict after the handshake of *connection*, full or resumed.

        Nothing may be passed on before this has returned, and to whom depends on the answer:
        UNAUTHENTICATED is for peers to be redirected. Raises
        :class:`~stunnel_tx.errors.Rejected` when the peer is turned away.
        """
        outcome = Outcome.ACCEPTED
        if self.policy.verification.request:
            outcome = self._settle(connection, scope)
        if self.policy.alpn_required and not connection.get_alpn_proto_negotiated():
            raise Rejected(NO_PROTOCOL)
        if self.identities is not None:
            self.identities.settle(connection, scope)
        if self.sessions is not None:
            self.sessions.accepted(connection)
        if scope.enabled(INFO):
            self._describe(connection, scope)
        return outcome

    def release(self, connection: SSL.Connection) -> None:
        """Take what is worth keeping of *connection*, which is about to be let go."""
        if self.sessions is not None:
            self.sessions.release(connection)

    def rejection(self, connection: SSL.Connection) -> str:
        """Why the peer's certificate was turned down during the handshake; empty if it was not."""
        judgement = connection.get_app_data()
        return judgement.reason if isinstance(judgement, PeerJudgement) else ""

    def facts(self, connection: SSL.Connection) -> TLSFacts:
        """What was negotiated on *connection*, once its handshake is done."""
        return facts_of(connection)

    def _settle(self, connection: SSL.Connection, scope: Scope) -> Outcome:
        judgement = connection.get_app_data()
        judged = isinstance(judgement, PeerJudgement) and judgement.judged
        certificate = connection.get_peer_certificate()
        if self.peers is not None:
            verdict = self._judge_for_redirect(connection, certificate, judgement, self.peers)
        elif certificate is None:
            verdict = self._judge(connection, None, judged=judged)
        elif judged or not self.policy.verification.evaluates:
            # The steps have accepted it, or nothing can turn it down: that it is there is all
            # that is left to ask.
            return Outcome.ACCEPTED
        else:
            verdict = self._judge(connection, self._facts(certificate), judged=judged)
        put_out(scope, verdict.notes)
        if verdict.outcome is Outcome.REJECTED:
            raise Rejected(verdict.reason)
        return verdict.outcome

    def _judge(
        self, connection: SSL.Connection, leaf: LeafFacts | None, *, judged: bool
    ) -> Verdict:
        return judge_finished(
            self.policy.verification,
            leaf,
            self.pins,
            judged=judged,
            resumed=session_reused(connection),
            now=_now(),
            keyed=self._by_key(connection),
            revocations=self.revocations,
        )

    def _judge_for_redirect(
        self,
        connection: SSL.Connection,
        certificate: X509 | None,
        judgement: object,
        peers: AcceptedPeers,
    ) -> Verdict:
        """The verdict of a service that leads rejected peers elsewhere; keeps it for resumption."""
        failure = NOT_JUDGED
        judged = False
        if isinstance(judgement, PeerJudgement):
            failure, judged = judgement.reason, judgement.judged
            # From here on, in a renegotiation, a certificate that fails is not let through.
            judgement.lenient = False
        if certificate is None:
            keyed = self._by_key(connection)
            return judge_or_redirect(None, lambda: ACCEPTED, known=False, keyed=keyed)
        digest = sha256(dump_certificate(FILETYPE_ASN1, certificate)).digest()
        try:
            leaf = self._facts(certificate)
        except Rejected as error:
            peers.discard(digest)
            return Verdict(Outcome.UNAUTHENTICATED, error.reason)
        verdict = judge_or_redirect(
            leaf,
            lambda: self._judge(connection, leaf, judged=judged),
            known=judged or digest in peers,
            keyed=False,
            failure=failure,
        )
        if verdict.outcome is Outcome.ACCEPTED:
            peers.add(digest)
        else:
            peers.discard(digest)
        return verdict

    def _facts(self, certificate: X509) -> LeafFacts:
        """What is judged of *certificate*; raises Rejected for one that cannot be read."""
        listed = self.revocations is not None
        return facts_of_peer(certificate, self.policy.verification, revocable=listed)

    def _by_key(self, connection: SSL.Connection) -> bool:
        """True when the peer has proved to know a pre-shared key, now or in the session resumed."""
        if self.keys is None:
            return False
        cipher = connection.get_cipher_name() or ""
        if connection.get_protocol_version_name() != "TLSv1.3":
            return "PSK" in cipher
        if not session_reused(connection):
            return False
        # Where certificates are required of all others, a session without one can only be of
        # a key. Elsewhere the key must have been used now: one that was merely found may have
        # been passed over, but not with a suite of its own hash, SHA-256.
        found = self.keys.identity(connection) is not None and cipher.endswith("SHA256")
        alone = self.policy.verification.require and not self.policy.redirect
        return alone or found

    def resumed(self, connection: SSL.Connection) -> bool:
        """True when the handshake of *connection*, just finished, has resumed a session.

        To OpenSSL a pre-shared key in TLS 1.3 is a session too; here it is not.
        """
        return bool(session_reused(connection)) and not self._by_key_now(connection)

    def _by_key_now(self, connection: SSL.Connection) -> bool:
        """True when it was a pre-shared key that this very handshake went by."""
        keys = self.keys
        if keys is None or keys.identity(connection) is None or not self._by_key(connection):
            return False
        if self.policy.role is Role.SERVER:
            return True
        # A client shows its key beside its ticket. In TLS 1.3 only a ticket gives an id to a
        # session, and the next one has not been read yet.
        session = connection.get_session()
        ticket = session is not None and bool(session_id(session))
        return not (ticket and session_reused(connection))

    def _announce(self, scope: Scope) -> None:
        """Say what is about to be asked of the peer."""
        required = self.policy.verification.require
        scope(PEER_CERT_REQUIRED if required else PEER_CERT_NOT_REQUIRED)
        if self.policy.role is Role.CLIENT:
            if self._server_name is None:
                scope(SNI_DISABLED)
            else:
                scope(SNI_SENDING, self._server_name.decode("ascii"))

    def _outcome(self, connection: SSL.Connection) -> Event:
        """The line that tells a new session, a resumed one and one by a pre-shared key apart."""
        role = self.policy.role
        if self._by_key_now(connection):
            return TLS_ACCEPTED_PSK if role is Role.SERVER else TLS_CONNECTED_PSK
        return _EVENTS[role, bool(session_reused(connection))]

    def _describe(self, connection: SSL.Connection, scope: Scope) -> None:
        """Say what was negotiated."""
        scope(self._outcome(connection))
        facts = facts_of(connection)
        scope(CIPHERSUITE, facts.version, facts.cipher, facts.bits)
        if facts.group is not None:
            scope(NEGOTIATED_GROUP, facts.version, facts.group)
        if facts.alpn is not None:
            scope(ALPN_NEGOTIATED, facts.alpn)
        elif self.policy.alpn:
            scope(ALPN_NONE)


def _now() -> datetime:
    return datetime.now(UTC)


def server_name_bytes(name: str | None) -> bytes | None:
    """*name* as it goes on the wire; ``None`` for IP addresses (RFC 6066 §3 excludes them).

    Raises ``UnicodeError`` for a name that has no ASCII form.
    """
    if not name:
        return None
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return name.rstrip(".").encode("idna")
    return None
