"""The relay: two channels, the two flows between them, and the end of both."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import PeerError
from stunnel_tx.relay.channel import WANT_READ, WANT_WRITE, PipeChannel
from stunnel_tx.relay.flow import Flow, Outcome, RelayPolicy
from stunnel_tx.relay.half_close import Event, State, Wait, advance, waiting
from stunnel_tx.telemetry import events
from stunnel_tx.tls.binding.records import record_io

__all__ = ["Flow", "Outcome", "Relay", "RelayPolicy"]

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.relay.channel import Channel
    from stunnel_tx.relay.deadlines import Deadline, Deadlines
    from stunnel_tx.relay.loop import Loop
    from stunnel_tx.telemetry.log import Scope


#: What the kernel says of a peer that has closed its socket.
_LEFT: Final = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN})

#: Interests as they never are.
_UNTOLD: Final = (-1, -1)


class Relay:
    """Moves bytes between *local* and *remote* until both directions are done.

    *on_end* is called once, with the :class:`Outcome`, after both channels are closed.
    """

    __slots__ = (
        "_backward",
        "_cut",
        "_deadline",
        "_deadlines",
        "_dirty",
        "_forward",
        "_left",
        "_local",
        "_local_interest",
        "_loop",
        "_lost",
        "_now",
        "_on_end",
        "_policy",
        "_remote",
        "_remote_interest",
        "_scope",
        "_stamp",
        "_truncated",
        "_view",
        "peer",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - two sides, and what a relay cannot do without
        self,
        loop: Loop,
        deadlines: Deadlines,
        local: Channel,
        remote: Channel,
        policy: RelayPolicy,
        scope: Scope,
        peer: str,
        on_end: Callable[[Outcome], None],
    ) -> None:
        self._loop = loop
        self._deadlines = deadlines
        self._now = deadlines.now
        self._local = local
        self._remote = remote
        self._policy = policy
        self._scope = scope
        self.peer = peer
        self._on_end: Callable[[Outcome], None] | None = on_end
        self._forward = Flow(local, remote)
        self._backward = Flow(remote, local)
        self._view = record_io().view
        self._dirty = True
        #: What the loop has been told to wait for: reading from each side, and writing to it.
        self._local_interest = self._remote_interest = _UNTOLD
        self._truncated = 0
        self._stamp = 0.0
        #: A plain side that takes no more: the remote one, after RST or not, or the local one.
        self._lost = False
        self._cut = False
        self._left = False
        self._deadline: Deadline | None = None

    def start(self, *, eager: bool = False) -> None:
        """Begin; *eager* when a channel may hold bytes that raise no readiness any more."""
        self._stamp = self._now()
        self._settle()
        if eager and self._on_end is not None:
            self._local_ready(0)
        if eager and self._on_end is not None:
            self._remote_ready(0)

    @property
    def moved(self) -> tuple[int, int]:
        """Bytes given to the local and to the remote side so far."""
        return self._backward.moved, self._forward.moved

    def abort(self, *, reset: bool) -> None:
        """End now, from outside; *reset* as in :meth:`Channel.close`.

        With requireCloseNotify a side that has not been sent all gets RST in any case.
        """
        if self._on_end is not None:
            self._finish(reset=reset, failed=True)

    # --- readiness -------------------------------------------------------------------------

    def _local_ready(self, _event: int) -> None:
        self._ready(self._forward, self._backward, self._local_interest)

    def _remote_ready(self, _event: int) -> None:
        self._ready(self._backward, self._forward, self._remote_interest)

    def _ready(self, outgoing: Flow, incoming: Flow, interest: tuple[int, int]) -> None:
        """The source of *outgoing*, which is the sink of *incoming*, is ready for something."""
        if self._on_end is None:
            return
        self._stamp = self._now()
        reading, writing = interest
        if writing:
            self._flush(incoming)
        if reading and self._on_end is not None:
            self._pump(outgoing)
        if self._dirty and self._on_end is not None:
            self._settle()

    def _pump(self, flow: Flow) -> None:
        """Read one chunk and write it on."""
        source = flow.source
        while True:
            try:
                length = source.read()
            except PeerError as error:
                length = self._source_lost(flow, error)
            if length <= 0:
                self._nothing_read(flow, length)
                return
            more = source.more
            if flow.state is State.OPEN:
                try:
                    done = flow.sink.write(self._view, length)
                except PeerError as error:
                    self._sink_lost(flow, error)
                    return
                if done != length:
                    self._hold(flow, done, length)
                    return
                flow.moved += length
            if flow.read_want != WANT_READ:
                flow.read_want = WANT_READ
                self._dirty = True
            if not more:
                return

    def _nothing_read(self, flow: Flow, answer: int) -> None:
        """The source's *answer* was its end, or WANT_*."""
        if answer == 0:
            self._ended(flow)
        elif answer != flow.read_want:
            flow.read_want = answer
            self._dirty = True

    def _hold(self, flow: Flow, done: int, length: int) -> None:
        """The sink took *done* bytes of *length* (or WANT_*): keep the rest, pause the source."""
        if done < 0:
            flow.write_want = done
            done = 0
        else:
            flow.write_want = WANT_WRITE
        flow.moved += done
        flow.pending = memoryview(bytes(self._view[done:length]))
        self._dirty = True

    def _flush(self, flow: Flow) -> None:
        """Write what is pending, then go on with whatever waited for it."""
        if flow.pending is not None:
            length = len(flow.pending)
            try:
                done = flow.sink.write(flow.pending, length)
            except PeerError as error:
                self._sink_lost(flow, error)
                return
            if done != length:
                if done > 0:
                    flow.moved += done
                    flow.pending = flow.pending[done:]
                elif done != flow.write_want:
                    flow.write_want = done
                    self._dirty = True
                return
            flow.moved += length
            flow.pending = None
            flow.write_want = WANT_WRITE
            self._dirty = True
            if flow.state is State.OPEN:
                # What OpenSSL already holds raises no readiness: look before waiting.
                self._pump(flow)
                return
            flow.state = advance(flow.state, Event.DRAINED)
        if flow.state is State.CLOSING:
            self._close_sink(flow)

    # --- the end of one direction ----------------------------------------------------------

    def _sink_lost(self, flow: Flow, error: PeerError) -> None:
        """The sink takes no more; a plain remote side may still have an answer to give."""
        sink = flow.sink
        if flow is self._backward and sink.kind != "TLS" and _errno(error) in _LEFT:
            self._local_left()
        elif flow is self._forward and sink.kind != "TLS" and not self._lost:
            self._scope(events.SOCKET_ERROR, error, self.peer)
            self._lost = True
            # Nobody knows what is missing.
            self._cut = _errno(error) == errno.ECONNRESET
            flow.pending = None
            flow.state = advance(flow.state, Event.LOST)
            self._dirty = True
        else:
            self._broken(error, known=sink.truncated)

    def _source_lost(self, flow: Flow, error: PeerError) -> int:
        """What :meth:`Channel.read` would have answered: an error may be an end like any other."""
        if flow is self._backward:
            # A remote side that takes no more: its error comes after its last byte.
            if self._lost:
                return 0
        elif self._left:
            return 0
        elif self._backward.moved and flow.source.kind != "TLS" and _errno(error) in _LEFT:
            # A program that closes with a part of its answer unread sends RST for a FIN
            # (RFC 2525 section 2.17).
            self._local_left()
            return 0
        self._broken(error)
        return flow.read_want

    def _local_left(self) -> None:
        """The plain local side has closed, and does not want the rest of its answer."""
        self._scope(events.LOCAL_LEFT)
        self._left = True
        flow = self._backward
        flow.pending = None
        if flow.state is not State.DONE:
            flow.state = advance(flow.state, Event.GONE)
        self._dirty = True
        self._finish_if_done()

    def _ended(self, flow: Flow) -> None:
        """The source has no more bytes."""
        source = flow.source
        self._dirty = True
        if source.truncated:
            self._truncated += 1
            self._scope(events.TLS_TRUNCATED)
            if self._policy.require_close_notify:
                self._scope(events.TRUNCATION_RESET)
                self._finish(reset=False, failed=True)
                return
        else:
            self._scope(events.TLS_CLOSED if source.kind == "TLS" else events.READ_CLOSED)
        flow.state = advance(flow.state, Event.END)
        if flow.state is State.DRAINING:
            flow.state = advance(flow.state, Event.DRAINED)
            self._close_sink(flow)
        else:
            self._finish_if_done()

    def _close_sink(self, flow: Flow) -> None:
        self._dirty = True
        sink = flow.sink
        if sink.write_fd != sink.read_fd:
            # A pipe is closed now, and a closed descriptor cannot be forgotten.
            self._loop.forget(sink.write_fd)
        try:
            # What the remote side left behind may be all of its answer only after a FIN.
            want = sink.shutdown_write(cut=self._cut)
        except PeerError as error:
            self._sink_lost(flow, error)
            self._finish_if_done()
            return
        if want:
            flow.write_want = want
            flow.state = advance(flow.state, Event.BLOCKED)
            return
        if flow.sink.kind == "TLS" and not self._cut:
            self._scope(events.CLOSE_NOTIFY_SENT)
        flow.state = advance(flow.state, Event.CLOSED)
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._on_end is None:
            return
        if self._forward.state is State.DONE and self._backward.state is State.DONE:
            self._finish(reset=False, failed=self._lost or self._left)

    # --- interest and time-outs ------------------------------------------------------------

    def _settle(self) -> None:
        """Tell the loop what this relay waits for, and see to the right time-out."""
        self._dirty = False
        local_read, remote_write = self._forward.interest()
        remote_read, local_write = self._backward.interest()
        if (local_read, local_write) != self._local_interest:
            self._local_interest = local_read, local_write
            self._watch(self._local, local_read, local_write, self._local_ready)
        if (remote_read, remote_write) != self._remote_interest:
            self._remote_interest = remote_read, remote_write
            self._watch(self._remote, remote_read, remote_write, self._remote_ready)
        if self._deadline is None or self._backward.state is State.DONE:
            self._arm()

    def _watch(
        self, channel: Channel, read: int, write: int, callback: Callable[[int], None]
    ) -> None:
        same = channel.read_fd == channel.write_fd
        self._loop.watch(channel.read_fd, read | write if same else read, callback)
        if not same:
            self._loop.watch(channel.write_fd, write, callback)

    def _limit(self) -> tuple[Wait, float]:
        # A program that has left may have sent what the remote side will never take.
        buffered = self._forward.pending is not None and not self._left
        wait = waiting(self._forward.state, self._backward.state, buffered=buffered)
        return wait, self._policy.close if wait is Wait.CLOSE else self._policy.idle

    def _arm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        _wait, limit = self._limit()
        if limit >= 0:
            passed = self._now() - self._stamp
            self._deadline = self._deadlines.after(max(0.0, limit - passed), self._expired)

    def _expired(self) -> None:
        self._deadline = None
        if self._on_end is None:
            return
        wait, limit = self._limit()
        if self._now() - self._stamp < limit:
            # Something happened meanwhile: wait for the rest.
            self._arm()
        elif wait is Wait.CLOSE:
            self._scope(events.CLOSE_TIMEOUT)
            cut = self._forward.pending is not None
            self._finish(reset=cut and self._policy.reset, failed=cut)
        else:
            self._scope(events.IDLE_TIMEOUT)
            self._finish(reset=self._policy.reset, failed=True)

    # --- the end of the whole --------------------------------------------------------------

    def _broken(self, error: PeerError, *, known: bool = False) -> None:
        """End because of *error*; *known* when a line before has said who left, and how."""
        event = events.SOCKET_ERROR_DETAIL if known else events.SOCKET_ERROR
        self._scope(event, error, self.peer)
        self._finish(reset=self._policy.reset, failed=True)

    def _incomplete(self, flow: Flow) -> bool:
        """With requireCloseNotify: True when the sink must not take what it has for all."""
        return flow.source.kind == "TLS" and flow.state is not State.DONE

    def _finish(self, *, reset: bool, failed: bool) -> None:
        local_reset = remote_reset = reset
        if self._policy.require_close_notify and not reset:
            local_reset = self._incomplete(self._backward)
            remote_reset = self._incomplete(self._forward)
        on_end, self._on_end = self._on_end, None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        for channel, rst in ((self._local, local_reset), (self._remote, remote_reset)):
            # Pipes may be shared with other programs, which keep the kernel's entry alive.
            closing = not isinstance(channel, PipeChannel)
            self._loop.forget(channel.read_fd, closing=closing)
            if channel.write_fd != channel.read_fd:
                self._loop.forget(channel.write_fd, closing=closing)
            channel.close(reset=rst)
        to_local, to_remote = self.moved
        if on_end is not None:
            on_end(Outcome(local_reset, remote_reset, to_local, to_remote, self._truncated, failed))


def _errno(error: PeerError) -> int | None:
    """The number of the system's error behind *error*, if there is one."""
    cause = error.__cause__
    return cause.errno if isinstance(cause, OSError) else None
