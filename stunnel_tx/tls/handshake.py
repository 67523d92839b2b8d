"""A finished context at work: making connections, and judging the finished handshake."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING

from attrs import frozen
from OpenSSL import SSL

from stunnel_tx.errors import Rejected
from stunnel_tx.telemetry.events import (
    CIPHERSUITE,
    NEGOTIATED_GROUP,
    PEER_CERT_NOT_REQUIRED,
    PEER_CERT_REQUIRED,
    SNI_DISABLED,
    SNI_SENDING,
    TLS_ACCEPTED_NEW,
    TLS_ACCEPTED_REUSED,
    TLS_CONNECTED_NEW,
    TLS_CONNECTED_REUSED,
)
from stunnel_tx.telemetry.levels import INFO
from stunnel_tx.tls.binding.contexts import session_reused
from stunnel_tx.tls.connection import PeerJudgement, facts_of, put_out
from stunnel_tx.tls.facts import leaf_facts
from stunnel_tx.tls.policy import Role
from stunnel_tx.tls.verification import NOT_JUDGED, Outcome, judge_finished

if TYPE_CHECKING:
    from collections.abc import Mapping
    from socket import socket

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.connection import TLSFacts
    from stunnel_tx.tls.identity import Identity
    from stunnel_tx.tls.policy import TLSPolicy

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

    ``identity`` is ``None`` for a client without a certificate. Made by
    :func:`stunnel_tx.tls.context.build_context`.
    """

    policy: TLSPolicy
    context: SSL.Context
    identity: Identity | None
    pins: Mapping[bytes, frozenset[bytes]]
    _server_name: bytes | None

    def connection(self, sock: socket, scope: Scope, peer_text: str) -> SSL.Connection:
        """A connection on the non-blocking *sock*, ready for its handshake.

        *peer_text* is the peer's address as it appears in the log.
        """
        policy = self.policy
        connection = SSL.Connection(self.context, sock)
        verification = policy.verification
        if verification.request:
            judgement = PeerJudgement(verification, self.pins, scope, peer_text)
            connection.set_app_data(judgement)
        if policy.role is Role.SERVER:
            connection.set_accept_state()
        else:
            connection.set_connect_state()
            if self._server_name is not None:
                connection.set_tlsext_host_name(self._server_name)
        if scope.enabled(INFO):
            self._announce(scope)
        return connection

    def finish(self, connection: SSL.Connection, scope: Scope) -> None:
        """Give the verdict after the handshake of *connection*, full or resumed.

        Nothing may be passed on before this has returned. Raises
        :class:`~stunnel_tx.errors.Rejected` when the peer is turned away.
        """
        if self.policy.verification.request:
            self._settle(connection, scope)
        if scope.enabled(INFO):
            self._describe(connection, scope)

    def rejection(self, connection: SSL.Connection) -> str:
        """Why the peer's certificate was turned down during the handshake; empty if it was not."""
        judgement = connection.get_app_data()
        return judgement.reason if isinstance(judgement, PeerJudgement) else ""

    def facts(self, connection: SSL.Connection) -> TLSFacts:
        """What was negotiated on *connection*, once its handshake is done."""
        return facts_of(connection)

    def _settle(self, connection: SSL.Connection, scope: Scope) -> None:
        judgement = connection.get_app_data()
        judged = isinstance(judgement, PeerJudgement) and judgement.judged
        certificate = connection.get_peer_certificate()
        leaf = None
        if certificate is not None:
            if judged or not self.policy.verification.evaluates:
                # The steps have accepted it, or nothing can turn it down: that it is there
                # is all that is left to ask.
                return
            try:
                leaf = leaf_facts(certificate.to_cryptography())
            except ValueError as error:
                raise Rejected(f"{NOT_JUDGED}: {error}") from error
        verdict = judge_finished(
            self.policy.verification,
            leaf,
            self.pins,
            judged=judged,
            resumed=session_reused(connection),
            now=_now(),
        )
        put_out(scope, verdict.notes)
        if verdict.outcome is not Outcome.ACCEPTED:
            raise Rejected(verdict.reason)

    def _announce(self, scope: Scope) -> None:
        """Say what is about to be asked of the peer."""
        required = self.policy.verification.require
        scope(PEER_CERT_REQUIRED if required else PEER_CERT_NOT_REQUIRED)
        if self.policy.role is Role.CLIENT:
            if self._server_name is None:
                scope(SNI_DISABLED)
            else:
                scope(SNI_SENDING, self._server_name.decode("ascii"))

    def _describe(self, connection: SSL.Connection, scope: Scope) -> None:
        """Say what was negotiated."""
        role = self.policy.role
        scope(_EVENTS[role, bool(session_reused(connection))])
        facts = facts_of(connection)
        scope(CIPHERSUITE, facts.version, facts.cipher, facts.bits)
        if facts.group is not None:
            scope(NEGOTIATED_GROUP, facts.version, facts.group)


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
