"""The way of one connection, written down once.

Server mode: ClientHello, TLS handshake, verdict, connect, relay. Client mode: connect, TLS
handshake, verdict, relay. A protocol that agrees on TLS in its own words talks in between, in
its stages. Nothing is forwarded before the verdict is in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import SSL

from stunnel_tx.errors import DeadlineExceeded, PeerClosed, PeerError, Rejected, StunnelTxError
from stunnel_tx.relay.channel import PlainChannel, TLSChannel, close_socket
from stunnel_tx.relay.loop import READ, WRITE
from stunnel_tx.relay.relay import Outcome, Relay
from stunnel_tx.telemetry import events
from stunnel_tx.tls import verification
from stunnel_tx.tls.binding.records import DONE, WANT_READ, record_io
from stunnel_tx.tls.faults import explain
from stunnel_tx.tunnel.hello import read_hello, refuse
from stunnel_tx.tunnel.naming import Unwelcome, choose
from stunnel_tx.tunnel.sockets import address_text, apply_options, is_inet
from stunnel_tx.tunnel.task import Cancelled, Task

if TYPE_CHECKING:
    import socket

    from stunnel_tx.relay.channel import Channel
    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.client_hello import ClientHello
    from stunnel_tx.tls.handshake import TLSContext
    from stunnel_tx.tunnel.dialogues import Dialogues, NegotiationPolicy
    from stunnel_tx.tunnel.runtime import Runtime, ServicePolicy


class Tunnel:
    """One accepted connection, from :meth:`start` to its closing log line."""

    __slots__ = (
        "_alerted",
        "_announced",
        "_relay",
        "_remote",
        "_reported",
        "_runtime",
        "_scope",
        "_socket",
        "_talks",
        "_target",
        "_task",
        "_tls",
        "_told",
        "connection",
        "peer",
        "policy",
        "redirected",
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
        self._announced = False
        self._tls: TLSContext | None = None
        self._target = ""
        self._talks: Dialogues | None = None
        self._told = False
        #: The id of the error that has its line; keeping the error itself would be a cycle.
        self._reported = 0
        #: True when the peer is not authenticated and goes to the targets of ``redirect``.
        self.redirected = False

    def start(self, *, inet: bool = True) -> None:
        """Begin; everything that follows is driven by events. *inet*: the socket is TCP's."""
        runtime, policy = self._runtime, self.policy
        runtime.tunnels.add(self)
        runtime.counters.accepted += 1
        runtime.counters.active += 1
        self._scope(events.STARTED, policy.name)
        if policy.negotiation is None:
            self._announce()
        if inet:
            apply_options(self._socket, policy.local_options, self._scope, "local")
        if self._task is not None:
            self._task.start(self._set_up(), self._stood_up)

    def _announce(self) -> None:
        """Say once who has come: the client itself, where somebody in between tells who it is."""
        if not self._announced:
            self._announced = True
            self._scope(events.ACCEPTED, self.policy.name, self.peer)

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
        if self.policy.negotiation is not None:
            await self._negotiate(self.policy.negotiation)
        elif self.policy.client:
            await self._connect()
            await self._handshake(self._remote)
        else:
            await self._handshake(self._socket)
            await self._connect()

    async def _negotiate(self, policy: NegotiationPolicy) -> None:
        """The same with what the protocol has to say, all under one absolute deadline."""
        task = self._live_task()
        limit = task.limit("TIMEOUTbusy", self.policy.busy)
        self._talks = talks = policy.begin(task, self._socket, self._scope, limit)
        try:
            with limit:
                await self._stages(talks)
        except Exception as error:
            # Telling the local side takes its time.
            self._report(error)
            self._told = await talks.failed(error)
            raise
        if talks.finished:
            await talks.part()

    async def _stages(self, talks: Dialogues) -> None:
        """Server mode without ``connects_first`` is the one that does not connect first."""
        self.peer = await talks.introduced() or self.peer
        self._announce()
        await talks.opened()
        steps = [self._connect, talks.middle, self._encrypt]
        if not (self.policy.client or talks.connects_first):
            steps[0], steps[2] = steps[2], steps[0]
        for step in steps:
            if not talks.finished:
                await step()
        if not talks.finished:
            await talks.late(self.policy.relay.idle)

    async def _encrypt(self) -> None:
        """The handshake between two stages."""
        talks, client = self._talks, self.policy.client
        sock = self._remote if client else self._socket
        if talks is None or sock is None:
            raise PeerClosed("no connection")
        talks.encrypting(local=not client)
        task = self._live_task()
        if not client:
            if talks.prompted:
                # It cannot have begun yet: looking at once would be wasted.
                await task.ready(sock.fileno(), READ)
            self._choose(await read_hello(task, sock), sock)
            talks.switch(self.policy.negotiation, self._scope)
        await self._shake(task, sock)
        if self.redirected:
            # What follows is between the client and whoever takes in strangers.
            talks.switch(None, self._scope)
        elif self._tls is not None and self.connection is not None:
            talks.encrypted(self._tls, self.connection, local=not client)

    async def _connect(self) -> None:
        task, talks = self._live_task(), self._talks
        destination = self.policy.destination
        if self.redirected:
            self._scope(events.REDIRECTING)
            if self.policy.redirect is None:
                raise Rejected("there is nowhere to redirect to")
            destination = self.policy.redirect
        if talks is None:
            self._remote = await destination.connect(task, self._scope)
        else:
            self._remote = await talks.connect(destination)
        if self.policy.client and destination.separate:
            self._target = address_text(self._remote.getpeername())
        if self._scope.enabled(events.REMOTE_CONNECTED.level):
            local = address_text(self._remote.getsockname())
            self._scope(events.REMOTE_CONNECTED, self.policy.name, local)
        if talks is not None:
            await talks.joined(self._remote)

    async def _handshake(self, sock: socket.socket | None) -> None:
        """TLS on *sock*, hello included, under one absolute deadline."""
        if sock is None:
            raise PeerClosed("no connection")
        task = self._live_task()
        busy = self.policy.busy
        with task.limit("TIMEOUTbusy", busy):
            if not self.policy.client:
                self._choose(await read_hello(task, sock), sock)
            if self.policy.busy == busy:
                await self._shake(task, sock)
        if self.policy.busy != busy:
            # The service chosen by name has a time-out of its own.
            with task.limit("TIMEOUTbusy", self.policy.busy):
                await self._shake(task, sock)

    def _choose(self, hello: ClientHello, sock: socket.socket) -> None:
        """Go on as the service that *hello* is for, or tell the client that there is none."""
        previous = self.policy
        try:
            policy = choose(previous, hello, self._scope)
        except Unwelcome as error:
            refuse(sock, hello, error.alert)
            self._alerted = True
            raise
        if policy is previous:
            return
        self.policy = policy
        self._scope = self._scope.child(self.ident, policy.threshold)
        if policy.local_options != previous.local_options and is_inet(sock.family):
            apply_options(sock, policy.local_options, self._scope, "local")

    async def _shake(self, task: Task, sock: socket.socket) -> None:
        """The handshake and the verdict."""
        # Files may be renewed before the handshake is done.
        self._tls = tls = self.policy.tls
        connection = tls.connection(sock, self._scope, self.peer, self._target)
        self.connection = connection
        fd = sock.fileno()
        handshake = record_io().handshake
        while (answer := handshake(connection)) != DONE:
            await task.ready(fd, READ if answer == WANT_READ else WRITE)
        outcome = tls.finish(connection, self._scope)
        self._runtime.counters.resumed += tls.resumed(connection)
        self.redirected = outcome is verification.Outcome.UNAUTHENTICATED
        if self.redirected and self._remote is not None:
            # The protocol had to connect first, to a place that is not for strangers.
            raise Rejected("peer is not authenticated, and it is too late to redirect it")

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
        talks, self._talks = self._talks, None
        if talks is not None and talks.finished:
            self._close_all(reset=False)
            self._ended(Outcome(False, False, 0, 0, 0, failed=False))
            return
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
        self._relay.start(eager=talks is not None and talks.heard)

    # --- ends ------------------------------------------------------------------------------

    def _failed(self, error: BaseException) -> None:
        """Log why set-up failed, close what is open."""
        self._report(error)
        self._talks = None
        if self.connection is not None and not isinstance(error, (SSL.Error, Rejected)):
            # Whatever else went wrong, the session is not to blame.
            self.connection.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)
        reset = self.policy.relay.reset and not isinstance(error, Cancelled)
        self._close_all(reset=reset)
        self._ended(Outcome(reset and not self._told, reset, 0, 0, 0, failed=True))

    def _report(self, error: BaseException) -> None:
        """Log and count, once, why set-up failed."""
        if self._reported == id(error):
            return
        self._reported = id(error)
        self._announce()
        scope, policy, counters = self._scope, self.policy, self._runtime.counters
        on_tls = events.TLS_CONNECT_ERROR if policy.client else events.TLS_ACCEPT_ERROR
        talks = self._talks
        if talks is not None and not talks.shaking and isinstance(error, StunnelTxError):
            self._negotiation_failed(error, reported=talks.reported)
        elif isinstance(error, SSL.Error):
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

    def _negotiation_failed(self, error: StunnelTxError, *, reported: bool) -> None:
        """One line at an operator's level about what went wrong in a stage, or in between."""
        if isinstance(error, Cancelled):
            return
        # The peer's alert, or ours, says what is wrong.
        self._alerted = isinstance(error.__cause__, SSL.Error)
        kind = "timeout" if isinstance(error, DeadlineExceeded) else "negotiation"
        self._runtime.counters.handshake_failed(kind)
        event = events.NEGOTIATION_DETAIL if reported else events.NEGOTIATION_FAILED
        self._scope(event, error, self.peer)

    def _close_all(self, *, reset: bool) -> None:
        loop = self._runtime.loop
        tls_socket = self._remote if self.policy.client else self._socket
        for sock in (self._socket, self._remote):
            if sock is not None:
                loop.forget(sock.fileno())
                # RST would overtake a fatal alert that tells the peer what was wrong.
                mild = (self._alerted and sock is tls_socket) or (
                    self._told and sock is self._socket
                )
                close_socket(sock, reset=reset, gently=mild)

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
        if self._tls is not None and self.connection is not None:
            self._tls.release(self.connection)
        self.connection = None
