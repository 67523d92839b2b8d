"""The server behind the programs: ``python -m benchmarks.backend --port N``.

One process, one epoll object, plain or TLS; what clients may ask for is in
:mod:`benchmarks.exchanges`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import socket
import ssl
from typing import TYPE_CHECKING, Final

from benchmarks.exchanges import CHUNK, ECHO, GREETINGS, REQUEST_SIZE, SINK, SOURCE, Request
from benchmarks.limits import raise_open_files

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Reads and writes of one connection before the others have their turn.
_TURN: Final = 16

#: Connections accepted before the others have their turn.
_ACCEPTS: Final = 64

_QUEUE: Final = 4096

#: The sink's answer once it has everything.
_RECEIVED: Final = b"."


class Conversation:
    """One connection: reads its request, then does what it asks, without ever blocking."""

    _chunk: Final = memoryview(os.urandom(CHUNK))
    _buffer: Final = memoryview(bytearray(CHUNK))

    def __init__(self, sock: socket.socket, greeting: bytes) -> None:
        self.sock = sock
        #: What epoll is to watch for.
        self.interest = select.EPOLLIN
        self._shaken = not isinstance(sock, ssl.SSLSocket)
        self._opening = b""
        self._request: Request | None = None
        self._left = 0
        self._pending = memoryview(greeting)

    def advance(self) -> bool:
        """Go on until nothing can be done (False) or the turn is over (True).

        Raises OSError when the connection has ended, in whatever way.
        """
        try:
            for _ in range(_TURN):
                self._step()
        except ssl.SSLWantReadError:
            self.interest = select.EPOLLIN
        except ssl.SSLWantWriteError:
            self.interest = select.EPOLLOUT
        except BlockingIOError:
            self.interest = select.EPOLLOUT if self._pending else select.EPOLLIN
        else:
            return True
        return False

    def _step(self) -> None:
        if not self._shaken:
            assert isinstance(self.sock, ssl.SSLSocket)
            self.sock.do_handshake()
            self._shaken = True
        elif self._pending:
            # OpenSSL wants the same bytes again after it had to wait: they stay until taken.
            sent = self.sock.send(self._pending)
            self._pending = self._pending[sent:]
        elif self._request is None:
            self._read_request()
        elif self._request.verb == SOURCE and self._left:
            self._pending = self._chunk[: self._left]
            self._left -= len(self._pending)
        else:
            self._read()

    def _read_request(self) -> None:
        self._opening += self._received(REQUEST_SIZE - len(self._opening))
        if len(self._opening) == REQUEST_SIZE:
            try:
                self._request = Request.unpack(self._opening)
            except ValueError as error:
                raise ConnectionAbortedError("not a request") from error
            self._left = self._request.count

    def _read(self) -> None:
        data = self._received(CHUNK)
        assert self._request is not None
        if self._request.verb == ECHO:
            self._pending = memoryview(bytes(data))
        elif self._request.verb == SINK and self._left:
            self._left -= min(self._left, len(data))
            if not self._left:
                self._pending = memoryview(_RECEIVED)

    def _received(self, most: int) -> memoryview:
        """Some bytes, valid until the next call; the end of the stream ends the connection."""
        count = self.sock.recv_into(self._buffer[:most])
        if not count:
            raise ConnectionResetError("end of stream")
        return self._buffer[:count]


class Backend:
    """The listener and its connections, by descriptor."""

    def __init__(self, port: int, context: ssl.SSLContext | None, greeting: bytes) -> None:
        self._context = context
        self._greeting = greeting
        self._listener = socket.create_server(("127.0.0.1", port), backlog=_QUEUE)
        self._listener.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._conversations: dict[int, Conversation] = {}
        #: Descriptors whose turn was over before their work was.
        self._unfinished: set[int] = set()

    def run(self) -> None:
        """Serve until the process is ended."""
        listener = self._listener.fileno()
        while True:
            events = self._epoll.poll(0 if self._unfinished else None)
            ready = self._unfinished | {descriptor for descriptor, _ in events}
            self._unfinished = set()
            for descriptor in ready:
                if descriptor == listener:
                    self._accept()
                else:
                    self._advance(descriptor, self._conversations[descriptor])

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            for _ in range(_ACCEPTS):
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._context is not None:
                    sock = self._context.wrap_socket(
                        sock, server_side=True, do_handshake_on_connect=False
                    )
                conversation = Conversation(sock, self._greeting)
                self._conversations[sock.fileno()] = conversation
                self._epoll.register(sock, conversation.interest)
                if self._greeting:
                    self._unfinished.add(sock.fileno())

    def _advance(self, descriptor: int, conversation: Conversation) -> None:
        before = conversation.interest
        try:
            if conversation.advance():
                self._unfinished.add(descriptor)
        except OSError:
            del self._conversations[descriptor]
            self._epoll.unregister(descriptor)
            conversation.sock.close()
        else:
            if conversation.interest != before:
                self._epoll.modify(descriptor, conversation.interest)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, listen, serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", help="PEM file with key and certificate: speak TLS")
    parser.add_argument("--protocol", choices=sorted(GREETINGS), help="greet like this server")
    options = parser.parse_args(arguments)
    raise_open_files()
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)
    Backend(options.port, context, GREETINGS.get(options.protocol, b"")).run()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
