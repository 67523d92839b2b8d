"""Calls to OpenSSL that pyOpenSSL does not offer, for contexts and connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stunnel_tx.tls.binding.capabilities import private_library

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec
    from OpenSSL import SSL

__all__ = [
    "clear_partial_write",
    "option_bits",
    "session_reused",
    "set_groups",
    "set_session_scope",
    "set_signature_algorithms",
    "verify_error_text",
]

_found = private_library()
_lib: Any = _found[0] if _found else None
_ffi: Any = _found[1] if _found else None

# A value of OpenSSL's public headers; the name is private in pyOpenSSL.
_ENABLE_PARTIAL_WRITE = 1

# The chain and purpose errors people meet most (openssl-verification-options, "DIAGNOSTICS").
_ERROR_TEXTS = {
    9: "certificate is not yet valid",
    10: "certificate has expired",
    18: "self-signed certificate",
    19: "self-signed certificate in certificate chain",
    20: "unable to get local issuer certificate",
    21: "unable to verify the first certificate",
}


def set_groups(context: SSL.Context, groups: str) -> bool:
    """Make *groups* (names joined by ``:``, best first) the key exchange groups of *context*.

    Without the private call only a single elliptic curve can be set. False when the library
    does not know one of the names, or when the list cannot be set at all.
    """
    setter = getattr(_lib, "SSL_CTX_set1_curves_list", None)
    pointer = getattr(context, "_context", None)
    if setter is not None and pointer is not None:
        if setter(pointer, groups.encode("utf-8")) == 1:
            return True
        _lib.ERR_clear_error()
        return False
    curve = _single_curve(groups)
    if curve is None:
        return False
    context.set_tmp_ecdh(curve)
    return True


def set_signature_algorithms(context: SSL.Context, algorithms: str) -> bool:
    """Make *algorithms* (names joined by ``:``, best first) those of *context*.

    False when the library knows none of the names, or when the list cannot be set at all.
    """
    setter = getattr(_lib, "SSL_CTX_set1_sigalgs_list", None)
    pointer = getattr(context, "_context", None)
    if setter is None or pointer is None:
        return False
    if setter(pointer, algorithms.encode("utf-8")) == 1:
        return True
    _lib.ERR_clear_error()
    return False


def _single_curve(groups: str) -> ec.EllipticCurve | None:
    from cryptography.hazmat.primitives.asymmetric import ec

    curves: dict[str, type[ec.EllipticCurve]] = {
        "P-256": ec.SECP256R1,
        "PRIME256V1": ec.SECP256R1,
        "SECP256R1": ec.SECP256R1,
        "P-384": ec.SECP384R1,
        "SECP384R1": ec.SECP384R1,
        "P-521": ec.SECP521R1,
        "SECP521R1": ec.SECP521R1,
    }
    curve = curves.get(groups.upper())
    return None if curve is None else curve()


def clear_partial_write(context: SSL.Context) -> None:
    """Make one write put out everything it was given, record by record.

    pyOpenSSL switches partial writes on for every context.
    """
    context.clear_mode(getattr(_lib, "SSL_MODE_ENABLE_PARTIAL_WRITE", _ENABLE_PARTIAL_WRITE))


def option_bits(context: SSL.Context) -> int:
    """The option mask of *context* as it stands now."""
    return context.set_options(0)


def session_reused(connection: SSL.Connection) -> bool | None:
    """Whether the handshake of *connection* resumed a session; ``None`` where nobody can tell."""
    asker = getattr(_lib, "SSL_session_reused", None)
    pointer = getattr(connection, "_ssl", None)
    if asker is None or pointer is None:
        return None
    return bool(asker(pointer))


def set_session_scope(context: SSL.Context, scope: bytes) -> bool:
    """Make *scope*, of 32 bytes at most, the session id context of *context* from now on.

    It counts for connections made later. pyOpenSSL sets it before the first one only. False when
    it cannot be set.
    """
    setter = getattr(_lib, "SSL_CTX_set_session_id_context", None)
    pointer = getattr(context, "_context", None)
    if setter is None or pointer is None:
        return False
    return bool(setter(pointer, scope, len(scope)) == 1)


def verify_error_text(code: int) -> str:
    """OpenSSL's words for the X.509 verification error *code*."""
    namer = getattr(_lib, "X509_verify_cert_error_string", None)
    if namer is not None and _ffi is not None:
        return str(_ffi.string(namer(code)).decode("utf-8", "replace"))
    return _ERROR_TEXTS.get(code, f"certificate verification error {code}")
