"""500 connections at once and 2,000 one after the other: none is lost, nothing stays open."""

from __future__ import annotations

import contextlib
import resource
import signal
import socket

from tests.doubles.backends import echo
from tests.doubles.real_programs import (
    RealProgram,
    descriptors,
    eventually,
    memory,
    settled_descriptors,
)
from tests.doubles.wire import TLSEnd, client_context, dial, exchange, read_to_end
from tests.interop.stage import Stage, port_of

AT_ONCE = 500
IN_A_ROW = 2000

#: Descriptors this process needs for both ends of all connections, and some to spare.
NEEDED = 2 * AT_ONCE + 200

#: Bytes a process may have grown by after all of them.
GROWTH = 20 * 1024 * 1024


class ManyTests(Stage):
    """Client and server mode, in front of an echo."""

    def setUp(self) -> None:
        super().setUp()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < NEEDED:
            resource.setrlimit(resource.RLIMIT_NOFILE, (NEEDED, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.echo = self.backend(echo)
        self.near, self.far = self.pair(self.echo.port)
        self.port = port_of(self.near, "client")
        # The first connection opens what stays open.
        self.assertEqual(exchange(self.port, b"first"), b"first")
        for program in (self.near, self.far):
            program.said("finished .0 left.")
        self.before = {each: settled_descriptors(each.pid) for each in (self.near, self.far)}

    def check_nothing_left(self, connections: int) -> None:
        """Every one of *connections* has ended well and given its descriptors back."""
        for program, count in self.before.items():
            program.said("Connection closed: ", connections + 1)
            self.assertEqual(program.matches("Connection reset"), [])

            def given_back(program: RealProgram = program, count: int = count) -> bool:
                return descriptors(program.pid) == count

            eventually(given_back, f"{program.name} has {count} descriptors again")
        self.assertEqual(self.echo.accepted, connections + 1)
        self.assertEqual(self.echo.problems, [])

    def test_at_once(self) -> None:
        """All are open and listed at the same time, and each hears its own words."""
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(dial(self.port)) for _ in range(AT_ONCE)]
            for number, sock in enumerate(socks):
                sock.sendall(b"number %d" % number)
            for number, sock in enumerate(socks):
                self.assertEqual(sock.recv(100), b"number %d" % number)
            for program in (self.near, self.far):
                program.signal(signal.SIGUSR2)
                program.said(rf"Listed {AT_ONCE} active connection\(s\)")
            for number, sock in enumerate(socks):
                sock.sendall(b"good-bye %d" % number)
                sock.shutdown(socket.SHUT_WR)
            for number, sock in enumerate(socks):
                self.assertEqual(read_to_end(sock), b"good-bye %d" % number)
        self.check_nothing_left(AT_ONCE)

    def test_in_a_row(self) -> None:
        """Each is served and closed before the next one, and memory does not grow."""
        size = {program: memory(program.pid) for program in self.before}
        for number in range(IN_A_ROW):
            words = b"number %d" % number
            self.assertEqual(exchange(self.port, words), words)
        self.check_nothing_left(IN_A_ROW)
        for program, before in size.items():
            self.assertLess(memory(program.pid) - before, GROWTH, program.name)

    def test_abandoned(self) -> None:
        """Clients that vanish in any phase leave nothing behind either."""
        port = port_of(self.far, "server")
        context = client_context()
        for _ in range(100):
            dial(port).close()
            with dial(port) as sock:
                sock.sendall(b"\x16\x03\x01\x02\x00\x01")
            with TLSEnd.dial(port, context) as end:
                end.send(b"no time to wait for an answer")
        self.far.said(r"finished \(\d+ left\)", 301)
        count = self.before[self.far]
        eventually(lambda: descriptors(self.far.pid) == count, "every descriptor is closed")
        self.assertEqual(exchange(self.port, b"next"), b"next")
