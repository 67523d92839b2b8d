"""TLS clients of every kind for the listeners of an application."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from OpenSSL import SSL

from tests.doubles.relayed import ScriptedPeer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.doubles.applications import ApplicationRig
    from tests.doubles.certificates import Issued

BOTH_CLOSED = SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN


def client_context(
    version: int = 0, identity: Issued | None = None, alpn: Sequence[bytes] = ()
) -> SSL.Context:
    """A client that trusts everybody; sessions can be resumed by others of the same context."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if version:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    if alpn:
        context.set_alpn_protos(list(alpn))
    if identity is not None:
        context.use_certificate(identity.cert)
        context.use_privatekey(identity.key)
    return context


class Visit:
    """One connection of a client to a listener: ``error`` is empty when it is served.

    ``subject`` is the common name of the server, ``backend`` the far end of its tunnel.
    """

    def __init__(
        self,
        rig: ApplicationRig,
        context: SSL.Context,
        name: str | None = None,
        session: SSL.Session | None = None,
        *,
        backend: socket.socket | None = None,
        number: int = 0,
    ) -> None:
        self.error = ""
        self._rig = rig
        self._listening = backend or rig.backend
        self.connection = connection = SSL.Connection(context, rig.dial(number))
        connection.set_connect_state()
        if name is not None:
            connection.set_tlsext_host_name(name.encode("ascii"))
        if session is not None:
            connection.set_session(session)
        self._there: list[socket.socket] = []
        rig.until(self._step)

    def _step(self) -> bool:
        """Shake hands, then have a byte of the backend brought here: both ends are content."""
        try:
            self.connection.do_handshake()
            if not self._there:
                self._accept()
            return self.connection.recv(1) == b"!"
        except SSL.WantReadError:
            return False
        except SSL.SysCallError as error:
            self.error = str(error)
        except SSL.Error as error:
            reasons = error.args[0] if error.args else []
            self.error = reasons[0][-1] if reasons else type(error).__name__
        return True

    def _accept(self) -> None:
        try:
            sock, _ = self._listening.accept()
        except BlockingIOError:
            return
        sock.send(b"!")
        sock.setblocking(False)
        self._there.append(sock)
        self._rig.open.append(sock)

    @property
    def backend(self) -> ScriptedPeer:
        """The far end of the tunnel."""
        return ScriptedPeer(self._there[0])

    @property
    def subject(self) -> str:
        """The common name of the server's certificate."""
        certificate = self.connection.get_peer_certificate()
        assert certificate is not None
        return certificate.to_cryptography().subject.rfc4514_string().removeprefix("CN=")

    def leave(self) -> SSL.Session | None:
        """Drop the connection without a word; its session, which stays fit for resumption."""
        session = self.connection.get_session()
        self.connection.set_shutdown(BOTH_CLOSED)
        sock = self.connection._socket
        assert isinstance(sock, socket.socket)
        for each in (sock, *self._there):
            each.close()
        self._rig.until(lambda: not self._rig.application.runtime.tunnels)
        return session
