"""Two ends of a TLS connection over a socket pair, their handshake done."""

from __future__ import annotations

import socket
from functools import cache
from typing import TYPE_CHECKING

from attrs import frozen
from OpenSSL import SSL

from tests.doubles.certificates import self_signed

if TYPE_CHECKING:
    from cryptography import x509

    from tests.doubles.certificates import Key


@cache
def _identity() -> tuple[x509.Certificate, Key]:
    issued = self_signed("server.example")
    return issued.cert, issued.key


@frozen(eq=False)
class TLSPair:
    """Both connections and their sockets; *ours* is the non-blocking server."""

    ours: SSL.Connection
    theirs: SSL.Connection
    our_socket: socket.socket
    their_socket: socket.socket

    def close(self) -> None:
        """Drop both sockets."""
        self.our_socket.close()
        self.their_socket.close()


def tls_pair(version: int = SSL.TLS1_3_VERSION) -> TLSPair:
    """A fresh pair of the given TLS *version*."""
    contexts = SSL.Context(SSL.TLS_METHOD), SSL.Context(SSL.TLS_METHOD)
    certificate, key = _identity()
    contexts[0].use_certificate(certificate)
    contexts[0].use_privatekey(key)
    for context in contexts:
        context.set_max_proto_version(version)
    sockets = socket.socketpair()
    for each in sockets:
        each.setblocking(False)
    ours, theirs = (SSL.Connection(c, s) for c, s in zip(contexts, sockets, strict=True))
    ours.set_accept_state()
    theirs.set_connect_state()
    shaken = [False, False]
    while not all(shaken):
        for place, end in enumerate((theirs, ours)):
            try:
                end.do_handshake()
                shaken[place] = True
            except SSL.WantReadError:
                pass
    return TLSPair(ours, theirs, *sockets)
