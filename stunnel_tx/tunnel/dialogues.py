"""The negotiation of one tunnel: its stages over real connections, and refusals told in time.

The tunnel calls what its place in the order of things demands (``introduced``, ``opened``,
``connect``, ``joined``, ``encrypting``, ``encrypted``, ``middle``, ``late``); a service without a
protocol and without PROXY headers needs none of this.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen
from OpenSSL import SSL

from stunnel_tx.errors import (
    DeadlineExceeded,
    OperatingError,
    PeerRefused,
    ProtocolViolation,
    Rejected,
    StunnelTxError,
)
from stunnel_tx.negotiation.peer import Conversation, NegotiationOptions
from stunnel_tx.negotiation.proxy_senders import Senders
from stunnel_tx.negotiation.stages import Stages
from stunnel_tx.telemetry.levels import ERR
from stunnel_tx.tunnel.conversations import (
    end_text,
    local_end,
    receive_header,
    remote_end,
    send_header,
    session_of,
)
from stunnel_tx.tunnel.peers import Allowance, PlainPeer, TLSPeer, next_speaker, part
from stunnel_tx.tunnel.task import Cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from stunnel_tx.negotiation.stages import Dialogue
    from stunnel_tx.telemetry.events import Event
    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.handshake import TLSContext
    from stunnel_tx.tunnel.chosen import Chooser
    from stunnel_tx.tunnel.destination import Destination
    from stunnel_tx.tunnel.task import Limit, Task

__all__ = ["Dialogues", "NegotiationPolicy"]

#: Seconds for a refusal to go out; the local side may not be reading.
REFUSAL_WAIT: Final = 2.0

#: Names that bound in the error that ends it; it is no option.
_REFUSING: Final = "refusal"


@frozen(eq=False)
class NegotiationPolicy:
    """What a service says around TLS.

    ``stages`` are those of its protocol in its mode; ``chooser`` connects where the protocol
    lets clients choose. ``send_proxy`` is the version of the PROXY header for the remote side,
    0 for none; ``accept_proxy`` tells whose headers are taken.
    """

    stages: Stages = field(factory=Stages)
    options: NegotiationOptions = field(factory=NegotiationOptions)
    chooser: Chooser | None = None
    send_proxy: int = 0
    accept_proxy: Senders = field(factory=Senders)

    def begin(self, task: Task, sock: socket.socket, scope: Scope, limit: Limit) -> Dialogues:
        """The negotiation of one tunnel, whose accepted connection is *sock*.

        *limit* is the deadline of all of it.
        """
        return Dialogues(task, self, sock, scope, limit)


#: Nothing is said.
SILENCE: Final = NegotiationPolicy()


@define(eq=False)
class _Notes:
    """The log as dialogues see it; ``reported`` once it has an error line.

    Apart from :class:`Dialogues`, which is not to be part of a cycle: what it holds goes away
    with the last reference.
    """

    scope: Scope
    reported: bool = False

    def __call__(self, event: Event, *values: object) -> None:
        self.reported |= event.level <= ERR
        self.scope(event, *values)


async def _resolve(chooser: Chooser, task: Task, notes: _Notes, host: str) -> Sequence[str]:
    try:
        return await chooser.resolve(task, host, notes.scope)
    except (PeerRefused, Rejected):
        notes.reported = True
        raise


async def _listen(
    task: Task,
    limit: Limit,
    idle: float,
    local: PlainPeer | TLSPeer,
    remote: PlainPeer | TLSPeer,
) -> PlainPeer | TLSPeer:
    """Whoever speaks next, within *idle* seconds; meanwhile the time of *limit* does not run."""
    with limit.pause(), task.limit("TIMEOUTidle", idle):
        return await next_speaker(task, local, remote)


class Dialogues:
    """See the module's docstring. Deadlines are the tunnel's affair.

    ``shaking`` is True while a TLS handshake is under way, and what goes wrong is its own affair.
    """

    def __init__(
        self,
        task: Task,
        policy: NegotiationPolicy,
        sock: socket.socket,
        scope: Scope,
        limit: Limit,
    ) -> None:
        self._task = task
        self._limit = limit
        self._policy = policy
        self._notes = notes = _Notes(scope)
        self._local = sock
        self._remote: socket.socket | None = None
        self._allowances = Allowance(), Allowance()
        self._connection: SSL.Connection | None = None
        self._mute = False
        self.shaking = False
        self._local_peer: PlainPeer | TLSPeer = PlainPeer(task, sock, "local", self._allowances[0])
        self._remote_peer: PlainPeer | TLSPeer | None = None
        self.conversation = Conversation(
            local=self._local_peer,
            remote=None,
            options=policy.options,
            note=notes,
            source=partial(remote_end, sock),
            target=partial(local_end, sock),
            resolve=self._look_up(),
        )

    @property
    def connects_first(self) -> bool:
        """True when a server-mode service reaches its remote side before TLS."""
        return self._policy.stages.connects_first

    @property
    def reported(self) -> bool:
        """True once the log has an error line about what goes wrong."""
        return self._notes.reported

    @property
    def heard(self) -> bool:
        """True when something was read inside TLS: a relay has to start eager."""
        remote = self._remote_peer
        return self._local_peer.heard or (remote is not None and remote.heard)

    @property
    def prompted(self) -> bool:
        """True when a client that is to start TLS has been told so."""
        return self._local_peer.sent > 0

    @property
    def finished(self) -> bool:
        """True when a dialogue has said everything: close both sides with FIN."""
        return self.conversation.finished

    def switch(self, policy: NegotiationPolicy | None, scope: Scope) -> None:
        """The client has turned out to be for another service, or for none with a protocol."""
        self._notes.scope = scope
        if policy is self._policy:
            return
        self._policy = SILENCE if policy is None else policy
        self.conversation.options = self._policy.options
        self.conversation.resolve = self._look_up()

    def _look_up(self) -> Callable[[str], Awaitable[Sequence[str]]] | None:
        chooser = self._policy.chooser
        return None if chooser is None else partial(_resolve, chooser, self._task, self._notes)

    async def introduced(self) -> str:
        """Right after accept: the PROXY header of a listed peer.

        From here on the client is whoever the header names: the address for the log, or nothing.
        """
        conversation = self.conversation
        senders = self._policy.accept_proxy
        if senders.any and senders.include(conversation.source):
            header = await receive_header(self._task, self._local, self._notes.scope)
            if header.source is not None:
                conversation.source, conversation.target = header.source, header.target
                return end_text(header.source)
        return ""

    async def opened(self) -> None:
        """The early stage."""
        await self._say(self._policy.stages.early)

    async def connect(self, destination: Destination) -> socket.socket:
        """A socket connected to *destination*, or to what the client chose where it has to.

        A protocol in which clients choose never falls back on *destination*.
        """
        chosen, chooser = self.conversation.destination, self._policy.chooser
        chooses = self._policy.stages.chooses_destination
        if chooses and (chosen is None or chooser is None):
            raise OperatingError("no destination was chosen, or nobody connects to it")
        try:
            if chooses and chosen is not None and chooser is not None:
                return await chooser.connect(self._task, chosen, self._notes.scope)
            return await destination.connect(self._task, self._notes.scope)
        except DeadlineExceeded:
            raise
        except StunnelTxError:
            # Each attempt has had its line.
            self._notes.reported = True
            raise

    async def joined(self, remote: socket.socket) -> None:
        """Right after connect, before any other byte on *remote*: our own PROXY header."""
        conversation = self.conversation
        self._remote = remote
        self._remote_peer = PlainPeer(self._task, remote, "remote", self._allowances[1])
        conversation.remote = self._remote_peer
        conversation.bound = partial(local_end, remote)
        version = self._policy.send_proxy
        if version:
            ends = conversation.source, conversation.target
            await send_header(self._task, remote, version, *ends, conversation.session)

    async def middle(self) -> None:
        """The middle stage."""
        await self._say(self._policy.stages.middle)

    async def late(self, idle: float) -> None:
        """The late stage. *idle* is TIMEOUTidle, in seconds."""
        dialogue, remote = self._policy.stages.late, self._remote_peer
        if dialogue is not None and remote is not None:
            self.conversation.listen = partial(
                _listen, self._task, self._limit, idle, self._local_peer, remote
            )
            await self._say(dialogue)

    def encrypting(self, *, local: bool) -> None:
        """A handshake begins: a *local* side hears nothing from us until it is over.

        A remote side now waits for our ClientHello. Raises
        :class:`~stunnel_tx.errors.ProtocolViolation` when it has said anything more: somebody on
        the way has added it to the go-ahead, to be taken for a part of what TLS protects.
        """
        self._mute = local
        self.shaking = True
        if local or self._remote is None:
            return
        try:
            surplus = self._remote.recv(1, socket.MSG_PEEK)
        except OSError:
            # Nothing there, which is as it should be; a broken connection TLS will find out.
            return
        if surplus:
            self.shaking = False
            raise ProtocolViolation("the server says more in plaintext where TLS is to begin")

    def encrypted(self, tls: TLSContext, connection: SSL.Connection, *, local: bool) -> None:
        """The verdict on *connection* is in: that side is spoken to inside TLS from now on."""
        conversation = self.conversation
        self.shaking = False
        if local:
            stages = self._policy.stages
            before = stages.connects_first
            if stages.late or (not before and (stages.middle or self._policy.send_proxy)):
                # Nobody else asks, and finding out takes longer than it takes to say no.
                conversation.session = session_of(tls, connection)
            self._connection = connection
            self._mute = False
            self._local_peer = TLSPeer(
                self._task, connection, self._local, "local", self._allowances[0]
            )
            conversation.local = self._local_peer
            # What it was told in clear was that TLS comes now; here it can be told anything.
            conversation.refused, conversation.inside_tls = False, True
        elif self._remote is not None:
            self._remote_peer = TLSPeer(
                self._task, connection, self._remote, "remote", self._allowances[1]
            )
            conversation.remote = self._remote_peer

    async def failed(self, error: Exception) -> bool:
        """Tell the local side why there is no connection, as far as it can understand it.

        True when it was told something, now or before, and has had its time to read it: close
        it with FIN then. Raises nothing but a cancellation.
        """
        if self._mute or isinstance(error, Cancelled):
            return False
        refuse = self._policy.stages.refuse
        if refuse is not None:
            try:
                with self._task.limit(_REFUSING, REFUSAL_WAIT):
                    await refuse(self.conversation, error)
            except Cancelled:
                raise
            except (StunnelTxError, OSError):
                return False
        return await self._part()

    async def part(self) -> None:
        """After a dialogue that has said everything: let the local side read it."""
        await self._part()

    async def _part(self) -> bool:
        if not self._local_peer.sent:
            return False
        if self._connection is not None:
            try:
                self._connection.shutdown()
            except SSL.Error:
                return False
        await part(self._task, self._local)
        return True

    async def _say(self, dialogue: Dialogue | None) -> None:
        if dialogue is not None and not self.conversation.finished:
            await dialogue(self.conversation)
