"""Tests of the way from a back-end connection to its visitor's facts."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from attrs import define
from OpenSSL import SSL
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.demo.certificate import write_certificate
from stunnel_tx.demo.visitors import facts_for, facts_of


@define
class _Tunnel:
    """A tunnel as the page sees it."""

    connection: SSL.Connection | None
    remote_socket: socket.socket | None


def _handshake(directory: Path, server_name: bytes | None) -> SSL.Connection:
    """The server's end of a TLS 1.3 connection that was made in memory."""
    certificate, key = write_certificate(directory)
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.use_certificate_file(str(certificate))
    context.use_privatekey_file(str(key))
    context.set_alpn_select_callback(lambda _connection, offered: offered[0])
    server, client = (
        SSL.Connection(context, None),
        SSL.Connection(SSL.Context(SSL.TLS_METHOD), None),
    )
    server.set_accept_state()
    client.set_connect_state()
    if server_name is not None:
        client.set_tlsext_host_name(server_name)
        client.set_alpn_protos([b"http/1.1"])
    for source, target in ((client, server), (server, client), (client, server)):
        with contextlib.suppress(SSL.WantReadError):
            source.do_handshake()
        target.bio_write(source.bio_read(65536))
    server.do_handshake()
    return server


class FactsOfTests(SynchronousTestCase):
    """What a connection tells."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def test_all_known(self) -> None:
        """Version, cipher, group, name and ALPN are what OpenSSL has settled."""
        facts = facts_of(_handshake(self.directory, b"localhost"))
        self.assertEqual(facts.version, "TLSv1.3")
        self.assertRegex(facts.cipher, "^TLS_[A-Z0-9_]+$")
        self.assertRegex(str(facts.group).upper(), "MLKEM|X25519|P-?256|SECP")
        self.assertEqual(facts.server_name, "localhost")
        self.assertEqual(facts.alpn, "http/1.1")

    def test_nothing_sent(self) -> None:
        """A client that sends neither a name nor ALPN has none."""
        facts = facts_of(_handshake(self.directory, None))
        self.assertIsNone(facts.server_name)
        self.assertIsNone(facts.alpn)


class FactsForTests(SynchronousTestCase):
    """Finding the tunnel."""

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.connection = _handshake(directory, b"one")
        self.sockets = [socket.socket(), socket.socket()]
        for sock in self.sockets:
            self.addCleanup(sock.close)
            sock.bind(("127.0.0.1", 0))
        self.peer = IPv4Address("TCP", *self.sockets[1].getsockname())

    def test_found(self) -> None:
        """The tunnel with that outgoing address is found among others and unfinished ones."""
        tunnels = (
            _Tunnel(None, None),
            _Tunnel(self.connection, None),
            _Tunnel(None, self.sockets[1]),
            _Tunnel(self.connection, self.sockets[0]),
            _Tunnel(self.connection, self.sockets[1]),
        )
        facts = facts_for(self.peer, tunnels)
        self.assertIsNotNone(facts)
        self.assertEqual(facts, facts_of(self.connection))
        self.assertIsNone(facts_for(self.peer, tunnels[:-1]))

    def test_closed_socket(self) -> None:
        """A tunnel that has just closed its socket is passed over."""
        self.sockets[1].close()
        self.assertIsNone(facts_for(self.peer, (_Tunnel(self.connection, self.sockets[1]),)))

    def test_other_families(self) -> None:
        """The back end listens on IPv4 only; other addresses belong to nobody."""
        tunnels = (_Tunnel(self.connection, self.sockets[1]),)
        self.assertIsNone(facts_for(UNIXAddress(b"/s"), tunnels))
