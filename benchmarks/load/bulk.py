"""Uploads and downloads: a thread per connection, large writes and reads."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from benchmarks.exchanges import CHUNK, SINK, SOURCE, Request
from benchmarks.load.dialing import Dialer, hang_up, receive_exactly
from benchmarks.load.work import Result

if TYPE_CHECKING:
    import socket

    from benchmarks.load.work import Work


class Bulk:
    """Moves the same number of bytes on each of its connections."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._reasons: list[str] = []
        dialer = Dialer.of(work)
        self._socks = [dialer.dial(number) for number in range(work.connections)]

    def run(self) -> Result:
        """Move everything; a connection that breaks counts as a failure."""
        started = time.monotonic()
        threads = [threading.Thread(target=self._move, args=(sock,)) for sock in self._socks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Result(
            units=self._work.size * (len(self._socks) - len(self._reasons)),
            seconds=time.monotonic() - started,
            failures=len(self._reasons),
            reason="".join(self._reasons[:1]),
        )

    def close(self) -> None:
        """Hang up."""
        for sock in self._socks:
            hang_up(sock)

    def _move(self, sock: socket.socket) -> None:
        try:
            if self._work.kind == "upload":
                _upload(sock, self._work.size)
            else:
                _download(sock, self._work.size)
        except OSError as error:
            self._reasons.append(str(error))


def _upload(sock: socket.socket, size: int) -> None:
    """Send *size* bytes, and wait until the backend says it has them all."""
    chunk = memoryview(os.urandom(CHUNK))
    sock.sendall(Request(SINK, size).pack())
    left = size
    while left:
        piece = chunk[:left]
        sock.sendall(piece)
        left -= len(piece)
    receive_exactly(sock, 1)


def _download(sock: socket.socket, size: int) -> None:
    """Ask for *size* bytes, and read them."""
    buffer = memoryview(bytearray(CHUNK))
    sock.sendall(Request(SOURCE, size).pack())
    left = size
    while left:
        count = sock.recv_into(buffer[: min(left, CHUNK)])
        if not count:
            raise ConnectionResetError(f"closed {left} bytes before the end")
        left -= count
