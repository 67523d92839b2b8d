"""200 MB in each direction at once through client and server mode arrive unchanged."""

from __future__ import annotations

import hashlib
import os
import socket
import threading

from attrs import frozen

from tests.doubles.backends import CHUNK
from tests.doubles.real_programs import eventually, memory
from tests.doubles.wire import dial
from tests.interop.stage import Stage, port_of

#: Bytes in each direction.
TOTAL = 200 * 1024 * 1024

#: How much a process may grow above its idle size, in bytes.
GROWTH = 50 * 1024 * 1024

#: Bytes that are repeated, each time from another place.
BLOCK = os.urandom(1024 * 1024 + 4099)


@frozen
class Digest:
    """What one end has sent or received: the number of bytes, and their SHA-256."""

    size: int
    value: bytes


def send(sock: socket.socket, size: int, seed: int) -> Digest:
    """Send *size* bytes of a stream that *seed* chooses, and then its end."""
    digest = hashlib.sha256()
    view = memoryview(BLOCK)
    place, left = seed * 7919 % len(BLOCK), size
    while left:
        piece = view[place : place + min(left, CHUNK + seed)]
        sock.sendall(piece)
        digest.update(piece)
        left -= len(piece)
        place = (place + len(piece)) % len(BLOCK)
    sock.shutdown(socket.SHUT_WR)
    return Digest(size, digest.digest())


def receive(sock: socket.socket) -> Digest:
    """Receive everything up to the end."""
    digest = hashlib.sha256()
    size = 0
    buffer = bytearray(256 * 1024)
    view = memoryview(buffer)
    while count := sock.recv_into(buffer):
        digest.update(view[:count])
        size += count
    return Digest(size, digest.digest())


class TransferTests(Stage):
    """Both ends send and receive at the same time, each direction with a content of its own."""

    def at_both_ends(self, sock: socket.socket, size: int, seed: int) -> tuple[Digest, Digest]:
        """Send and receive on one socket at once; (sent, received)."""
        received: list[Digest] = []
        thread = threading.Thread(target=lambda: received.append(receive(sock)))
        thread.start()
        sent = send(sock, size, seed)
        thread.join()
        return sent, received[0]

    def check(self, version: str, connections: int) -> None:
        """Transfer it all in *version*, divided among *connections*."""
        size = TOTAL // connections
        seen: dict[Digest, Digest] = {}
        seeds = iter(range(1000, 2000))

        def talk(sock: socket.socket) -> None:
            sent, received = self.at_both_ends(sock, size, next(seeds))
            seen[received] = sent

        backend = self.backend(talk)
        near, far = self.pair(backend.port, f"sslVersion = {version}\n")
        port = port_of(near, "client")
        idle = {program: memory(program.pid) for program in (near, far)}
        results: list[tuple[Digest, Digest]] = []

        def play(seed: int) -> None:
            with dial(port) as sock:
                results.append(self.at_both_ends(sock, size, seed))

        threads = [threading.Thread(target=play, args=(each,)) for each in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eventually(lambda: not backend.active, "the backend has got everything")
        self.assertEqual(backend.problems, [])
        self.assertEqual(len(results), connections)
        self.assertEqual(sum(each.size for each in seen), connections * size)
        for sent, received in results:
            self.assertEqual(received.size, size)
            self.assertEqual(seen[sent], received)
        for program, before in idle.items():
            self.assertLess(memory(program.pid, "VmHWM") - before, GROWTH, program.name)
            program.said(f"{version} ciphersuite: ", count=connections)

    def test_tls_1_2_one_connection(self) -> None:
        """TLS 1.2, all on one connection."""
        self.check("TLSv1.2", 1)

    def test_tls_1_2_sixteen_connections(self) -> None:
        """TLS 1.2, divided among 16 connections."""
        self.check("TLSv1.2", 16)

    def test_tls_1_3_one_connection(self) -> None:
        """TLS 1.3, all on one connection."""
        self.check("TLSv1.3", 1)

    def test_tls_1_3_sixteen_connections(self) -> None:
        """TLS 1.3, divided among 16 connections."""
        self.check("TLSv1.3", 16)
