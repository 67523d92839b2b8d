"""A reader that pauses stops the sender at the other end, and gets every byte in the end."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from tests.doubles.backends import CHUNK
from tests.doubles.real_programs import PATIENCE, eventually, memory
from tests.doubles.wire import TLS_1_2, TLS_1_3, TLSEnd, client_context, dial
from tests.interop.stage import Stage, port_of

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024

#: Bytes the sender has on a single connection, and on each of several.
SIZE, SHARE = 200 * MIB, 32 * MIB

#: What the kernel's own buffers on the way of one connection may hold, in bytes; each of them may
#: become as large as 32 MiB (tcp_rmem), but seldom does. Of a smaller whole it is three quarters.
ON_THE_WAY = 64 * MIB

#: How much a process may grow above its idle size, in bytes.
GROWTH = 50 * MIB

#: The sender counts as stopped when it got rid of nothing for so many seconds.
STILL = 0.5

BLOCK = os.urandom(MIB)


class Sender:
    """Sends *size* bytes on each connection as fast as they are taken; ``sent`` counts them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._counts: list[list[int]] = []

    def __call__(self, sock: socket.socket) -> None:
        """Play one connection; a half-close of the other side changes nothing."""
        count = [0]
        self._counts.append(count)
        while count[0] < self.size:
            place = count[0] % len(BLOCK)
            piece = BLOCK[place : min(place + CHUNK, place + self.size - count[0])]
            sock.sendall(piece)
            count[0] += len(piece)

    @property
    def sent(self) -> int:
        """Bytes taken so far on all connections."""
        return sum(count[0] for count in self._counts)

    @property
    def digest(self) -> bytes:
        """What each reader should get."""
        whole, rest = divmod(self.size, len(BLOCK))
        digest = hashlib.sha256()
        for _ in range(whole):
            digest.update(BLOCK)
        digest.update(BLOCK[:rest])
        return digest.digest()

    def stopped(self) -> bool:
        """True once nothing has been taken for a while."""
        before = self.sent
        time.sleep(STILL)
        return self.sent == before


class Reader:
    """One connection's reader, and what it has got."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self.received = 0
        self.digest = hashlib.sha256()

    def read(self, bound: int | None) -> None:
        """Read until *bound* bytes have come in all; None for the end."""
        while bound is None or self.received < bound:
            data = self._read()
            if not data:
                return
            self.received += len(data)
            self.digest.update(data)


class SlowReaderTests(Stage):
    """The reader looks away until everything on the way is full, again and again."""

    def check(self, version: str, *, both_modes: bool = True, connections: int = 1) -> None:
        """Read all of it in *version*, with pauses until the sender has stopped."""
        sender = Sender(SIZE if connections == 1 else SHARE)
        backend = self.backend(sender)
        far = self.server_mode(backend.port, f"sslVersion = {version}\n")
        near = self.client_mode(port_of(far, "server")) if both_modes else None
        programs = [program for program in (near, far) if program is not None]
        idle = {program: memory(program.pid) for program in programs}
        with ExitStack() as stack:
            readers = []
            for _ in range(connections):
                if near is not None:
                    sock = stack.enter_context(dial(port_of(near, "client")))
                    sock.shutdown(socket.SHUT_WR)
                    readers.append(Reader(partial(sock.recv, CHUNK)))
                else:
                    context = client_context(TLS_1_2 if version == "TLSv1.2" else TLS_1_3)
                    end = stack.enter_context(TLSEnd.dial(port_of(far, "server"), context))
                    end.say_goodbye()
                    readers.append(Reader(end.receive))
            self.read_with_pauses(sender, readers)
        self.assertEqual(backend.problems, [])
        for reader in readers:
            self.assertEqual(
                (reader.received, reader.digest.digest()), (sender.size, sender.digest)
            )
        for program, before in idle.items():
            self.assertLess(memory(program.pid, "VmHWM") - before, GROWTH, program.name)
            program.said(r"Connection closed: ", count=connections)

    def read_with_pauses(self, sender: Sender, readers: list[Reader]) -> None:
        """Read everything; three pauses, each until the sender has stopped."""
        most = min(ON_THE_WAY, sender.size * 3 // 4)
        for bound in (sender.size // 4, sender.size // 2, None):
            eventually(sender.stopped, "the sender is stopped", PATIENCE)
            received = sum(reader.received for reader in readers)
            self.assertLess(sender.sent - received, most * len(readers))
            for reader in readers:
                reader.read(bound)

    def test_tls_1_2(self) -> None:
        """TLS 1.2 through both modes."""
        self.check("TLSv1.2")

    def test_tls_1_3(self) -> None:
        """TLS 1.3 through both modes."""
        self.check("TLSv1.3")

    def test_sixteen_connections(self) -> None:
        """Sixteen readers at a time, in both versions: no connection makes room for itself."""
        for version in ("TLSv1.2", "TLSv1.3"):
            self.check(version, connections=16)

    def test_tls_client(self) -> None:
        """A slow TLS client, straight at server mode."""
        self.check("TLSv1.3", both_modes=False)
