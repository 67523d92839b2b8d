"""Servers for one test, each connection played by a function in a thread of its own."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from tests.doubles.real_programs import PATIENCE, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: Bytes read at once.
CHUNK = 65536


class Backend(Generic[T]):
    """Listens on a loopback port; *talk* gets what *prepare* makes of each connection.

    ``accepted`` counts connections; ``problems`` holds what their threads raised.
    """

    def __init__(
        self,
        talk: Callable[[T], None],
        prepare: Callable[[socket.socket], T],
        backlog: int = 512,
        port: int = 0,
    ) -> None:
        self._talk = talk
        self._prepare = prepare
        self._listening = socket.create_server(("127.0.0.1", port), backlog=backlog)
        self.port: int = self._listening.getsockname()[1]
        self.accepted = 0
        self.problems: list[BaseException] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.accepted += 1
                self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            self._talk(self._prepare(sock))
        except Exception as error:  # noqa: BLE001 - kept for the test to look at
            self.problems.append(error)
        finally:
            sock.close()
            with self._lock:
                self._open.discard(sock)

    @property
    def active(self) -> int:
        """Connections that are still being played."""
        with self._lock:
            return len(self._open)

    def close(self) -> None:
        """Stop listening and end every connection."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(PATIENCE)
        with self._lock:
            for sock in self._open:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        eventually(lambda: not self.active, "every thread of a backend has ended")


def plain(talk: Callable[[socket.socket], None], port: int = 0) -> Backend[socket.socket]:
    """A backend without TLS, on *port* or a free one."""
    return Backend(talk, lambda sock: sock, port=port)


def echo(sock: socket.socket) -> None:
    """Say back what is heard, until the other side has nothing more to say."""
    while data := sock.recv(CHUNK):
        sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def listen_to_all(sock: socket.socket) -> bytes:
    """Everything up to the end of input."""
    parts = []
    while data := sock.recv(CHUNK):
        parts.append(data)
    return b"".join(parts)


class AnswersAfterTheEnd:
    """Hears a whole request, up to its end, and answers once it is allowed to.

    ``heard`` is set when the request is complete; set ``allowed`` to get the *answer*. With
    *stays* the connection is kept open behind the answer until ``received`` is set.
    """

    def __init__(self, answer: bytes, *, stays: bool = False) -> None:
        self.answer = answer
        self.request = b""
        self.heard = threading.Event()
        self.allowed = threading.Event()
        self.received = threading.Event()
        if not stays:
            self.received.set()

    def __call__(self, sock: socket.socket) -> None:
        """Play one connection."""
        self.request = listen_to_all(sock)
        self.heard.set()
        self.allowed.wait(PATIENCE)
        sock.sendall(self.answer)
        self.received.wait(PATIENCE)


class Overheard:
    """Reads until the connection ends; ``data`` is what came, ``reset`` how it ended."""

    def __init__(self) -> None:
        self.data = b""
        self.reset = False
        self.ended = threading.Event()

    def __call__(self, sock: socket.socket) -> None:
        """Play one connection."""
        try:
            while data := sock.recv(CHUNK):
                self.data += data
        except ConnectionResetError:
            self.reset = True
        finally:
            self.ended.set()
