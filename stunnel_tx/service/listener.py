"""A listener: accepts connections for one service, and survives reloads.

Its port comes from a Twisted endpoint. Where the port is a plain listening socket, connections
are accepted here, in batches and without a Twisted transport in between; any other port gives
its transports to a factory, and each is detached or bridged.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet import tcp, unix
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from stunnel_tx.relay.loop import READ, accept
from stunnel_tx.service.endpoints import StringEndpoint
from stunnel_tx.service.inherited import InheritedEndpoint
from stunnel_tx.service.sockets import OwnedPort, SocketEndpoint
from stunnel_tx.telemetry import events
from stunnel_tx.tunnel.bridge import Handover, detach, to_socket
from stunnel_tx.tunnel.sockets import address_text, is_inet
from stunnel_tx.tunnel.tunnel import Tunnel

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress, IListeningPort, IStreamServerEndpoint
    from twisted.internet.protocol import Protocol

    from stunnel_tx.tunnel.bridge import Pipe
    from stunnel_tx.tunnel.runtime import Runtime, ServicePolicy

#: Connections accepted before other descriptors get their turn.
BATCH: Final = 32

#: Seconds without accepting when descriptors or memory have run out.
PAUSE: Final = 1.0

#: Ports of Twisted's that are nothing but a listening socket.
_PLAIN_PORTS: Final = {tcp.Port, unix.Port}

#: Endpoints that can change the options of a socket that listens.
_FITTING: Final = (SocketEndpoint, StringEndpoint, InheritedEndpoint)

_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Listener:
    """One listening address; :attr:`policy` is that of the service it serves now."""

    def __init__(
        self,
        runtime: Runtime,
        endpoint: IStreamServerEndpoint,
        policy: ServicePolicy,
        limit: Callable[[], int],
        name: str = "",
    ) -> None:
        #: How the configuration calls the address.
        self.name = name or str(endpoint)
        self.endpoint = endpoint
        self.policy = policy
        self._runtime = runtime
        self._limit = limit
        self._scope = runtime.log.main
        self._port: IListeningPort | None = None
        self._socket: socket.socket | None = None
        self._suspended = False
        self._batch = 1
        self._family = 0
        self._started = False
        self._closed = False

    # --- opening and closing ---------------------------------------------------------------

    def open(self) -> Any:
        """Listen, without accepting yet; a Deferred with the port, or OSError and the like.

        What has been closed can be opened again, and accepts if it did so before.
        """
        self._closed = False
        return self.endpoint.listen(_Factory(self)).addCallback(self._opened)

    def _opened(self, port: IListeningPort) -> Listener:
        if self._closed:
            port.stopListening()
            return self
        self._port = port
        if isinstance(port, OwnedPort):
            self._socket = port.socket
        elif type(port) in _PLAIN_PORTS and isinstance(getattr(port, "factory", None), _Factory):
            # Nothing wraps our factory, so that accepting is all the port would do.
            plain = cast("tcp.Port", port)
            plain.stopReading()
            self._socket = plain.socket
        if self._socket is not None:
            self._family = int(self._socket.family)
            if isinstance(self.endpoint, StringEndpoint):
                # Somebody else has made the socket.
                self.endpoint.fit(self._socket, self._scope)
        if self._started:
            # An endpoint may take its time.
            self.start()
        return self

    @property
    def fd(self) -> int:
        """The listening descriptor, -1 when there is none of ours."""
        return self._socket.fileno() if self._socket is not None else -1

    def where(self) -> str:
        """The address listened on, as log lines show it."""
        if self._socket is not None:
            return address_text(self._socket.getsockname())
        host: Any = self._port.getHost() if self._port is not None else None
        if hasattr(host, "port"):
            return f"{host.host}:{host.port}"
        return str(getattr(host, "name", None) or self.name)

    def place(self) -> object:
        """The port, or the path of a UNIX socket, that nobody else can have; None when unknown."""
        if self._socket is None:
            return None
        address: Any = self._socket.getsockname()
        return address[1] if isinstance(address, tuple) else os.fsdecode(address)

    def start(self) -> None:
        """Begin, or go on, to accept."""
        self._started = True
        if self._socket is not None and not self._suspended:
            self._runtime.loop.watch(self._socket.fileno(), READ, self._accept)

    def serve(self, policy: ServicePolicy, endpoint: IStreamServerEndpoint) -> None:
        """Work for *policy* from the next connection on, with the socket options of *endpoint*."""
        self.policy = policy
        if self._socket is not None and isinstance(endpoint, _FITTING):
            if endpoint != self.endpoint:
                endpoint.fit(self._socket, self._scope)
            self.endpoint = endpoint

    def close(self) -> Any:
        """Stop accepting and close the port; a Deferred."""
        self._closed = True
        if self._socket is not None:
            self._runtime.loop.forget(self._socket.fileno())
            self._socket = None
        port, self._port = self._port, None
        if type(port) in _PLAIN_PORTS:
            # Now, not in a later turn of the reactor: another listener may wait for the place,
            # and at the end of the program there is no later turn.
            _close(cast("tcp.Port", port))
            return None
        return port.stopListening() if port is not None else None

    # --- accepting -------------------------------------------------------------------------

    def _accept(self, _event: int) -> None:
        listening = self._socket
        for accepted in range(self._batch):
            if listening is None or listening is not self._socket:
                return
            try:
                sock, address = accept(listening, self._family)
            except BlockingIOError:
                self._batch = max(1, accepted)
                return
            except OSError as error:
                self._accept_failed(error)
                return
            self.welcome(sock, address)
        # Grows with a crowd only: to look for one more after each newcomer is a wasted call.
        self._batch = min(2 * self._batch, BATCH)

    def _accept_failed(self, error: OSError) -> None:
        if error.errno in {errno.ECONNABORTED, errno.EINTR, errno.EPROTO, errno.EPERM}:
            # One connection went away before it was accepted, or was filtered.
            return
        self._scope(events.ACCEPT_FAILED, self.where(), error.strerror)
        if error.errno in _EXHAUSTED:
            self._scope(events.SUSPENDED)
        self._suspended = True
        self._runtime.loop.forget(self.fd)
        self._runtime.deadlines.after(PAUSE, self._resume)

    def _resume(self) -> None:
        self._suspended = False
        if self._socket is not None:
            self._scope(events.RESUMED_ACCEPTING)
            self.start()

    def welcome(self, sock: socket.socket, address: object) -> None:
        """Make a tunnel of an accepted, non-blocking socket."""
        runtime, policy = self._runtime, self.policy
        limit = self._limit()
        if len(runtime.tunnels) >= limit:
            runtime.counters.refused_by_limit += 1
            self._scope(events.TOO_MANY, limit)
            sock.close()
            return
        peer = address_text(address)
        self._scope(events.ACCEPTED_DEBUG, policy.name, sock.fileno(), peer)
        Tunnel(runtime, policy, sock, peer).start(inet=is_inet(self._family))

    def welcome_transport(self, transport: Any) -> Pipe | None:
        """Make a tunnel of a Twisted transport; the bridge where there is one."""
        peer = _peer_text(transport.getPeer())
        sock = detach(transport)
        protocol = None
        if sock is None:
            sock, protocol = to_socket(transport, self._runtime.reactor)
        self._family = int(sock.family)
        self.welcome(sock, peer)
        return protocol


def _close(port: tcp.Port) -> None:
    reason = Failure(CONNECTION_DONE)
    try:
        port.connectionLost(reason)
    except OSError:
        # The name of a UNIX socket has been removed already, or may not be removed by us.
        tcp.Port.connectionLost(port, reason)


def _peer_text(address: Any) -> str:
    if hasattr(address, "port"):
        return f"{address.host}:{address.port}"
    return address_text(getattr(address, "name", "") or "")


class _Factory(Factory):
    """Takes connections from ports that insist on making transports."""

    noisy = False

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """A protocol that gives its transport away as soon as it is connected."""
        return Handover(self.listener.welcome_transport)
