"""Connect to where a client wants to go, as far as the operator's policy lets it."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final

from attrs import frozen

from stunnel_tx.errors import DeadlineExceeded, OperatingError, PeerRefused, Rejected
from stunnel_tx.negotiation.destinations import Unresolved, canonical
from stunnel_tx.telemetry import events
from stunnel_tx.tunnel.destination import MAX_TARGETS, Reported, SocketAddress, report_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stunnel_tx.negotiation.destinations import DestinationPolicy, IPAddress
    from stunnel_tx.negotiation.peer import Endpoint
    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tunnel.destination import Connector, Resolver
    from stunnel_tx.tunnel.task import Task

__all__ = ["Chooser", "is_own"]

#: Stands in where only addresses are wanted and none is connected.
_ANY_PORT: Final = 0


def is_own(address: IPAddress) -> bool:
    """True for an address of this machine: one that a socket can be bound to.

    Where the kernel lets sockets bind to foreign addresses (``ip_nonlocal_bind``), every
    address counts as our own, and destinations have to be listed.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            if isinstance(address, IPv6Address):
                # Never the v4-mapped meaning of an address; that one is judged by itself.
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((str(address), 0))
    except OSError as error:
        # Anything but a plain no is a doubt, and every doubt rejects; a family that this
        # machine does not have has no addresses on it either.
        return error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
    return True


@frozen
class Chooser:
    """How destinations chosen by clients are looked up, judged and connected.

    ``protocol`` names the protocol in the log; ``own`` tells the addresses of this machine.
    """

    protocol: str
    policy: DestinationPolicy
    resolver: Resolver
    connector: Connector
    own: Callable[[IPAddress], bool] = is_own

    async def connect(self, task: Task, chosen: Endpoint, scope: Scope) -> socket.socket:
        """A socket connected to the first address of *chosen* that is allowed and answers.

        Raises :class:`~stunnel_tx.errors.Rejected` when policy allows none,
        :class:`~stunnel_tx.negotiation.destinations.Unresolved` for a name without addresses,
        and :class:`~stunnel_tx.errors.PeerRefused` from the last failure when none answers.
        """
        allowed = await self._allowed(task, chosen.host, chosen.port, scope)
        last: Exception | None = None
        for address in allowed:
            try:
                return await self.connector.open(task, address, scope)
            except Reported as error:
                last = error
            except (OSError, DeadlineExceeded) as error:
                if isinstance(error, DeadlineExceeded) and error.option != "TIMEOUTconnect":
                    raise
                report_failure(scope, address, error)
                last = error
        raise PeerRefused(f"the destination cannot be connected: {last}") from last

    async def resolve(self, task: Task, host: str, scope: Scope) -> Sequence[str]:
        """The numeric addresses of *host* that a client may know of; see :meth:`connect`."""
        found = await self._allowed(task, host, _ANY_PORT, scope)
        return [str(canonical(str(each.address[0]).partition("%")[0])) for each in found]

    async def _allowed(
        self, task: Task, host: str, port: int, scope: Scope
    ) -> Sequence[SocketAddress]:
        """What *host* resolves to, less what policy forbids.

        What is judged here is what will be connected: nothing is looked up again.
        """
        found = (await self._found(task, host, port, scope))[:MAX_TARGETS]
        allowed = []
        reasons = []
        for each in found:
            try:
                self.policy.judge(str(each.address[0]), port, self.own)
            except Rejected as rejected:
                scope(events.DESTINATION_REJECTED, self.protocol, each, rejected)
                reasons.append(rejected)
            else:
                allowed.append(each)
        if not allowed:
            raise Rejected(f"the client's destination is {reasons[0]}")
        return allowed

    async def _found(
        self, task: Task, host: str, port: int, scope: Scope
    ) -> Sequence[SocketAddress]:
        literal = _literal(host, port)
        if literal is not None:
            return (literal,)
        try:
            found = await self.resolver.resolve(task, host, port)
        except OperatingError as error:
            scope(events.RESOLVE_FAILED, host, error)
            raise Unresolved(f"the destination does not resolve: {error}") from error
        internet = [each for each in found if isinstance(each.address, tuple)]
        if not internet:
            scope(events.RESOLVE_FAILED, host, "no address")
            raise Unresolved("the destination has no address")
        return internet


def _literal(host: str, port: int) -> SocketAddress | None:
    """The address for a numeric *host*; None for a name, or where a zone index is given."""
    try:
        address = canonical(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return SocketAddress(socket.AF_INET6, (str(address), port, 0, 0))
    return SocketAddress(socket.AF_INET, (str(address), port))
