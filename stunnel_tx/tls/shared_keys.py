"""Pre-shared keys put to use in a context, and what the log says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stunnel_tx.errors import OperatingError
from stunnel_tx.telemetry.events import PSK_IDENTITY_IGNORED, PSK_KEY_CONFIGURED, PSK_NOT_FOUND
from stunnel_tx.tls.binding.psk import KeyExchange, offer_key, serve_keys
from stunnel_tx.tls.errors import ContextRefused, FileUnusable
from stunnel_tx.tls.policy import Role
from stunnel_tx.tls.psk import choose_secret, keys_by_identity, load_secrets, shown_identity

if TYPE_CHECKING:
    from OpenSSL import SSL

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.policy import TLSPolicy

__all__ = ["set_shared_keys"]


def set_shared_keys(context: SSL.Context, policy: TLSPolicy, scope: Scope) -> KeyExchange | None:
    """Put pre-shared keys to use, with or beside a certificate; ``None`` where there are none.

    Raises :class:`FileUnusable`, or :class:`ContextRefused` where the library cannot do it.
    """
    path = policy.psk_file
    if path is None:
        return None
    server = policy.role is Role.SERVER
    secrets = load_secrets(path, scope)
    exchange = KeyExchange(_note_identity)
    try:
        if server:
            if policy.psk_identity is not None:
                scope(PSK_IDENTITY_IGNORED)
            serve_keys(context, keys_by_identity(secrets).get, exchange)
        else:
            secret = choose_secret(secrets, policy.psk_identity, path)
            offer_key(context, secret.identity, secret.key, exchange)
    except FileUnusable:
        raise
    except OperatingError as error:
        raise ContextRefused(policy.service, str(error)) from error
    return exchange


def _note_identity(scope: Scope, identity: bytes, key: bytes | None) -> None:
    """Log what became of an identity; a session ticket is shown as one too (RFC 8446 §4.2.11)."""
    if key is not None:
        scope(PSK_KEY_CONFIGURED, shown_identity(identity))
    elif scope.enabled(PSK_NOT_FOUND.level) and _is_text(identity):
        scope(PSK_NOT_FOUND, shown_identity(identity))


def _is_text(identity: bytes) -> bool:
    """True for what may be an identity; a ticket is seen up to its first NUL, maybe not at all."""
    try:
        return bool(identity) and identity.decode("utf-8").isprintable()
    except UnicodeDecodeError:
        return False
