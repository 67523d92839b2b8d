"""Tests of the callbacks for pre-shared keys, on bare contexts."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError
from stunnel_tx.tls.binding import psk
from stunnel_tx.tls.binding.psk import KeyExchange, offer_key, serve_keys
from tests.doubles.tls_pairs import shake, tcp_pair

KEY = bytes(range(32))


class CallbackTests(SynchronousTestCase):
    """A server and a client that know nothing but a key."""

    def setUp(self) -> None:
        self.found: list[tuple[Any, bytes, bool]] = []
        self.exchange = KeyExchange(
            lambda about, identity, key: self.found.append((about, identity, key is not None))
        )

    def connections(
        self, server: SSL.Context, client: SSL.Context
    ) -> tuple[SSL.Connection, SSL.Connection]:
        """Two ends over a pair of sockets, before their handshake."""
        near, far = tcp_pair()
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        ends = SSL.Connection(server, near), SSL.Connection(client, far)
        ends[0].set_accept_state()
        ends[1].set_connect_state()
        return ends

    def contexts(self, key_of: Any) -> tuple[SSL.Context, SSL.Context]:
        """A server that asks *key_of*, and a client that shows ``me``."""
        server = SSL.Context(SSL.TLS_SERVER_METHOD)
        client = SSL.Context(SSL.TLS_CLIENT_METHOD)
        serve_keys(server, key_of, self.exchange)
        offer_key(client, b"me", KEY, KeyExchange(lambda *_: None))
        return server, client

    def test_handshake(self) -> None:
        """The server is asked for the identity as it was shown, and told about the connection."""
        ends = self.connections(*self.contexts({b"me": KEY}.get))
        self.exchange.watch(ends[0], "connection")
        shake(*ends)
        self.assertEqual(self.found, [("connection", b"me", True)])
        self.assertEqual(self.exchange.identity(ends[0]), b"me")
        self.assertIsNone(self.exchange.identity(ends[1]))

    def test_unwatched_connections(self) -> None:
        """Nothing is told about a connection that nobody watches."""
        shake(*self.connections(*self.contexts({b"me": KEY}.get)))
        self.assertEqual(self.found, [])

    def test_failing_look_up(self) -> None:
        """An exception in a callback is no key, and goes no further."""

        def key_of(_identity: bytes) -> bytes:
            raise LookupError

        ends = self.connections(*self.contexts(key_of))
        self.assertRaises(SSL.Error, shake, *ends)

    def test_too_long(self) -> None:
        """A key or an identity that OpenSSL has no room for is not used."""
        ends = self.connections(*self.contexts(lambda _: b"k" * 10_000))
        self.exchange.watch(ends[0], "connection")
        self.assertRaises(SSL.Error, shake, *ends)
        self.assertEqual(self.found, [("connection", b"me", False)])
        server, client = self.contexts({b"i" * 300: KEY}.get)
        offer_key(client, b"i" * 300, KEY, self.exchange)
        self.assertRaises(SSL.Error, shake, *self.connections(server, client))

    def test_nothing_kept(self) -> None:
        """Callbacks go with their context, and notes with their connection."""
        server, client = self.contexts({b"me": KEY}.get)
        gone = weakref.ref(server)
        connection = SSL.Connection(server, None)
        self.exchange.watch(connection, "connection")
        del connection, server, client
        gc.collect()
        self.assertIsNone(gone())
        self.assertEqual(self.exchange._watched, {})

    def test_unavailable(self) -> None:
        """Without the private functions there is an error that says what to do."""
        self.patch(psk, "private_library", lambda: None)
        context = SSL.Context(SSL.TLS_METHOD)
        self.assertRaises(OperatingError, serve_keys, context, {}.get, self.exchange)
