"""Contexts: one per service and generation of its files, immutable once built.

Every call that can fail for the operator's reasons is here; what is done with a finished
context is in :mod:`stunnel_tx.tls.handshake`.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from attrs import evolve
from OpenSSL import SSL

from stunnel_tx.telemetry.events import (
    CRLS_LOADED,
    KEY_LOG,
    NO_RESUMPTION,
    TRUST_UNREADABLE,
    TRUSTED_CLIENT_CA,
    TRUSTED_SERVER_CA,
)
from stunnel_tx.telemetry.levels import INFO
from stunnel_tx.tls.algorithms import (
    set_algorithms,
    set_dh_parameters,
    set_options,
    set_versions,
)
from stunnel_tx.tls.alpn import set_protocols
from stunnel_tx.tls.binding.capabilities import capabilities
from stunnel_tx.tls.binding.contexts import clear_partial_write
from stunnel_tx.tls.binding.stores import AuthorityNames
from stunnel_tx.tls.client_identities import Candidate, ClientIdentities
from stunnel_tx.tls.connection import verify
from stunnel_tx.tls.errors import ContextRefused, FileUnusable
from stunnel_tx.tls.faults import first_reason
from stunnel_tx.tls.handshake import TLSContext, server_name_bytes
from stunnel_tx.tls.identity import load_identity
from stunnel_tx.tls.key_log import KeyLog, examine_key_log
from stunnel_tx.tls.names import distinguished_name
from stunnel_tx.tls.passphrases import Passphrases
from stunnel_tx.tls.pem import read_file
from stunnel_tx.tls.policy import Role
from stunnel_tx.tls.resumption import AcceptedPeers, SessionCache
from stunnel_tx.tls.revocations import recall_revocations
from stunnel_tx.tls.session_periods import SessionPeriods, TrustEnds, lifetime_of
from stunnel_tx.tls.shared_keys import set_shared_keys
from stunnel_tx.tls.shared_values import SharedValues
from stunnel_tx.tls.subjects import prepare_host_checks
from stunnel_tx.tls.trust import Trust, recall_trust
from stunnel_tx.tls.trust_stores import StoreContent, set_trust_store
from stunnel_tx.tls.validity import report_validity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.identity import Identity
    from stunnel_tx.tls.policy import TLSPolicy
    from stunnel_tx.tls.revocations import Revocations

__all__ = ["TLSContext", "build_context", "session_scope"]

#: The names servers send, by the certificates they are of; both live as long as a context.
_AUTHORITIES: Final = SharedValues[AuthorityNames]()


def build_context(
    policy: TLSPolicy,
    scope: Scope,
    ask: Callable[[str], bytes | None] | Passphrases,
    *,
    rehearsal: bool = False,
) -> TLSContext:
    """Read the files of *policy* and make its context.

    *ask* answers the prompt for a passphrase, or is the :class:`Passphrases` shared by all
    services. In a *rehearsal* no file is made, and the context is not for use. Raises
    :class:`~stunnel_tx.errors.OperatingError`, with the words "Failed to initialize TLS context"
    and the reason.
    """
    passphrases = ask if isinstance(ask, Passphrases) else Passphrases(ask)
    try:
        if rehearsal and policy.key_log is not None:
            examine_key_log(policy.key_log)
            policy = evolve(policy, key_log=None)
        return _build(policy, scope, passphrases)
    except FileUnusable as error:
        raise ContextRefused(policy.service, str(error)) from error
    except SSL.Error as error:
        raise ContextRefused(policy.service, first_reason(error)) from error


def _build(policy: TLSPolicy, scope: Scope, passphrases: Passphrases) -> TLSContext:
    verifies = policy.verification.evaluates
    if policy.role is Role.SERVER and verifies and not capabilities().session_scope:
        # Then there is no way to have a verification end.
        policy = evolve(policy, session_resume=False)
    context = _bare_context(policy, scope)
    identity = _set_identity(context, policy, scope, passphrases)
    set_dh_parameters(context, policy, scope)
    keys = set_shared_keys(context, policy, scope)
    trust, bundle = _load_trust(context, policy, scope)
    revocations = _load_store(context, policy, scope, bundle)
    _set_verification(context, policy)
    set_protocols(context, policy)
    _set_sessions(context, policy, scope)
    key_log = _open_key_log(context, policy, scope)
    try:
        server_name = server_name_bytes(policy.server_name)
    except UnicodeError as error:
        reason = f"'sni' is not a host name: {policy.server_name}"
        raise ContextRefused(policy.service, reason) from error
    ends = TrustEnds(_ends(trust, revocations) if verifies else ())
    lifetime = lifetime_of(policy.session_timeout)
    client, server = (policy.resumes and policy.role is each for each in (Role.CLIENT, Role.SERVER))
    return TLSContext(
        *(policy, context, identity, trust.pins, server_name, keys, revocations),
        sessions=SessionCache(lifetime, ends=ends) if client else None,
        peers=AcceptedPeers(lifetime) if policy.redirect else None,
        periods=(
            SessionPeriods(context, session_scope(policy), lifetime, ends)
            if server and verifies
            else None
        ),
        identities=_choice(context, policy, scope, passphrases, key_log),
    )


def _bare_context(policy: TLSPolicy, scope: Scope) -> SSL.Context:
    """A context that knows how to speak, but nothing of identities or trust yet."""
    server = policy.role is Role.SERVER
    context = SSL.Context(SSL.TLS_SERVER_METHOD if server else SSL.TLS_CLIENT_METHOD)
    set_versions(context, policy)
    set_algorithms(context, policy)
    set_options(context, policy, scope)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    clear_partial_write(context)
    return context


def _choice(
    context: SSL.Context,
    policy: TLSPolicy,
    scope: Scope,
    passphrases: Passphrases,
    key_log: KeyLog | None,
) -> ClientIdentities | None:
    """The identities to choose from, each in a context of its own."""
    candidates = []
    for path in policy.identity_files:
        own = evolve(policy, certificate_files=(path,), key_file=None)
        room = _bare_context(own, scope)
        identity = _set_identity(room, own, scope, passphrases)
        if key_log is not None:
            # What is derived after the choice is told to the context that was chosen.
            room.set_keylog_callback(key_log)
        if identity is not None:
            candidates.append(Candidate(path, identity, room))
    if not candidates:
        return None
    return ClientIdentities(context, candidates, fallback=bool(policy.certificate_files))


def _set_identity(
    context: SSL.Context, policy: TLSPolicy, scope: Scope, passphrases: Passphrases
) -> Identity | None:
    if not policy.certificate_files:
        return None
    identity = load_identity(policy.certificate_files, policy.key_file, passphrases, scope, context)
    try:
        context.use_certificate(identity.leaf)
        for certificate in identity.chain:
            context.add_extra_chain_cert(certificate)
        # Kinds of key that OpenSSL's TLS has no use for raise TypeError.
        context.use_privatekey(identity.key)  # type: ignore[arg-type]
    except (SSL.Error, TypeError) as error:
        reason = first_reason(error) if isinstance(error, SSL.Error) else str(error)
        raise FileUnusable(policy.certificate_files[0], reason) from error
    place = f"service [{policy.service}], {policy.certificate_files[0]}"
    report_validity(identity, place, scope, datetime.now(UTC))
    return identity


def _load_trust(
    context: SSL.Context, policy: TLSPolicy, scope: Scope
) -> tuple[Trust, bytes | None]:
    """The trusted certificates, and the content of the file some of them are from."""
    sources = policy.trust
    if sources.empty:
        return Trust(), None
    try:
        bundle = None if sources.ca_file is None else read_file(sources.ca_file)
        trust = recall_trust(context, sources, bundle, pins=policy.verification.pin)
    except FileUnusable as error:
        if policy.verification.evaluates:
            raise
        scope(TRUST_UNREADABLE, error)
        return Trust(), None
    server = policy.role is Role.SERVER
    if server and policy.verification.request and trust.certificates:
        names = _AUTHORITIES.find(trust) or AuthorityNames(trust.certificates)
        _AUTHORITIES.keep(context, trust, names)
        names.add_to(context)
    if scope.enabled(INFO):
        event = TRUSTED_CLIENT_CA if server else TRUSTED_SERVER_CA
        for certificate in trust.certificates:
            scope(event, distinguished_name(certificate.subject))
    return trust, bundle


def _load_store(
    context: SSL.Context, policy: TLSPolicy, scope: Scope, bundle: bytes | None
) -> Revocations | None:
    """Have every certificate that matters looked up, also in the revocation lists there are."""
    sources, lists = policy.revocation, None
    if sources.crl_file is not None:
        lists = read_file(sources.crl_file)
    loaded = recall_revocations(context, sources, lists, policy.trust.chroot)
    if not policy.verification.evaluates:
        return None
    if loaded is not None or not policy.trust.empty:
        set_trust_store(context, policy, StoreContent(bundle, lists, loaded))
    if loaded is not None and sources.crl_file is not None:
        scope(CRLS_LOADED, len(loaded.lists), sources.crl_file)
    return loaded


def _ends(trust: Trust, revocations: Revocations | None) -> Iterator[datetime]:
    """When what peers are verified by ends, each certificate and each list for itself."""
    for certificate in trust.certificates:
        yield certificate.not_valid_after_utc
    if revocations is not None:
        yield from revocations.ends


def _open_key_log(context: SSL.Context, policy: TLSPolicy, scope: Scope) -> KeyLog | None:
    if policy.key_log is None:
        return None
    key_log = KeyLog(policy.key_log)
    context.set_keylog_callback(key_log)
    scope(KEY_LOG, policy.key_log)
    return key_log


def _set_verification(context: SSL.Context, policy: TLSPolicy) -> None:
    rules = policy.verification
    if not rules.request:
        context.set_verify(SSL.VERIFY_NONE)
        return
    if rules.hosts:
        prepare_host_checks()
    mode = SSL.VERIFY_PEER
    if rules.require and not policy.redirect:
        mode |= SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    context.set_verify(mode, verify)


def session_scope(policy: TLSPolicy) -> bytes:
    """The session id context of *policy*, 32 bytes: the service and what it asks of its peers.

    A session made under other rules is then no session at all (CVE-2025-23419), even where
    contexts share their ticket keys.
    """
    keys = (policy.psk_file, policy.psk_identity)
    peers = (policy.verification, policy.trust, policy.revocation, policy.redirect)
    rules = repr((policy.service, *peers, keys))
    return hashlib.sha256(rules.encode("utf-8", "backslashreplace")).digest()


def _set_sessions(context: SSL.Context, policy: TLSPolicy, scope: Scope) -> None:
    """Set who may resume, and for how long; clients keep their sessions outside of the library."""
    if policy.role is Role.SERVER or policy.psk_file is None:
        # OpenSSL takes an external key for a session, one without any scope.
        context.set_session_id(session_scope(policy))
    if policy.session_resume and policy.unresumable:
        scope(NO_RESUMPTION, policy.unresumable)
    keeps = policy.resumes and policy.role is Role.SERVER
    context.set_session_cache_mode(SSL.SESS_CACHE_SERVER if keeps else SSL.SESS_CACHE_OFF)
    context.set_timeout(policy.session_timeout)
