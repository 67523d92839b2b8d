"""Two ends of a TLS connection over real sockets: one under test, one to play the peer."""

from __future__ import annotations

import contextlib
import select
import socket
from functools import cache
from typing import TYPE_CHECKING

from OpenSSL import SSL, crypto

from tests.doubles.certificates import self_signed

if TYPE_CHECKING:
    from collections.abc import Callable

TLS_1_2, TLS_1_3 = 0x0303, 0x0304


@cache
def contexts(version: int) -> tuple[SSL.Context, SSL.Context]:
    """A server's and a client's context for exactly *version*, set up as the product does."""
    issued = self_signed("pair.example", ["pair.example"])
    made = []
    for method in (SSL.TLS_SERVER_METHOD, SSL.TLS_CLIENT_METHOD):
        context = SSL.Context(method)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.clear_mode(1)
        made.append(context)
    server, client = made
    server.use_certificate(crypto.X509.from_cryptography(issued.cert))
    server.use_privatekey(crypto.PKey.from_cryptography_key(issued.key))
    server.set_session_id(b"pair")
    return server, client


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected, non-blocking TCP sockets on the loopback interface."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    for sock in (near, far):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


def attempt(call: Callable[[], object]) -> object:
    """The answer of *call*, None when OpenSSL has to wait."""
    with contextlib.suppress(SSL.WantReadError, SSL.WantWriteError):
        return call()
    return None


def shake(*ends: SSL.Connection) -> None:
    """Finish the handshake between *ends*, whose sockets are joined."""
    waiting = set(ends)
    for _ in range(20):
        for end in ends:
            if end in waiting:
                with contextlib.suppress(SSL.WantReadError):
                    end.do_handshake()
                    waiting.discard(end)
        if not waiting:
            return
        # Loopback delivers as good as at once.
        select.select([raw_socket(end) for end in waiting], [], [], 0.05)
    raise AssertionError("no handshake")


def tls_pair(
    version: int,
    sockets: tuple[socket.socket, socket.socket] | None = None,
    session: SSL.Session | None = None,
) -> tuple[SSL.Connection, SSL.Connection]:
    """A server's and a client's connection, their handshake done."""
    near, far = sockets or tcp_pair()
    server_context, client_context = contexts(version)
    server, client = SSL.Connection(server_context, near), SSL.Connection(client_context, far)
    server.set_accept_state()
    client.set_connect_state()
    if session is not None:
        client.set_session(session)
    shake(client, server)
    return server, client


def raw_socket(connection: SSL.Connection) -> socket.socket:
    """The socket below *connection*."""
    sock = connection._socket
    assert isinstance(sock, socket.socket)
    return sock
