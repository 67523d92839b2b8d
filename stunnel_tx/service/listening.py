"""All listening addresses of the process: opened together or not at all, kept over reloads."""

from __future__ import annotations

import resource
import socket
from typing import TYPE_CHECKING, Any

from attrs import frozen

from stunnel_tx.configuration.addresses import EndpointString, UnixPath
from stunnel_tx.errors import OperatingError, StunnelTxError
from stunnel_tx.service.addresses import look_up
from stunnel_tx.service.endpoints import has_header, server_endpoint
from stunnel_tx.service.listener import Listener
from stunnel_tx.service.negotiation import behind_balancer
from stunnel_tx.service.process import DescriptorLimit
from stunnel_tx.service.sockets import SocketEndpoint
from stunnel_tx.telemetry import events
from stunnel_tx.tunnel.destination import SocketAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IStreamServerEndpoint
    from twisted.python.failure import Failure

    from stunnel_tx.service.build import Blueprint
    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tunnel.runtime import Runtime, ServicePolicy


@frozen(eq=False)
class Serving:
    """A listener, and the policy and endpoint it is to have from the next connection on."""

    listener: Listener
    policy: ServicePolicy
    endpoint: IStreamServerEndpoint


#: Listeners to be, by address; two equal keys can share a socket over a reload.
Plan = dict[object, Serving]


class Listeners:
    """The listeners in force.

    :meth:`prepare` opens what a new configuration wants in addition and :meth:`serve` puts it in
    force; in between nothing has changed for anybody.
    """

    def __init__(self, runtime: Runtime, scope: Scope) -> None:
        self._runtime = runtime
        self._scope = scope
        self._listeners: dict[object, Listener] = {}
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._limit = DescriptorLimit(soft, soft).max_clients

    def __iter__(self) -> Iterator[Listener]:
        return iter(self._listeners.values())

    def prepare(self, blueprints: Iterable[Blueprint]) -> Plan:
        """Open the addresses of *blueprints* that are not open yet.

        Raises OperatingError when a service gets none of its addresses; what was opened here is
        closed again then.
        """
        plan: Plan = {}
        try:
            for blueprint in blueprints:
                # Without an address of its own, a service is reached by name.
                if blueprint.accept:
                    self._open_service(blueprint, plan)
        except StunnelTxError:
            for key, serving in plan.items():
                if self._listeners.get(key) is not serving.listener:
                    serving.listener.close()
            raise
        return plan

    def serve(self, plan: Plan) -> None:
        """Put *plan* in force, and close the listeners that are not part of it."""
        previous = self._listeners
        self._listeners = {key: serving.listener for key, serving in plan.items()}
        for serving in plan.values():
            serving.listener.serve(serving.policy, serving.endpoint)
        for key, listener in previous.items():
            if self._listeners.get(key) is not listener:
                listener.close()

    def start(self) -> None:
        """Begin, or go on, to accept on all of them."""
        for listener in self._listeners.values():
            listener.start()

    def close(self) -> None:
        """Close all of them."""
        self.serve({})

    def _open_service(self, blueprint: Blueprint, plan: Plan) -> None:
        bound = False
        for key, endpoint, policy in self._openings(blueprint):
            listener = self._listeners.get(key)
            place: object = key
            if key in plan:
                # The same address twice: with port 0 these are two listeners, and with any
                # other port the system says what it has to say about that.
                place, listener = (key, len(plan)), None
            if listener is not None:
                self._scope(events.RELOAD_SAME, blueprint.name, endpoint)
            else:
                listener = Listener(self._runtime, endpoint, policy, lambda: self._limit)
                if not self._opened(blueprint, listener):
                    continue
            plan[place] = Serving(listener, policy, endpoint)
            bound = True
            self._scope(events.BOUND, blueprint.name, listener.fd, listener.where())
        if not bound:
            self._scope(events.BINDING_FAILED, blueprint.name)
            raise OperatingError(
                f"Service [{blueprint.name}]: none of its addresses could be bound; "
                "see the lines above, and look for another program on the same port"
            )

    def _opened(self, blueprint: Blueprint, listener: Listener) -> bool:
        """Open *listener*; False when that has failed, which is logged.

        Endpoints of third parties may take their time; they count as opened meanwhile.
        """
        failures: list[Failure] = []

        def failed(failure: Failure) -> None:
            failures.append(failure)
            error = getattr(failure.value, "socketError", failure.value)
            number = f" ({error.errno})" if isinstance(error, OSError) else ""
            reason = f"{getattr(error, 'strerror', None) or error}{number}"
            self._scope(events.BINDING_ADDRESS, blueprint.name, listener.endpoint, reason)

        deferred: Deferred[Any] = listener.open()
        deferred.addErrback(failed)
        return not failures

    def _openings(
        self, blueprint: Blueprint
    ) -> Iterator[tuple[object, IStreamServerEndpoint, ServicePolicy]]:
        """Key, endpoint, and policy of each address."""
        policy = blueprint.policy
        for address in blueprint.accept:
            if isinstance(address, EndpointString):
                endpoint = server_endpoint(address.text, self._runtime.reactor)
                header = has_header(address.text)
                yield address, endpoint, behind_balancer(policy) if header else policy
                continue
            for resolved in _resolve(blueprint, address):
                options = (blueprint.accept_options, blueprint.owner)
                yield resolved, SocketEndpoint(resolved, *options), policy


def _resolve(blueprint: Blueprint, address: Any) -> tuple[SocketAddress, ...]:
    if isinstance(address, UnixPath):
        return (SocketAddress(int(socket.AF_UNIX), address.path),)
    try:
        return look_up(address.host, address.port, passive=True)
    except OperatingError as error:
        raise OperatingError(
            f'Service [{blueprint.name}]: Cannot resolve accept target "{address}": {error}'
        ) from error
