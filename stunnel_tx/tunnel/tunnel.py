"""The way of one connection, written down once.

Server mode: ClientHello, TLS handshake, verdict, connect, relay. Client mode: connect, TLS
handshake, verdict, relay. Nothing is forwarded before the verdict is in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import SSL

from stunnel_tx.errors import DeadlineExceeded, PeerClosed, PeerError, Rejected, StunnelTxError
from stunnel_tx.relay.channel import PlainChannel, TLSChannel, close_socket
from stunnel_tx.relay.loop import READ, WRITE
from stunnel_tx.relay.relay import Outcome, Relay
from stunnel_tx.telemetry import events
from stunnel_tx.tls.faults import explain
from stunnel_tx.tunnel.hello import read_hello
from stunnel_tx.tunnel.sockets import address_text, apply_options
from stunnel_tx.tunnel.task import Cancelled, Task

if TYPE_CHECKING:
    import socket

    from stunnel_tx.relay.channel import Channel
    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tunnel.runtime import Runtime, ServicePolicy


class Tunnel:
    """One accepted connection, from :meth:`start` to its closing log line."""

    __slots__ = (
        "_alerted",
        "_relay",
        "_remote",
        "_runtime",
        "_scope",
        "_socket",
        "_task",
        "connection",
        "peer",
        "policy",
    )

    def __init__(
        self, runtime: Runtime, policy: ServicePolicy, sock: socket.socket, peer: str
    ) -> None:
        self._runtime = runtime
        self.policy = policy
        self._socket = sock
        self.peer = peer
        self._scope: Scope = runtime.log.scope(policy.identify(), policy.threshold)
        self._task: Task | None = Task(runtime.loop, runtime.deadlines)
        self._remote: socket.socket | None = None
        self._relay: Relay | None = None
        #: The TLS side, from its handshake on.
        self.connection: SSL.Connection | None = None
        self._alerted = False

    def start(self, *, inet: bool = True) -> None:
        """Begin; everything that follows is driven by events. *inet*: the socket is TCP's."""
        runtime, policy = self._runtime, self.policy
        runtime.tunnels.add(self)
        runtime.counters.accepted += 1
        runtime.counters.active += 1
        self._scope(events.STARTED, policy.name)
        self._scope(events.ACCEPTED, policy.name, self.peer)
        if inet:
            apply_options(self._socket, policy.local_options, self._scope, "local")
        if self._task is not None:
            self._task.start(self._set_up(), self._stood_up)

    @property
    def remote_socket(self) -> socket.socket | None:
        """The outgoing socket, once connected."""
        return self._remote

    @property
    def moved(self) -> tuple[int, int]:
        """Application bytes sent so far to the TLS side and to the plain side."""
        to_local, to_remote = self._relay.moved if self._relay is not None else (0, 0)
        return (to_remote, to_local) if self.policy.client else (to_local, to_remote)

    @property
    def ident(self) -> str:
        """The connection's id in the log."""
        return self._scope.ident

    def uses(self, fd: int) -> bool:
        """True when *fd* is one of this tunnel's sockets."""
        sockets = (self._socket, self._remote)
        return any(sock is not None and sock.fileno() == fd for sock in sockets)

    def abort(self) -> None:
        """Drop the connection because the program stops."""
        if self._relay is not None:
            self._relay.abort(reset=False)
        elif self._task is not None:
            self._task.throw(Cancelled("the program is stopping"))

    # --- the order of things ---------------------------------------------------------------

    async def _set_up(self) -> None:
        if self.policy.client:
            await self._connect()
            await self._handshake(self._remote)
        else:
            await self._handshake(self._socket)
            await self._connect()

    async def _connect(self) -> None:
        task = self._live_task()
        self._remote = await self.policy.destination.connect(task, self._scope)
        if self._scope.enabled(events.REMOTE_CONNECTED.level):
            local = address_text(self._remote.getsockname())
            self._scope(events.REMOTE_CONNECTED, self.policy.name, local)

    async def _handshake(self, sock: socket.socket | None) -> None:
        """TLS on *sock*, hello included, under one absolute deadline."""
        if sock is None:
            raise PeerClosed("no connection")
        task = self._live_task()
        policy = self.policy
        with task.limit("TIMEOUTbusy", policy.busy):
            if not policy.client:
                hello = await read_hello(task, sock)
                if hello.server_name is not None:
                    self._scope(events.SNI_REQUESTED, hello.server_name)
            connection = policy.tls.connection(sock, self._scope, self.peer)
            self.connection = connection
            fd = sock.fileno()
            while True:
                try:
                    connection.do_handshake()
                    break
                except SSL.WantReadError:
                    await task.ready(fd, READ)
                except SSL.WantWriteError:
                    await task.ready(fd, WRITE)
        policy.tls.finish(connection, self._scope)

    def _live_task(self) -> Task:
        if self._task is None:
            raise Cancelled("the tunnel has ended")
        return self._task

    def _stood_up(self, error: BaseException | None) -> None:
        """Set-up is over, one way or the other."""
        self._task = None
        if error is not None:
            self._failed(error)
            return
        policy, runtime = self.policy, self._runtime
        if self.connection is None or self._remote is None:
            self._failed(PeerClosed("no connection"))
            return
        if policy.client:
            local: Channel = PlainChannel(self._socket)
            remote: Channel = TLSChannel(self.connection, self._remote)
        else:
            local = TLSChannel(self.connection, self._socket)
            remote = PlainChannel(self._remote)
        self._relay = Relay(
            runtime.loop,
            runtime.deadlines,
            local,
            remote,
            policy.relay,
            self._scope,
            self.peer,
            self._ended,
        )
        if runtime.established is not None:
            runtime.established(self)
        self._relay.start()

    # --- ends ------------------------------------------------------------------------------

    def _failed(self, error: BaseException) -> None:
        """Log why set-up failed, close what is open."""
        scope, policy, counters = self._scope, self.policy, self._runtime.counters
        on_tls = events.TLS_CONNECT_ERROR if policy.client else events.TLS_ACCEPT_ERROR
        if isinstance(error, SSL.Error):
            counters.handshake_failed("tls")
            self._alerted = not isinstance(error, SSL.SysCallError)
            scope(on_tls, explain(error), self.peer)
        elif isinstance(error, DeadlineExceeded):
            counters.handshake_failed("timeout")
            scope(events.HANDSHAKE_TIMEOUT, self.peer)
        elif isinstance(error, Rejected):
            counters.handshake_failed("rejected")
            scope(on_tls, error, self.peer)
        elif isinstance(error, PeerError) and self.connection is None and not policy.client:
            counters.handshake_failed("hello")
            scope(on_tls, error, self.peer)
        elif not isinstance(error, StunnelTxError):
            self._runtime.fault(scope, "a tunnel", error)
        reset = policy.relay.reset and not isinstance(error, Cancelled)
        self._close_all(reset=reset)
        self._ended(Outcome(reset, reset, 0, 0, 0, failed=True))

    def _close_all(self, *, reset: bool) -> None:
        loop = self._runtime.loop
        tls_socket = self._remote if self.policy.client else self._socket
        for sock in (self._socket, self._remote):
            if sock is not None:
                loop.forget(sock.fileno())
                # RST would overtake a fatal alert that tells the peer what was wrong.
                close_socket(sock, reset=reset and not (self._alerted and sock is tls_socket))

    def _ended(self, outcome: Outcome) -> None:
        runtime, policy = self._runtime, self.policy
        counters = runtime.counters
        to_tls, to_socket = outcome.to_local, outcome.to_remote
        if policy.client:
            to_tls, to_socket = to_socket, to_tls
        counters.active -= 1
        counters.bytes_to_tls += to_tls
        counters.bytes_to_socket += to_socket
        counters.truncated += outcome.truncated
        self._scope(events.CONNECTION_END, outcome.word, to_tls, to_socket)
        runtime.tunnels.discard(self)
        self._scope(events.FINISHED, policy.name, len(runtime.tunnels))
        self._relay = None
        self.connection = None
