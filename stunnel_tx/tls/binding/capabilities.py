"""What the OpenSSL underneath this installation can do, by name."""

from __future__ import annotations

from functools import cache
from typing import Any

from attrs import frozen
from OpenSSL import SSL

from stunnel_tx.tls.binding.records import direct_available

__all__ = ["Capabilities", "capabilities", "default_store_places", "private_library"]

#: OPENSSLDIR of the library that cryptography's wheels from PyPI carry inside.
WHEEL_DIRECTORY = "/opt/pyca/"


@frozen
class Capabilities:
    """What can be asked of this installation; each ``bool`` is one ability beyond the public API.

    ``bundled`` is true when cryptography brought an OpenSSL of its own (the wheel from PyPI),
    false when it is linked to the system's. ``version`` and ``directory`` are OpenSSL's texts.
    """

    version: str
    version_number: int
    directory: str
    bundled: bool
    groups: bool
    signature_algorithms: bool
    psk: bool
    session_reused: bool
    session_text: bool
    session_scope: bool
    certificate_callback: bool
    raw_records: bool


def private_library() -> tuple[Any, Any] | None:
    """The binding of pyOpenSSL to OpenSSL, as ``(lib, ffi)``, or ``None`` where it has moved."""
    try:
        from OpenSSL._util import ffi, lib
    except ImportError:
        return None
    return lib, ffi


@cache
def capabilities() -> Capabilities:
    """Find out once what this installation can do."""
    found = private_library()
    lib = found[0] if found else None

    def has(*names: str) -> bool:
        return lib is not None and all(hasattr(lib, name) for name in names)

    directory = _text(SSL.OPENSSL_DIR)
    return Capabilities(
        version=_text(SSL.OPENSSL_VERSION),
        version_number=SSL.OPENSSL_VERSION_NUMBER,
        directory=directory,
        bundled=WHEEL_DIRECTORY in directory,
        groups=has("SSL_CTX_set1_curves_list"),
        signature_algorithms=has("SSL_CTX_set1_sigalgs_list"),
        psk=has("SSL_CTX_set_psk_server_callback", "SSL_CTX_set_psk_client_callback"),
        session_reused=has("SSL_session_reused"),
        session_text=has("i2d_SSL_SESSION", "d2i_SSL_SESSION"),
        session_scope=has("SSL_CTX_set_session_id_context"),
        certificate_callback=has("SSL_CTX_set_cert_cb"),
        raw_records=direct_available(),
    )


@cache
def default_store_places() -> tuple[str, ...]:
    """The file and the directory of trusted certificates that OpenSSL was built with."""
    found = private_library()
    if found is None:
        return ()
    lib, ffi = found
    names = ("X509_get_default_cert_file", "X509_get_default_cert_dir")
    return tuple(
        ffi.string(getattr(lib, name)()).decode("utf-8", "surrogateescape")
        for name in names
        if hasattr(lib, name)
    )


def _text(which: int) -> str:
    return SSL.OpenSSL_version(which).decode("utf-8", "replace")
