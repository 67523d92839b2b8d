"""Clients that are no TLS clients, or bad ones: one log line each, and the next one is served."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from OpenSSL import SSL

from tests.doubles.backends import Overheard, echo
from tests.doubles.wire import (
    TLS_1_2,
    TLS_1_3,
    TLSEnd,
    client_context,
    dial,
    is_over,
    server_context,
)
from tests.interop.stage import Stage, complaints, port_of

if TYPE_CHECKING:
    import socket

    from tests.doubles.real_programs import RealProgram

#: TIMEOUTbusy in these tests, in seconds.
BUSY = 3.0

#: How late a deadline may fire here: the tolerance of the timers, and a busy machine. A deadline
#: that moves with every byte would be later by minutes.
LATE = 15.0

TIMEOUT = r"^ssl_handshake_poll: s_poll_wait: TIMEOUTbusy exceeded: sending reset$"


def client_hello(version: int = TLS_1_3) -> tuple[SSL.Connection, bytes]:
    """A client in memory, and its ClientHello."""
    client = SSL.Connection(client_context(version), None)
    client.set_tlsext_host_name(b"localhost")
    client.set_connect_state()
    return client, flight(client)


def flight(end: SSL.Connection) -> bytes:
    """What *end* has to send now."""
    try:
        end.do_handshake()
    except SSL.WantReadError:
        return end.bio_read(100_000)
    return end.bio_read(100_000)


def drip(sock: socket.socket, data: bytes) -> None:
    """Send *data*, one byte per second, until the other side has had enough."""
    for place in range(len(data)):
        try:
            sock.send(data[place : place + 1])
        except (BrokenPipeError, ConnectionResetError):
            break
        if is_over(sock, 1.0):
            break


class ServerModeTests(Stage):
    """The listener of a server service meets strangers."""

    def setUp(self) -> None:
        super().setUp()
        self.echo = self.backend(echo)
        self.server = self.server_mode(self.echo.port, f"TIMEOUTbusy = {BUSY:g}\n")
        self.port = port_of(self.server, "server")

    def check_one_line(self, pattern: str) -> None:
        """The stranger cost one log line like *pattern*, and the next client is served.

        One at the default level, and no other above debugging.
        """
        self.server.said(r"LOG5\[0\]: Connection (reset|closed): 0 byte")
        found = complaints(self.server.log)
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], pattern)
        self.assertEqual(complaints(self.server.log, level=5), found)
        self.assertEqual(self.echo.accepted, 0)
        with TLSEnd.dial(self.port, client_context()) as end:
            end.send(b"next")
            self.assertEqual(end.receive(), b"next")

    def check_strange(self, data: bytes, pattern: str) -> None:
        """A client that sends *data* is turned away at once, as the one line tells."""
        with dial(self.port) as sock:
            sock.sendall(data)
            self.assertTrue(is_over(sock, BUSY + LATE))
        self.check_one_line(pattern)

    def test_http(self) -> None:
        """A plain HTTP request is named for what it is."""
        self.check_strange(
            b"GET / HTTP/1.0\r\n\r\n", r"^SSL_accept: .*HTTP.*: client 127\.0\.0\.1:"
        )

    def test_noise(self) -> None:
        """Random bytes are no ClientHello."""
        self.check_strange(b"\xff" + os.urandom(5000), r"^SSL_accept: .*: client 127\.0\.0\.1:")

    def test_noise_in_a_record(self) -> None:
        """A record with random bytes in it is no ClientHello either."""
        noise = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + os.urandom(508)
        self.check_strange(noise, r"^SSL_accept: .*: client 127\.0\.0\.1:")

    def test_half_a_hello_and_gone(self) -> None:
        """A client that leaves in the middle of its ClientHello."""
        _, hello = client_hello()
        with dial(self.port) as sock:
            sock.sendall(hello[: len(hello) // 2])
        self.check_one_line(r"^SSL_accept: Peer suddenly disconnected.*: client 127\.0\.0\.1:")

    def check_deadline(self, begun: float) -> None:
        """It has taken TIMEOUTbusy since *begun*."""
        passed = time.monotonic() - begun
        self.assertGreaterEqual(passed, BUSY - 0.1)
        self.assertLess(passed, BUSY + LATE)

    def test_half_a_hello_and_silence(self) -> None:
        """A client that stops in the middle of its ClientHello is given up after TIMEOUTbusy."""
        _, hello = client_hello()
        begun = time.monotonic()
        with dial(self.port) as sock:
            sock.sendall(hello[: len(hello) // 2])
            self.assertTrue(is_over(sock, BUSY + LATE))
        self.check_deadline(begun)
        self.check_one_line(TIMEOUT)

    def test_silence(self) -> None:
        """A client that says nothing is given up after TIMEOUTbusy."""
        begun = time.monotonic()
        with dial(self.port) as sock:
            self.assertTrue(is_over(sock, BUSY + LATE))
        self.check_deadline(begun)
        self.check_one_line(TIMEOUT)

    def test_nothing(self) -> None:
        """A client that connects and leaves, as a port scanner does."""
        dial(self.port).close()
        self.check_one_line(r"^SSL_accept: Peer suddenly disconnected: client 127\.0\.0\.1:")

    def test_dripping_hello(self) -> None:
        """One byte of the ClientHello per second does not move the deadline."""
        _, hello = client_hello()
        begun = time.monotonic()
        with dial(self.port) as sock:
            drip(sock, hello)
        self.check_deadline(begun)
        self.check_one_line(TIMEOUT)

    def check_dripping_end(self, version: int) -> None:
        """The client's last flight in *version* comes one byte per second."""
        client, hello = client_hello(version)
        begun = time.monotonic()
        with dial(self.port) as sock:
            sock.sendall(hello)
            answer = b""
            while not answer:
                client.bio_write(sock.recv(100_000))
                answer = flight(client)
            drip(sock, answer)
        self.check_deadline(begun)
        self.check_one_line(TIMEOUT)

    def test_dripping_end_tls_1_2(self) -> None:
        """One byte of the last flight per second does not move the deadline either."""
        self.check_dripping_end(TLS_1_2)

    def test_dripping_end_tls_1_3(self) -> None:
        """Nor does it in TLS 1.3."""
        self.check_dripping_end(TLS_1_3)

    def test_many_silent_ones(self) -> None:
        """While a hundred clients say nothing, others are served at once."""
        patient = self.server_mode(self.echo.port, "TIMEOUTbusy = 300\n", name="patient")
        for port in (port_of(patient, "server"), self.port):
            silent = [dial(port) for _ in range(100)]
            for sock in silent:
                self.addCleanup(sock.close)
            with TLSEnd.dial(port, client_context()) as end:
                end.send(b"hello")
                self.assertEqual(end.receive(), b"hello")
        # Had others been kept waiting, it would have been by those whose time has not come yet.
        self.assertEqual(patient.matches("TIMEOUTbusy exceeded"), [])
        for sock in silent:
            self.assertTrue(is_over(sock, BUSY + LATE))
        self.server.said("TIMEOUTbusy exceeded", 100)


class ClientModeTests(Stage):
    """The server that a client service connects to is the stranger."""

    def dripping(self, *, talks: bool) -> RealProgram:
        """Client mode in front of a server that drips its first flight, or says nothing."""
        context = server_context(self.papers.server)

        def talk(sock: socket.socket) -> None:
            end = SSL.Connection(context, None)
            end.set_accept_state()
            if not talks:
                Overheard()(sock)
                return
            end.bio_write(sock.recv(100_000))
            drip(sock, flight(end))

        return self.client_mode(self.backend(talk).port, f"TIMEOUTbusy = {BUSY:g}\n")

    def check(self, client: RealProgram) -> None:
        """The plain client is reset after TIMEOUTbusy, with one log line."""
        begun = time.monotonic()
        with dial(port_of(client, "client")) as sock:
            sock.sendall(b"anybody there?")
            self.assertTrue(is_over(sock, BUSY + LATE))
        self.assertGreaterEqual(time.monotonic() - begun, BUSY - 0.1)
        client.said(r"LOG5\[0\]: Connection reset: 0 byte")
        found = complaints(client.log)
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], TIMEOUT)
        self.assertEqual(complaints(client.log, level=5), found)

    def test_dripping_server(self) -> None:
        """One byte of the server's flight per second does not move the deadline."""
        self.check(self.dripping(talks=True))

    def test_silent_server(self) -> None:
        """A server that accepts and says nothing is given up after TIMEOUTbusy."""
        self.check(self.dripping(talks=False))
