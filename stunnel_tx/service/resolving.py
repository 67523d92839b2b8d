"""The names in Twisted's endpoint strings, looked up where all others are.

Twisted's own resolver asks in the reactor's pool of threads, which is waited for at the end: see
:mod:`stunnel_tx.service.threads`.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, execute
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
)
from zope.interface import implementer

from stunnel_tx.configuration.addresses import is_ip
from stunnel_tx.errors import StunnelTxError
from stunnel_tx.service.addresses import look_up
from stunnel_tx.service.threads import threads_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IAddress, IResolutionReceiver
    from twisted.python.failure import Failure

    from stunnel_tx.tunnel.destination import SocketAddress

__all__ = ["HostnameResolver", "resolve_in_threads"]


def resolve_in_threads(reactor: Any) -> None:
    """Have *reactor* look names up in threads that nobody waits for at the end.

    To be called before endpoints are made; a reactor without such a choice is left alone.
    """
    if not IReactorPluggableNameResolver.providedBy(reactor):
        return
    if not isinstance(reactor.nameResolver, HostnameResolver):
        reactor.installNameResolver(HostnameResolver(reactor, reactor.nameResolver))


@implementer(IHostResolution)
class _Resolution:
    """One name that is being looked up."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.deferred: Deferred[Any] | None = None

    def cancel(self) -> None:
        """Do without the answer."""
        if self.deferred is not None:
            self.deferred.cancel()


@implementer(IHostnameResolver)
class HostnameResolver:
    """Looks up the addresses of stream sockets; *other* is asked for everything else."""

    def __init__(self, reactor: Any, other: IHostnameResolver) -> None:
        self._reactor = reactor
        self._other = other

    def resolveHostName(  # noqa: N802 - Twisted's names
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: Sequence[type[IAddress]] | None = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> IHostResolution:
        """See ``twisted.internet.interfaces.IHostnameResolver``."""
        if transportSemantics != "TCP":
            found: IHostResolution = self._other.resolveHostName(
                resolutionReceiver, hostName, portNumber, addressTypes, transportSemantics
            )
            return found
        receiver, resolution = resolutionReceiver, _Resolution(hostName)
        receiver.resolutionBegan(resolution)

        def tell(found: Sequence[SocketAddress]) -> None:
            for each in found:
                address = _address(each)
                if addressTypes is None or isinstance(address, tuple(addressTypes)):
                    receiver.addressResolved(address)
            receiver.resolutionComplete()

        def failed(failure: Failure) -> None:
            failure.trap(StunnelTxError, CancelledError)
            receiver.resolutionComplete()

        if is_ip(hostName):
            # There is nothing to wait for, and all threads may be waiting for a name server.
            asked = execute(look_up, hostName, portNumber)
        else:
            asked = threads_of(self._reactor).call(look_up, hostName, portNumber)
        resolution.deferred = asked
        asked.addCallbacks(tell, failed)
        return resolution


def _address(found: SocketAddress) -> IPv4Address | IPv6Address:
    """The same in Twisted's terms."""
    kind = IPv6Address if found.family == socket.AF_INET6 else IPv4Address
    address: IPv4Address | IPv6Address = kind("TCP", *found.address)
    return address
