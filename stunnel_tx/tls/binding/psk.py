"""Pre-shared keys in OpenSSL's own callbacks, which pyOpenSSL does not offer.

The older pair of callbacks serves TLS 1.2 (RFC 4279) and TLS 1.3 (external PSK of RFC 8446
§2.2, for suites with SHA-256) alike. OpenSSL never frees what it was given: the callbacks live
as long as their context, and nothing they do may raise.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from stunnel_tx.errors import OperatingError
from stunnel_tx.tls.binding.capabilities import private_library

if TYPE_CHECKING:
    from collections.abc import Callable

    from OpenSSL import SSL

__all__ = ["KeyExchange", "offer_key", "serve_keys"]

_SERVER_SIGNATURE: Final = "unsigned int(SSL *, const char *, unsigned char *, unsigned int)"
_CLIENT_SIGNATURE: Final = (
    "unsigned int(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)"
)

#: The callbacks of each context, kept from the garbage collector.
_callbacks: weakref.WeakKeyDictionary[SSL.Context, Any] = weakref.WeakKeyDictionary()


class KeyExchange:
    """What the callbacks of one context have done, connection by connection.

    ``found`` is called with the identity that a peer showed and the key that was found for it,
    ``None`` for none, together with what was registered for the connection.
    """

    def __init__(self, found: Callable[[Any, bytes, bytes | None], None]) -> None:
        self._found = found
        self._watched: dict[int, tuple[Any, list[bytes]]] = {}

    def watch(self, connection: SSL.Connection, about: Any) -> None:
        """Remember *about* for the callbacks of *connection*, as long as it lives."""
        address = _address(connection._ssl)
        entry = (about, list[bytes]())
        self._watched[address] = entry
        weakref.finalize(connection, self._forget, address, entry)

    def identity(self, connection: SSL.Connection) -> bytes | None:
        """The identity whose key was handed to OpenSSL for *connection*, if any was."""
        entry = self._watched.get(_address(connection._ssl))
        return entry[1][-1] if entry and entry[1] else None

    def note(self, ssl: Any, identity: bytes, key: bytes | None) -> None:
        """Keep and tell what was found for the connection behind *ssl*."""
        entry = self._watched.get(_address(ssl))
        if entry is None:
            return
        if key is not None:
            entry[1].append(identity)
        self._found(entry[0], identity, key)

    def _forget(self, address: int, entry: tuple[Any, list[bytes]]) -> None:
        # The address may belong to a newer connection by now.
        if self._watched.get(address) is entry:
            del self._watched[address]


def serve_keys(
    context: SSL.Context, key_of: Callable[[bytes], bytes | None], exchange: KeyExchange
) -> None:
    """Let clients of *context* authenticate by the keys that *key_of* knows.

    Raises :class:`~stunnel_tx.errors.OperatingError` where the library offers no callbacks.
    """
    lib, ffi = _library()

    def answer(ssl: Any, shown: Any, room: Any, size: int) -> int:
        identity = b"" if shown == ffi.NULL else bytes(ffi.string(shown))
        key = key_of(identity)
        if key is not None and len(key) > size:
            key = None
        exchange.note(ssl, identity, key)
        if key is None:
            return 0
        ffi.memmove(room, key, len(key))
        return len(key)

    callback = ffi.callback(_SERVER_SIGNATURE, _guarded(answer))
    lib.SSL_CTX_set_psk_server_callback(context._context, callback)
    _callbacks[context] = callback


def offer_key(context: SSL.Context, identity: bytes, key: bytes, exchange: KeyExchange) -> None:
    """Make the clients of *context* show *identity* and use *key*.

    Raises :class:`~stunnel_tx.errors.OperatingError` where the library offers no callbacks.
    """
    lib, ffi = _library()

    def answer(
        ssl: Any, _hint: Any, identity_room: Any, identity_size: int, room: Any, size: int
    ) -> int:
        if len(identity) >= identity_size or len(key) > size:
            return 0
        ffi.memmove(identity_room, identity + b"\0", len(identity) + 1)
        ffi.memmove(room, key, len(key))
        exchange.note(ssl, identity, key)
        return len(key)

    callback = ffi.callback(_CLIENT_SIGNATURE, _guarded(answer))
    lib.SSL_CTX_set_psk_client_callback(context._context, callback)
    _callbacks[context] = callback


def _guarded(answer: Callable[..., int]) -> Callable[..., int]:
    """*answer*, with 0 (no key) for whatever goes wrong: C cannot take an exception."""

    def call(*arguments: Any) -> int:
        try:
            return answer(*arguments)
        except Exception:  # noqa: BLE001 - see above; without a key the handshake fails
            return 0

    return call


def _library() -> tuple[Any, Any]:
    found = private_library()
    needed = ("SSL_CTX_set_psk_server_callback", "SSL_CTX_set_psk_client_callback")
    if found is None or not all(hasattr(found[0], name) for name in needed):
        raise OperatingError(
            "this pyOpenSSL has no pre-shared keys; install the releases named in the manual"
        )
    return found


def _address(ssl: Any) -> int:
    lib_ffi = private_library()
    return int(lib_ffi[1].cast("uintptr_t", ssl)) if lib_ffi else 0
