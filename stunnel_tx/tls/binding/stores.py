"""One store of trusted certificates for several contexts, which pyOpenSSL does not offer.

OpenSSL counts the references to a store, and locks it while it is searched
(X509_STORE_up_ref(3), SSL_CTX_set_cert_store(3)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stunnel_tx.tls.binding.capabilities import private_library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.x509 import Certificate
    from OpenSSL import SSL

__all__ = ["AuthorityNames", "CertificateStore", "store_of", "use_store"]

_found = private_library()
_lib: Any = _found[0] if _found else None
_ffi: Any = _found[1] if _found else None

_STORE_CALLS = (
    *("X509_STORE_up_ref", "X509_STORE_free"),
    *("SSL_CTX_get_cert_store", "SSL_CTX_set_cert_store"),
)


class CertificateStore:
    """A reference to a store, of which nothing is to be changed any more."""

    __slots__ = ("__weakref__", "pointer")

    def __init__(self, pointer: Any) -> None:
        self.pointer = pointer


def _reference(pointer: Any) -> bool:
    return bool(_lib.X509_STORE_up_ref(pointer) == 1)


def store_of(context: SSL.Context) -> CertificateStore | None:
    """The store of *context*, to be used in others; ``None`` where that cannot be done."""
    pointer = getattr(context, "_context", None)
    if pointer is None or not all(hasattr(_lib, name) for name in _STORE_CALLS):
        return None
    store = _lib.SSL_CTX_get_cert_store(pointer)
    if store == _ffi.NULL or not _reference(store):
        return None
    return CertificateStore(_ffi.gc(store, _lib.X509_STORE_free))


def use_store(context: SSL.Context, store: CertificateStore) -> bool:
    """Make *store* that of *context*, whose own is gone then; False where that cannot be done."""
    pointer = getattr(context, "_context", None)
    if pointer is None or not _reference(store.pointer):
        return False
    # The context takes over the reference that was counted.
    _lib.SSL_CTX_set_cert_store(pointer, store.pointer)
    return True


class AuthorityNames:
    """The subjects of certificates, as servers send them to ask for one (RFC 8446 §4.2.4)."""

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        from OpenSSL.crypto import X509

        self._plain = certificates
        direct = hasattr(_lib, "SSL_CTX_add_client_CA")
        self._parsed = [X509.from_cryptography(each) for each in certificates if direct]

    def add_to(self, context: SSL.Context) -> None:
        """Have *context* ask for certificates of these authorities, after those it has."""
        pointer = getattr(context, "_context", None)
        if not self._parsed or pointer is None:
            for certificate in self._plain:
                context.add_client_ca(certificate)
            return
        for parsed in self._parsed:
            if _lib.SSL_CTX_add_client_CA(pointer, parsed._x509) != 1:
                raise MemoryError("no room for the names of trusted certificates")
