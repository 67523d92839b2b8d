"""Find and connect the remote side of a tunnel: targets, fail-over, delayed names."""

from __future__ import annotations

import errno
import os
import random
import socket
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import frozen

from stunnel_tx.errors import DeadlineExceeded, PeerRefused, StunnelTxError
from stunnel_tx.relay.loop import WRITE
from stunnel_tx.telemetry import events
from stunnel_tx.tunnel.sockets import OptionSetting, address_text, apply_options, is_inet
from stunnel_tx.tunnel.task import Cancelled

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tunnel.task import Task

#: A listening UNIX socket with a full queue cannot be waited for; try again this often (s).
_QUEUE_FULL: Final = 0.25

#: Targets tried for one connection at most, however many addresses a name resolves to.
MAX_TARGETS: Final = 64


@frozen
class SocketAddress:
    """A resolved address: what ``socket.connect`` wants."""

    family: int
    address: Any

    def __str__(self) -> str:
        return address_text(self.address)


class Target(Protocol):
    """One line of ``connect``; stands for one or more addresses, or an endpoint."""

    async def open(self, task: Task, connector: Connector, scope: Scope) -> socket.socket:
        """A connected socket, non-blocking."""


class Resolver(Protocol):
    """Looks a name up while tunnels wait for it."""

    async def resolve(self, task: Task, host: str, port: int | str) -> Sequence[SocketAddress]:
        """All addresses; raises :class:`~stunnel_tx.errors.StunnelTxError` for none."""


class Reported(StunnelTxError):
    """A failure that has its log *lines* already."""

    def __init__(self, text: str, lines: int) -> None:
        self.lines = lines
        super().__init__(text)


@frozen
class Connector:
    """How outgoing sockets are made: options, source addresses, and TIMEOUTconnect in seconds.

    Of the *sources* that of the target's family is bound to; with some and none of that family,
    the target cannot be connected.
    """

    options: tuple[OptionSetting, ...]
    timeout: float
    sources: tuple[SocketAddress, ...] = ()

    async def open(self, task: Task, target: SocketAddress, scope: Scope) -> socket.socket:
        """Connect to *target*.

        Raises :class:`OSError`, :class:`~stunnel_tx.errors.DeadlineExceeded`, or
        :class:`Reported` for a family that there is no source address of.
        """
        source = self._source(target, scope)
        scope(events.CONNECTING, target)
        sock = socket.socket(target.family, socket.SOCK_STREAM | _NON_BLOCKING)
        try:
            if not _NON_BLOCKING:
                sock.setblocking(False)
            if is_inet(target.family):
                apply_options(sock, self.options, scope, "remote")
                if source is not None:
                    sock.bind(source.address)
            code = _begin(sock, target.address)
            if code in _UNDER_WAY:
                with task.limit("TIMEOUTconnect", self.timeout):
                    code = await _conclude(task, sock, target.address, code)
            _judge(code)
        except BaseException:
            task.close(sock)
            raise
        scope(events.CONNECTED, target)
        return sock

    def reaches(self, target: Target) -> bool:
        """False for an address that none of the sources can connect to."""
        if not isinstance(target, AddressTarget) or not is_inet(target.address.family):
            return True
        return any(source.family == target.address.family for source in self.sources)

    def _source(self, target: SocketAddress, scope: Scope) -> SocketAddress | None:
        if not self.sources or not is_inet(target.family):
            return None
        for source in self.sources:
            if source.family == target.family:
                return source
        scope(events.NO_SOURCE, target)
        raise Reported("'local' has no address of the target's family", lines=0)


_NON_BLOCKING: Final = getattr(socket, "SOCK_NONBLOCK", 0)

#: What ``connect`` answers while there is something to wait for; EAGAIN is a UNIX socket's
#: word for a full queue.
_UNDER_WAY: Final = frozenset({errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN})


def _begin(sock: socket.socket, address: Any) -> int:
    """Start to connect; the answer of ``connect``."""
    code = sock.connect_ex(address)
    if code == errno.EINPROGRESS:
        # To an address nearby the connection stands by now, and asking once more costs a
        # fraction of a wait.
        code = sock.connect_ex(address)
    return code


def _judge(code: int) -> None:
    """Raise what the final answer of ``connect`` says, if it is not that all is well."""
    if code and code != errno.EISCONN:
        raise OSError(code, os.strerror(code))


async def _conclude(task: Task, sock: socket.socket, address: Any, code: int) -> int:
    """Wait until ``connect`` has its final answer.

    It is asked again after each wait: readiness is a hint, and may have been meant for a
    descriptor of earlier.
    """
    while code in _UNDER_WAY:
        if code == errno.EAGAIN:
            await task.sleep(_QUEUE_FULL)
        else:
            await task.ready(sock.fileno(), WRITE)
        code = sock.connect_ex(address)
    return code


@frozen
class AddressTarget:
    """One address, known since the start."""

    address: SocketAddress

    def __str__(self) -> str:
        return str(self.address)

    def open(
        self, task: Task, connector: Connector, scope: Scope
    ) -> Coroutine[Any, Any, socket.socket]:
        """See :class:`Target`."""
        return connector.open(task, self.address, scope)


@frozen
class NameTarget:
    """A name looked up for each connection (``delay = yes``)."""

    host: str
    port: int | str
    resolver: Resolver

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    async def open(self, task: Task, connector: Connector, scope: Scope) -> socket.socket:
        """See :class:`Target`: the first address that answers, in the resolver's order."""
        try:
            found = await self.resolver.resolve(task, self.host, self.port)
        except StunnelTxError as error:
            if _not_ours(error):
                raise
            scope(events.RESOLVE_FAILED, self.host, error)
            raise Reported(str(error), lines=1) from error
        last: Exception = PeerRefused("No remote host resolved")
        lines = 0
        addresses = found[:MAX_TARGETS]
        for address in addresses:
            try:
                return await connector.open(task, address, scope)
            except Reported as error:
                last = error
            except (OSError, DeadlineExceeded) as error:
                report_failure(scope, address, error)
                last = error
                lines += 1
        raise Reported(str(last), lines) from last


def report_failure(scope: Scope, target: object, error: Exception) -> None:
    """Log why *target* could not be connected."""
    if isinstance(error, DeadlineExceeded):
        scope(events.CONNECT_TIMEOUT, target)
    elif isinstance(error, OSError):
        scope(events.CONNECT_ERROR, target, f"{error.strerror} ({error.errno})")
    else:
        scope(events.CONNECT_ERROR, target, error)


class Destination:
    """All targets of a service and the order in which they are tried."""

    def __init__(
        self, targets: Sequence[Target], connector: Connector, *, round_robin: bool = False
    ) -> None:
        self._targets = tuple(targets)
        #: True when targets are told apart: several, and known before they are connected.
        self.separate = len(self._targets) > 1 and all(
            isinstance(each, AddressTarget) for each in self._targets
        )
        self._connector = connector
        self._round_robin = round_robin and len(self._targets) > 1
        # A random start spreads the load of many processes with the same configuration.
        self._next = random.randrange(len(self._targets)) if self._round_robin else 0  # noqa: S311

    async def connect(self, task: Task, scope: Scope) -> socket.socket:
        """A connected socket to the first target that answers.

        Raises :class:`~stunnel_tx.errors.PeerRefused` when none does.
        """
        targets = self._targets
        first = 0
        if self._round_robin:
            first = self._next
            self._next = (first + 1) % len(targets)
            scope(events.FAILOVER_RR, first)
        elif len(targets) > 1:
            scope(events.FAILOVER_PRIO)
        lines = 0
        for step in range(len(targets)):
            target = targets[(first + step) % len(targets)]
            try:
                return await target.open(task, self._connector, scope)
            except Reported as error:
                lines += error.lines
            except (OSError, StunnelTxError) as error:
                if _not_ours(error):
                    raise
                report_failure(scope, target, error)
                lines += 1
        # One line has said it all; several want a last word, and so does silence.
        scope(events.NO_OTHER_ADDRESS if lines == 1 else events.NO_MORE_ADDRESSES)
        raise PeerRefused("No more addresses to connect")


def _not_ours(error: Exception) -> bool:
    """True for a deadline or a cancellation that concerns the whole tunnel."""
    if isinstance(error, DeadlineExceeded):
        return error.option != "TIMEOUTconnect"
    return isinstance(error, Cancelled)


__all__ = [
    "AddressTarget",
    "Connector",
    "Destination",
    "NameTarget",
    "Reported",
    "Resolver",
    "SocketAddress",
    "Target",
    "report_failure",
]
