"""Backends that refuse, hang or die cost their client the connection, and nobody else."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.doubles.backends import echo
from tests.doubles.real_programs import free_port
from tests.doubles.wire import TLSEnd, client_context, exchange, is_reset, refused
from tests.interop.stage import Stage, complaints, port_of

if TYPE_CHECKING:
    from tests.doubles.real_programs import RealProgram

#: Seconds of the time-outs in these tests.
SHORT = 1

#: How late a deadline may fire here, in seconds: on a busy machine, and still before the time-out
#: that would come without the one of the test.
LATE = 8.0

REFUSED = r"^s_connect: connect 127\.0\.0\.1:\d+: Connection refused \(111\)$"


def unreachable(stack: ExitStack) -> int:
    """A port where connecting takes for ever: it listens, but its queue is full."""
    listening = stack.enter_context(socket.socket())
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    address = listening.getsockname()
    while True:
        sock = stack.enter_context(socket.socket())
        sock.settimeout(1.0)
        try:
            sock.connect(address)
        except TimeoutError:
            return int(address[1])


class BadBackendTests(Stage):
    """A server service and what it connects to."""

    def check_one_line(self, program: RealProgram, pattern: str, ident: str = "0") -> None:
        """The backend cost connection *ident* one log line like *pattern*.

        One at the default level, and no other above debugging.
        """
        program.said(rf"LOG5\[{ident}\]: Connection reset: \d+ byte")
        found = complaints(program.log, ident)
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], pattern)
        self.assertEqual(complaints(program.log, ident, level=5), found)

    def test_refuses(self) -> None:
        """A refused connection: the reason, then the client is reset."""
        server = self.server_mode(free_port())
        with TLSEnd.dial(port_of(server, "server"), client_context()) as end:
            self.assertRaises(ConnectionResetError, end.receive_to_end)
        self.check_one_line(server, REFUSED)
        server.said(r"LOG7\[0\]: No more addresses to connect$")

    def test_hangs_while_connecting(self) -> None:
        """A connection that is never made is given up after TIMEOUTconnect."""
        with ExitStack() as stack:
            server = self.server_mode(unreachable(stack), f"TIMEOUTconnect = {SHORT}\n")
            begun = time.monotonic()
            with TLSEnd.dial(port_of(server, "server"), client_context()) as end:
                self.assertRaises(ConnectionResetError, end.receive_to_end)
            self.assertLess(time.monotonic() - begun, SHORT + LATE)
            self.assertGreaterEqual(time.monotonic() - begun, SHORT - 0.1)
        self.check_one_line(
            server, r"^s_connect: s_poll_wait 127\.0\.0\.1:\d+: TIMEOUTconnect exceeded$"
        )

    def test_all_refuse(self) -> None:
        """With several targets each refusal has its line, and a last one sums up."""
        server = self.server_mode(f"127.0.0.1:{free_port()}\nconnect = 127.0.0.1:{free_port()}")
        with TLSEnd.dial(port_of(server, "server"), client_context()) as end:
            self.assertRaises(ConnectionResetError, end.receive_to_end)
        server.said(r"Connection reset: 0 byte")
        found = complaints(server.log, level=5)
        self.assertEqual(len(found), 3, found)
        self.assertRegex(found[0], REFUSED)
        self.assertRegex(found[1], REFUSED)
        self.assertEqual(found[2], "No more addresses to connect")

    def test_hangs_later(self) -> None:
        """A backend that takes the request and never answers is given up after TIMEOUTidle."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            server = self.server_mode(port, f"TIMEOUTidle = {SHORT}\n")
            begun = time.monotonic()
            with TLSEnd.dial(port_of(server, "server"), client_context()) as end:
                end.send(b"anybody there?")
                self.assertRaises(ConnectionResetError, end.receive_to_end)
            self.assertLess(time.monotonic() - begun, SHORT + LATE)
            self.assertGreaterEqual(time.monotonic() - begun, SHORT - 0.1)
        server.said(r"Connection reset: 0 byte\(s\) sent to TLS, 14 byte\(s\) sent to socket$")
        self.check_one_line(
            server, "^transfer_tcp: s_poll_wait: TIMEOUTidle exceeded: sending reset$"
        )

    def test_dies(self) -> None:
        """A backend that resets the connection resets its client, with one log line."""

        def die(sock: socket.socket) -> None:
            sock.recv(100)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        server = self.server_mode(self.backend(die).port)
        with TLSEnd.dial(port_of(server, "server"), client_context()) as end:
            end.send(b"anybody there?")
            self.assertRaises(ConnectionResetError, end.receive_to_end)
        self.check_one_line(server, r"^readsocket: Connection reset by peer \(104\): client 127")

    def test_next_target(self) -> None:
        """With several targets the next one serves, whatever is wrong with the first ones."""
        backend = self.backend(echo)
        with ExitStack() as stack:
            hanging = unreachable(stack)
            near, far = self.pair(
                f"127.0.0.1:{free_port()}\nconnect = 127.0.0.1:{hanging}\n"
                f"connect = 127.0.0.1:{backend.port}",
                f"TIMEOUTconnect = {SHORT}\n",
            )
            self.assertEqual(exchange(port_of(near, "client"), b"hello"), b"hello")
        far.said("Connection refused")
        far.said("TIMEOUTconnect exceeded")

    def test_refused_in_client_mode(self) -> None:
        """A TLS server that refuses costs the plain client its connection at once."""
        client = self.client_mode(free_port())
        self.assertTrue(refused(port_of(client, "client")))
        self.check_one_line(client, REFUSED)
        self.assertTrue(is_reset(port_of(client, "client")))
