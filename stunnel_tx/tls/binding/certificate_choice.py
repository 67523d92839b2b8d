"""The moment in which a client chooses its certificate, which pyOpenSSL does not offer.

OpenSSL asks when it is about to answer a server's request for a certificate, with the names of
the authorities the server trusts at hand. The callback lives as long as its context, and
nothing it does may raise.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from OpenSSL import SSL

from stunnel_tx.errors import OperatingError
from stunnel_tx.tls.binding.capabilities import private_library

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["authority_names", "when_asked"]

_SIGNATURE: Final = "int(SSL *, void *)"

#: The callback of each context, kept from the garbage collector.
_callbacks: weakref.WeakKeyDictionary[SSL.Context, Any] = weakref.WeakKeyDictionary()


def when_asked(context: SSL.Context, choose: Callable[[SSL.Connection], None]) -> None:
    """Call *choose* with each connection of *context* that is asked for a certificate.

    What it raises fails the handshake. Raises :class:`~stunnel_tx.errors.OperatingError` where
    the library offers no such callback.
    """
    found = private_library()
    connections = getattr(SSL.Connection, "_reverse_mapping", None)
    if found is None or connections is None or not hasattr(found[0], "SSL_CTX_set_cert_cb"):
        raise OperatingError(
            "this pyOpenSSL cannot choose among client certificates; install the releases named "
            "in the manual, or use 'cert' alone"
        )
    lib, ffi = found

    def answer(ssl: Any, _nothing: Any) -> int:
        try:
            choose(connections[ssl])
        except Exception:  # noqa: BLE001 - C cannot take an exception; 0 fails the handshake
            return 0
        return 1

    callback = ffi.callback(_SIGNATURE, answer)
    lib.SSL_CTX_set_cert_cb(context._context, callback, ffi.NULL)
    _callbacks[context] = callback


def authority_names(connection: SSL.Connection) -> frozenset[bytes]:
    """The names (DER) of the authorities whose certificates the server says it takes."""
    return frozenset(name.der() for name in connection.get_client_ca_list())
