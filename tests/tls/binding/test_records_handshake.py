"""Tests of handshakes on record input and output: both implementations, real sockets."""

from __future__ import annotations

import socket
from typing import Any

from OpenSSL import SSL
from OpenSSL._util import lib
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.binding.records import (
    CHUNK,
    DONE,
    WANT_READ,
    DirectRecords,
    PublicRecords,
)
from tests.doubles.tls_pairs import TLS_1_2, TLS_1_3, contexts


class HandshakeTests:
    """Handshakes, step by step; ``make`` is the class under test."""

    make: Any

    def setUp(self: Any) -> None:
        self.records = self.make(bytearray(CHUNK))
        # What is sent on these is there at once.
        self.near, self.far = socket.socketpair()
        for sock in (self.near, self.far):
            self.addCleanup(sock.close)
            sock.setblocking(False)

    def ends(
        self: Any, client_context: SSL.Context, server_context: SSL.Context | None = None
    ) -> tuple[SSL.Connection, SSL.Connection]:
        """A server and a client at its start."""
        server = SSL.Connection(server_context or contexts(TLS_1_3)[0], self.near)
        client = SSL.Connection(client_context, self.far)
        server.set_accept_state()
        client.set_connect_state()
        return server, client

    def test_steps(self: Any) -> None:
        """Each end waits for the other until both are done."""
        server, client = self.ends(contexts(TLS_1_3)[1])
        shake = self.records.handshake
        self.assertEqual(shake(server), WANT_READ)
        answers = [shake(end) for end in (client, server, client, server)]
        self.assertEqual(answers, [WANT_READ, WANT_READ, DONE, DONE])
        self.assertEqual(shake(server), DONE)

    def test_rubbish(self: Any) -> None:
        """What is no handshake is OpenSSL's own error, and nothing of it stays behind."""
        server, _client = self.ends(contexts(TLS_1_3)[1])
        self.far.send(b"GET / HTTP/1.0\r\n\r\n")
        error = self.assertRaises(SSL.Error, self.records.handshake, server)
        self.assertIn("http request", str(error))
        self.assertEqual(lib.ERR_get_error(), 0)

    def test_hang_up(self: Any) -> None:
        """A peer that goes away is told apart from one that talks rubbish."""
        server, _client = self.ends(contexts(TLS_1_3)[1])
        self.far.close()
        self.assertRaises(SSL.SysCallError, self.records.handshake, server)

    def test_goodbye(self: Any) -> None:
        """A close_notify amid the handshake is an end, and nothing to wait for."""
        server, client = self.ends(contexts(TLS_1_2)[1], contexts(TLS_1_2)[0])
        for end in (client, server):
            self.assertEqual(self.records.handshake(end), WANT_READ)
        self.far.send(bytes.fromhex("15030300020100"))
        self.assertRaises(SSL.Error, self.records.handshake, server)

    def test_failing_callback(self: Any) -> None:
        """What a callback has raised comes out of the handshake, not what OpenSSL makes of it."""

        def fail(*_arguments: object) -> bool:
            raise ValueError("from a callback")

        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_verify(SSL.VERIFY_PEER, fail)
        server, client = self.ends(context)
        self.records.handshake(client)
        self.records.handshake(server)
        error = self.assertRaises(ValueError, self.records.handshake, client)
        self.assertEqual(str(error), "from a callback")


class DirectHandshakeTests(HandshakeTests, SynchronousTestCase):
    """The binding."""

    make = DirectRecords


class PublicHandshakeTests(HandshakeTests, SynchronousTestCase):
    """The public methods."""

    make = PublicRecords
