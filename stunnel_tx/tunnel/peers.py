"""Peers over real connections: what dialogues talk through.

A line is looked at with MSG_PEEK and then taken exactly; bytes that can belong to nothing but the
current line or message are taken as they drip in, so that no wait ends without progress. What
follows stays in the kernel, or in OpenSSL's current record, and is the first input of TLS or of
the relay.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from OpenSSL import SSL

from stunnel_tx.errors import DeadlineExceeded, LimitExceeded, PeerClosed, ProtocolViolation
from stunnel_tx.negotiation.framing import find_line
from stunnel_tx.negotiation.limits import BYTES, LINE, LINES
from stunnel_tx.relay.loop import READ, WRITE
from stunnel_tx.tls.faults import explain

if TYPE_CHECKING:
    from stunnel_tx.tunnel.task import Task

__all__ = ["Allowance", "PlainPeer", "TLSPeer", "next_speaker", "part"]

#: Names the bound of :func:`part`, which is no option, in the error that ends it.
_PARTING: Final = "parting"

#: Seconds a refused peer has to read its refusal and close.
PARTING_WAIT: Final = 2.0

#: Bytes looked at, and thrown away, at a time while parting.
_DISCARD: Final = 16384


class Allowance:
    """What one side may still make a negotiation read; shared by its plain and its TLS peer."""

    __slots__ = ("bytes", "lines")

    def __init__(self, lines: int = LINES, size: int = BYTES) -> None:
        self.lines = lines
        self.bytes = size

    def line(self) -> None:
        """One more line is asked for."""
        if self.lines <= 0:
            raise LimitExceeded("lines in a negotiation", LINES)
        self.lines -= 1

    def take(self, count: int) -> None:
        """*count* more bytes are asked for, or have come."""
        if count > self.bytes:
            raise LimitExceeded("bytes in a negotiation", BYTES)
        self.bytes -= count


class _Peer(ABC):
    """What both kinds have in common; see :class:`stunnel_tx.negotiation.peer.Peer`.

    *side* names the peer in errors (``local`` or ``remote``). ``sent`` counts the bytes sent, in
    order that a side that was told something is closed so that it can read it.
    """

    __slots__ = ("_allowance", "_task", "sent", "side")

    #: True once something was read of which a rest may lie where it raises no readiness.
    heard = False

    def __init__(self, task: Task, side: str, allowance: Allowance | None = None) -> None:
        self._task = task
        self.side = side
        self._allowance = allowance if allowance is not None else Allowance()
        self.sent = 0

    @abstractmethod
    async def _receive(self, count: int, flags: int = 0) -> bytes:
        """Between one and *count* bytes, as soon as there are any."""

    @abstractmethod
    async def _send_some(self, data: memoryview) -> int:
        """Send what fits, as soon as something does; the number of bytes."""

    def _take_now(self, count: int) -> bytes:
        """Up to *count* bytes, if they can be had without more ado."""
        return b""

    async def _take(self, count: int) -> bytes:
        """The next *count* bytes, which are there already or belong to what is being read."""
        data = await self._receive(count)
        while len(data) < count:
            data += await self._receive(count - len(data))
        return data

    async def read_line(self, limit: int = LINE) -> bytes:
        """See :class:`~stunnel_tx.negotiation.peer.Peer`."""
        self._allowance.line()
        held = b""
        while True:
            seen = await self._receive(limit - len(held), socket.MSG_PEEK)
            text, size = find_line(held + seen if held else seen, limit)
            fresh = size - len(held)
            self._allowance.take(fresh)
            taken = self._take_now(fresh)
            if len(taken) < fresh:
                taken += await self._take(fresh - len(taken))
            if text is not None:
                return text
            held += taken

    async def read_exactly(self, count: int) -> bytes:
        """See :class:`~stunnel_tx.negotiation.peer.Peer`."""
        if count <= 0:
            return b""
        self._allowance.take(count)
        return await self._take(count)

    async def peek(self, count: int) -> bytes:
        """See :class:`~stunnel_tx.negotiation.peer.Peer`."""
        return await self._receive(count, socket.MSG_PEEK)

    async def spoken(self, within: float) -> bytes:
        """See :class:`~stunnel_tx.negotiation.peer.Peer`."""
        while self.silent():
            if not await self._task.ready_within(self.fd, READ, within):
                return b""
        return await self.peek(1)

    @property
    @abstractmethod
    def fd(self) -> int:
        """The descriptor to wait for."""

    @abstractmethod
    def silent(self) -> bool:
        """True when there is nothing to read now, not even the end."""

    async def send(self, data: bytes) -> None:
        """See :class:`~stunnel_tx.negotiation.peer.Peer`."""
        rest = memoryview(data)
        while rest:
            done = await self._send_some(rest)
            self.sent += done
            rest = rest[done:]

    def _closed(self, how: str) -> PeerClosed:
        return PeerClosed(f"the {self.side} side {how} during the protocol negotiation")

    def _broken(self, error: OSError) -> PeerClosed:
        return PeerClosed(f"the {self.side} side: {error.strerror or error} ({error.errno})")


class PlainPeer(_Peer):
    """A peer on a connected, non-blocking stream socket (TCP, UNIX, or one of a pair)."""

    __slots__ = ("_prompted", "socket")

    def __init__(
        self, task: Task, sock: socket.socket, side: str, allowance: Allowance | None = None
    ) -> None:
        super().__init__(task, side, allowance)
        self.socket = sock
        # Something was sent, and the answer cannot be there yet: looking for it is wasted.
        self._prompted = False

    @property
    def fd(self) -> int:
        """See :class:`_Peer`."""
        return self.socket.fileno()

    def silent(self) -> bool:
        """See :class:`_Peer`."""
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            # Whoever reads next will find out.
            return False
        return False

    async def spoken(self, within: float) -> bytes:
        """See :class:`~stunnel_tx.negotiation.peer.Peer`; without a look in advance."""
        if await self._task.ready_within(self.socket.fileno(), READ, within):
            return await self.peek(1)
        return b""

    async def _receive(self, count: int, flags: int = 0) -> bytes:
        if self._prompted:
            self._prompted = False
            await self._task.ready(self.socket.fileno(), READ)
        while True:
            try:
                data = self.socket.recv(count, flags)
            except BlockingIOError:
                await self._task.ready(self.socket.fileno(), READ)
                continue
            except OSError as error:
                raise self._broken(error) from error
            if not data:
                raise self._closed("closed the connection")
            return data

    def _take_now(self, count: int) -> bytes:
        try:
            return self.socket.recv(count)
        except OSError:
            # Whoever reads next will find out.
            return b""

    async def send(self, data: bytes) -> None:
        """See :class:`~stunnel_tx.negotiation.peer.Peer`; mostly done in one go."""
        self._prompted = True
        try:
            done = self.socket.send(data)
        except OSError:
            # The next attempt waits, or finds out.
            done = 0
        self.sent += done
        if done < len(data):
            await super().send(data[done:])

    async def _send_some(self, data: memoryview) -> int:
        while True:
            try:
                return self.socket.send(data)
            except BlockingIOError:
                await self._task.ready(self.socket.fileno(), WRITE)
            except OSError as error:
                raise self._broken(error) from error


class TLSPeer(_Peer):
    """A peer inside TLS: an OpenSSL connection on a non-blocking socket, its handshake done.

    A relay that follows has to be started *eager* when this was ``heard``: the rest of a record
    that was read in part lies in OpenSSL and raises no readiness.
    """

    __slots__ = ("_fd", "connection", "heard")

    def __init__(
        self,
        task: Task,
        connection: SSL.Connection,
        sock: socket.socket,
        side: str,
        allowance: Allowance | None = None,
    ) -> None:
        super().__init__(task, side, allowance)
        self.connection = connection
        self.heard = False
        self._fd = sock.fileno()

    @property
    def fd(self) -> int:
        """See :class:`_Peer`."""
        return self._fd

    def silent(self) -> bool:
        """See :class:`_Peer`."""
        self.heard = True
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except SSL.WantReadError:
            return True
        except SSL.Error:
            # Whoever reads next will find out.
            return False
        return False

    async def _receive(self, count: int, flags: int = 0) -> bytes:
        self.heard = True
        while True:
            try:
                return self.connection.recv(count, flags or None)
            except SSL.Error as error:
                await self._settle(error)

    async def _send_some(self, data: memoryview) -> int:
        # One object for all attempts: OpenSSL wants a blocked write repeated as it was.
        same = bytes(data)
        while True:
            try:
                return self.connection.send(same)
            except SSL.Error as error:
                await self._settle(error)

    async def _settle(self, error: SSL.Error) -> None:
        """Wait for what OpenSSL wants, or raise what the failure of a call means."""
        if isinstance(error, SSL.WantReadError):
            await self._task.ready(self.fd, READ)
        elif isinstance(error, SSL.WantWriteError):
            await self._task.ready(self.fd, WRITE)
        elif isinstance(error, SSL.ZeroReturnError):
            raise self._closed("closed TLS") from error
        elif isinstance(error, SSL.SysCallError):
            raise self._closed("dropped TLS") from error
        else:
            text = f"the {self.side} side: {explain(error)}"
            raise ProtocolViolation(text) from error


async def next_speaker(
    task: Task, local: PlainPeer | TLSPeer, remote: PlainPeer | TLSPeer
) -> PlainPeer | TLSPeer:
    """Wait until one side has something to say, or to end; *remote* when both have."""
    while True:
        for peer in (remote, local):
            if not peer.silent():
                return peer
        await task.first_ready((local.fd, remote.fd), READ)


async def part(task: Task, sock: socket.socket, within: float = PARTING_WAIT) -> None:
    """Let a peer that was told something read it, before its socket is closed.

    Closing a socket with unread input makes the kernel send RST, which can overtake the
    refusal. So this side is shut down first, and what still comes in is thrown away, up to
    :data:`~stunnel_tx.negotiation.limits.BYTES` and for *within* seconds. Never raises for
    what the peer does.
    """
    left = BYTES
    try:
        sock.shutdown(socket.SHUT_WR)
        with task.limit(_PARTING, within):
            while left > 0:
                try:
                    data = sock.recv(_DISCARD)
                except BlockingIOError:
                    await task.ready(sock.fileno(), READ)
                    continue
                if not data:
                    return
                left -= len(data)
    except DeadlineExceeded as error:
        if error.option != _PARTING:
            raise
    except OSError:
        return
