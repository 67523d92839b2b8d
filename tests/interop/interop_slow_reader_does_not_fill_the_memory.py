"""A reader that pauses stops the sender at the other end, and gets every byte in the end."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time

from tests.doubles.backends import CHUNK
from tests.doubles.real_programs import PATIENCE, eventually, memory
from tests.doubles.wire import TLS_1_2, TLS_1_3, TLSEnd, client_context, dial
from tests.interop.stage import Stage, port_of

#: Bytes the sender has for the reader.
TOTAL = 200 * 1024 * 1024

#: How much a process may grow above its idle size, in bytes.
GROWTH = 50 * 1024 * 1024

#: The sender counts as stopped when it got rid of nothing for so many seconds.
STILL = 0.5

BLOCK = os.urandom(1024 * 1024)


class Sender:
    """Sends :data:`TOTAL` bytes as fast as they are taken; ``sent`` counts them."""

    def __init__(self) -> None:
        self.sent = 0
        self.digest = hashlib.sha256()
        self.done = threading.Event()

    def __call__(self, sock: socket.socket) -> None:
        """Play one connection; a half-close of the other side changes nothing."""
        for _ in range(TOTAL // len(BLOCK)):
            for place in range(0, len(BLOCK), CHUNK):
                piece = BLOCK[place : place + CHUNK]
                sock.sendall(piece)
                self.sent += len(piece)
                self.digest.update(piece)
        self.done.set()

    def stopped(self) -> bool:
        """True once nothing has been taken for a while."""
        before = self.sent
        time.sleep(STILL)
        return self.sent == before


class SlowReaderTests(Stage):
    """The reader looks away until everything on the way is full, again and again."""

    def check(self, version: str, *, both_modes: bool = True) -> None:
        """Read 200 MB in *version*, with pauses until the sender has stopped."""
        sender = Sender()
        backend = self.backend(sender)
        more = f"sslVersion = {version}\n"
        far = self.server_mode(backend.port, more)
        near = self.client_mode(port_of(far, "server")) if both_modes else None
        programs = [program for program in (near, far) if program is not None]
        idle = {program: memory(program.pid) for program in programs}
        digest = hashlib.sha256()
        if near is not None:
            with dial(port_of(near, "client")) as sock:
                sock.shutdown(socket.SHUT_WR)
                self.read_with_pauses(sender, lambda: sock.recv(CHUNK), digest.update)
        else:
            context = client_context(TLS_1_2 if version == "TLSv1.2" else TLS_1_3)
            with TLSEnd.dial(port_of(far, "server"), context) as end:
                end.say_goodbye()
                self.read_with_pauses(sender, end.receive, digest.update)
        self.assertEqual(backend.problems, [])
        self.assertEqual(digest.digest(), sender.digest.digest())
        for program, before in idle.items():
            self.assertLess(memory(program.pid, "VmHWM") - before, GROWTH, program.name)
            program.said(r"Connection closed: ")

    def read_with_pauses(self, sender: Sender, read: object, update: object) -> None:
        """Read everything; three pauses, each until the sender has stopped."""
        assert callable(read)
        assert callable(update)
        received = 0
        pauses = [0, TOTAL // 4, TOTAL // 2]
        while True:
            if pauses and received >= pauses[0]:
                pauses.pop(0)
                eventually(sender.stopped, "the sender is stopped", PATIENCE)
                # Nothing on the way holds more than the kernel's own buffers.
                self.assertLess(sender.sent - received, TOTAL // 4)
            data = read()
            if not data:
                break
            received += len(data)
            update(data)
        self.assertEqual(received, TOTAL)

    def test_tls_1_2(self) -> None:
        """TLS 1.2 through both modes."""
        self.check("TLSv1.2")

    def test_tls_1_3(self) -> None:
        """TLS 1.3 through both modes."""
        self.check("TLSv1.3")

    def test_tls_client(self) -> None:
        """A slow TLS client, straight at server mode."""
        self.check("TLSv1.3", both_modes=False)
