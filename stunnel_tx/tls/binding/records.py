"""TLS record input and output on OpenSSL's own functions, with the public API as fall-back.

Two implementations of one small surface, chosen once by :func:`record_io`:

* :class:`DirectRecords` calls ``SSL_read`` and ``SSL_write`` of pyOpenSSL's binding on
  preallocated memory: no allocation and no copy per record.
* :class:`PublicRecords` uses :class:`OpenSSL.SSL.Connection` methods only.

Both answer with a byte count or one of the negative constants below, and raise
:class:`OpenSSL.SSL.Error` (with its subclasses) for everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakKeyDictionary

from OpenSSL import SSL

if TYPE_CHECKING:
    from collections.abc import Callable

#: Bytes moved at most by one call: a full chunk is eight TLS records of the largest size.
CHUNK: Final = 131072

#: Largest plaintext of one TLS record (RFC 8446 §5.1), in bytes.
RECORD: Final = 16384

#: Instead of a byte count: OpenSSL needs the socket readable, or writable, to go on.
WANT_READ: Final = -1
WANT_WRITE: Final = -2

#: The answer to a handshake that is finished.
DONE: Final = 1

_CLOSE_NOTIFY: Final = 0
_READ_ALERT: Final = SSL.SSL_CB_ALERT | SSL.SSL_CB_READ


class Records(Protocol):
    """What a TLS channel needs of OpenSSL, on the process's shared buffer."""

    #: The shared buffer, :data:`CHUNK` bytes.
    view: memoryview

    #: Set by :meth:`read`: True when it stopped although no readiness event need follow.
    more: bool

    def prepare(self, connection: SSL.Connection) -> None:
        """Get a connection ready for :meth:`closed_orderly`, right after its handshake."""

    def handshake(self, connection: SSL.Connection) -> int:
        """Go on with the handshake; :data:`DONE`, or WANT_*."""

    def read(self, connection: SSL.Connection) -> int:
        """Fill the start of :attr:`view`; the count, 0 at the end of input, or WANT_*."""

    def write(self, connection: SSL.Connection, data: memoryview, length: int) -> int:
        """Write all *length* bytes of *data*; *length*, or WANT_* when it must be repeated."""

    def closed_orderly(self, connection: SSL.Connection) -> bool:
        """After the end of input: True when the peer sent close_notify."""

    def forget(self, connection: SSL.Connection) -> None:
        """Drop what is remembered of a connection that is about to be freed."""


class DirectRecords:
    """Records through the binding; use only where :func:`direct_available` says so."""

    def __init__(self, buffer: bytearray) -> None:
        from OpenSSL._util import ffi, lib

        self.view = memoryview(buffer)
        self._buffer = buffer
        self._ffi = ffi
        self._lib = lib
        self._start = ffi.from_buffer("char[]", buffer)
        # A pointer into the shared buffer for each record of a chunk, made once.
        self._places = tuple(self._start + n for n in range(0, len(buffer), RECORD))
        self.more = False
        self._orderly: set[int] = set()
        self._errors: dict[int, SSL.Error] = {}
        self._on_info = ffi.callback("void (*)(const SSL *, int, int)", self._info)

    def _info(self, ssl: Any, where: int, value: int) -> None:
        if where == _READ_ALERT and value & 0xFF == _CLOSE_NOTIFY:
            self._orderly.add(int(self._ffi.cast("uintptr_t", ssl)))

    def prepare(self, connection: SSL.Connection) -> None:
        """See :class:`Records`."""
        ssl = connection._ssl
        # A bare FIN must leave the other direction usable; whether close_notify came first
        # is told by the alert itself.
        self._lib.SSL_set_options(ssl, self._lib.SSL_OP_IGNORE_UNEXPECTED_EOF)
        self._lib.SSL_set_info_callback(ssl, self._on_info)
        if self._orderly:
            self._orderly.discard(_address(self._ffi, connection))

    def handshake(self, connection: SSL.Connection) -> int:
        """See :class:`Records`."""
        lib, ssl = self._lib, connection._ssl
        result = lib.SSL_do_handshake(ssl)
        if result == DONE:
            return DONE
        error = lib.SSL_get_error(ssl, result)
        if error == lib.SSL_ERROR_WANT_READ:
            return WANT_READ
        if error == lib.SSL_ERROR_WANT_WRITE:
            return WANT_WRITE
        # This also brings up what a callback of ours has raised.
        connection._raise_ssl_error(ssl, result)
        raise SSL.Error([("SSL routines", "", "unknown result")])

    def read(self, connection: SSL.Connection) -> int:
        """See :class:`Records`."""
        ssl = connection._ssl
        ssl_read = self._lib.SSL_read
        self.more = False
        total = 0
        for place in self._places:
            got = ssl_read(ssl, place, RECORD)
            if got == RECORD:
                total += RECORD
            elif got > 0:
                # A short record: whatever follows raises readiness again.
                return total + got  # type: ignore[no-any-return]
            elif total:
                self._defer(connection, got)
                return total
            else:
                return self._explain(connection, got)
        return total

    def _defer(self, connection: SSL.Connection, result: int) -> None:
        """Keep an end or error that came behind data, for the next read."""
        try:
            self.more = self._explain(connection, result) != WANT_READ
        except SSL.Error as error:
            self.more = True
            self._errors[_address(self._ffi, connection)] = error

    def write(self, connection: SSL.Connection, data: memoryview, length: int) -> int:
        """See :class:`Records`."""
        if data.obj is self._buffer:
            done = self._lib.SSL_write(connection._ssl, self._start, length)
        else:
            done = self._lib.SSL_write(connection._ssl, self._ffi.from_buffer(data), length)
        if done > 0:
            return done  # type: ignore[no-any-return]
        return self._explain(connection, done)

    def _explain(self, connection: SSL.Connection, result: int) -> int:
        """Turn a failed call into 0, WANT_* or the exception pyOpenSSL has for it."""
        lib = self._lib
        if self._errors:
            kept = self._errors.pop(_address(self._ffi, connection), None)
            if kept is not None:
                lib.ERR_clear_error()
                raise kept
        error = lib.SSL_get_error(connection._ssl, result)
        if error == lib.SSL_ERROR_WANT_READ:
            return WANT_READ
        if error == lib.SSL_ERROR_WANT_WRITE:
            return WANT_WRITE
        if error == lib.SSL_ERROR_ZERO_RETURN:
            return 0
        try:
            connection._raise_ssl_error(connection._ssl, result)
        finally:
            lib.ERR_clear_error()
        raise SSL.Error([("SSL routines", "", "unknown result")])

    def closed_orderly(self, connection: SSL.Connection) -> bool:
        """See :class:`Records`."""
        return _address(self._ffi, connection) in self._orderly

    def forget(self, connection: SSL.Connection) -> None:
        """See :class:`Records`."""
        if self._orderly or self._errors:
            address = _address(self._ffi, connection)
            self._orderly.discard(address)
            self._errors.pop(address, None)


class PublicRecords:
    """Records through pyOpenSSL's documented methods alone."""

    def __init__(self, buffer: bytearray) -> None:
        self.view = memoryview(buffer)
        self.more = False
        self._orderly: WeakKeyDictionary[SSL.Connection, bool] = WeakKeyDictionary()
        self._errors: WeakKeyDictionary[SSL.Connection, SSL.Error] = WeakKeyDictionary()

    def _info(self, connection: SSL.Connection, where: int, value: int) -> None:
        if where == _READ_ALERT and value & 0xFF == _CLOSE_NOTIFY:
            self._orderly[connection] = True

    def prepare(self, connection: SSL.Connection) -> None:
        """See :class:`Records`."""
        connection.set_options(SSL.OP_IGNORE_UNEXPECTED_EOF)
        connection.set_info_callback(self._info)

    def handshake(self, connection: SSL.Connection) -> int:
        """See :class:`Records`."""
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            return WANT_READ
        except SSL.WantWriteError:
            return WANT_WRITE
        return DONE

    def read(self, connection: SSL.Connection) -> int:
        """See :class:`Records`."""
        kept = self._errors.pop(connection, None)
        if kept is not None:
            return _meaning(kept)
        self.more = False
        total = 0
        while total < CHUNK:
            try:
                got = connection.recv_into(self.view[total : total + RECORD])
            except SSL.Error as error:
                if not total:
                    return _meaning(error)
                if not isinstance(error, SSL.WantReadError):
                    self._errors[connection] = error
                    self.more = True
                return total
            total += got
            if got < RECORD:
                break
        return total

    def write(self, connection: SSL.Connection, data: memoryview, length: int) -> int:
        """See :class:`Records`."""
        try:
            return connection.send(data[:length])
        except SSL.Error as error:
            return _meaning(error)

    def closed_orderly(self, connection: SSL.Connection) -> bool:
        """See :class:`Records`."""
        return self._orderly.get(connection, False)

    def forget(self, connection: SSL.Connection) -> None:
        """See :class:`Records`."""
        self._orderly.pop(connection, None)
        self._errors.pop(connection, None)


def _address(ffi: Any, connection: SSL.Connection) -> int:
    return int(ffi.cast("uintptr_t", connection._ssl))


def _meaning(error: SSL.Error) -> int:
    if isinstance(error, SSL.WantReadError):
        return WANT_READ
    if isinstance(error, SSL.WantWriteError):
        return WANT_WRITE
    if isinstance(error, SSL.ZeroReturnError):
        return 0
    raise error


_NEEDED = (
    "SSL_do_handshake",
    "SSL_read",
    "SSL_write",
    "SSL_get_error",
    "SSL_set_options",
    "SSL_set_info_callback",
    "ERR_clear_error",
    "SSL_OP_IGNORE_UNEXPECTED_EOF",
    "SSL_ERROR_WANT_READ",
    "SSL_ERROR_WANT_WRITE",
    "SSL_ERROR_ZERO_RETURN",
)


def direct_available() -> bool:
    """True when every private symbol that :class:`DirectRecords` uses is there."""
    try:
        from OpenSSL._util import ffi, lib
    except ImportError:
        return False
    return (
        all(hasattr(lib, name) for name in _NEEDED)
        and hasattr(ffi, "from_buffer")
        and hasattr(SSL.Connection, "_raise_ssl_error")
    )


_BUFFER = bytearray(CHUNK)
_shared: Records | None = None


def record_io(available: Callable[[], bool] = direct_available) -> Records:
    """The process's record input and output; all channels share its one buffer."""
    global _shared  # noqa: PLW0603 - made once, on first use
    if _shared is None:
        _shared = DirectRecords(_BUFFER) if available() else PublicRecords(_BUFFER)
    return _shared
