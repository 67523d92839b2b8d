"""From a connection that reached the back end to the visitor behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.internet.address import IPv4Address

from stunnel_tx.demo.page import TLSFacts

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from OpenSSL import SSL
    from twisted.internet.interfaces import IAddress

__all__ = ["JoinedTunnel", "facts_for", "facts_of"]


class JoinedTunnel(Protocol):
    """The part of a tunnel that is looked at."""

    @property
    def connection(self) -> SSL.Connection | None:
        """The visitor's TLS connection, while there is one."""

    @property
    def remote_socket(self) -> socket.socket | None:
        """The socket towards the back end, while there is one."""


def facts_for(peer: IAddress, tunnels: Iterable[JoinedTunnel]) -> TLSFacts | None:
    """The facts of the one among ``tunnels`` whose outgoing connection comes from ``peer``.

    None when there is none: somebody came to the back end directly, or the visitor has left.
    """
    if not isinstance(peer, IPv4Address):
        return None
    for tunnel in tunnels:
        sock, connection = tunnel.remote_socket, tunnel.connection
        if sock is None or connection is None or sock.fileno() < 0:
            continue
        if sock.getsockname() == (peer.host, peer.port):
            return facts_of(connection)
    return None


def facts_of(connection: SSL.Connection) -> TLSFacts:
    """What was negotiated on an established connection on the server's side."""
    name = connection.get_servername()
    return TLSFacts(
        version=connection.get_protocol_version_name(),
        cipher=connection.get_cipher_name() or "",
        group=connection.get_group_name(),
        server_name=None if name is None else name.decode("ascii", "replace"),
        alpn=connection.get_alpn_proto_negotiated().decode("ascii", "replace") or None,
    )
