"""All listening addresses of the process: opened together or not at all, kept over reloads."""

from __future__ import annotations

import errno
import resource
import socket
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from stunnel_tx.configuration.addresses import EndpointString, HostPort, UnixPath
from stunnel_tx.errors import OperatingError, StunnelTxError
from stunnel_tx.service.addresses import look_up
from stunnel_tx.service.endpoints import has_header, server_endpoint
from stunnel_tx.service.inherited import InheritedEndpoint, InheritedSocket
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

__all__ = ["Listeners", "Places", "Plan", "Serving", "resolve_places"]


@frozen
class Opening:
    """One address of a service; listeners with equal keys can share a socket over a reload.

    ``name`` is how the log calls the address, ``where`` how a message about it begins: with the
    line of the configuration, if there is one.
    """

    key: object
    name: str
    endpoint: IStreamServerEndpoint
    policy: ServicePolicy
    where: str


@frozen(eq=False)
class Serving:
    """A listener, and the policy and endpoint it is to have from the next connection on.

    ``waits_for`` is the port or path that it is still to take over from a listener that goes.
    """

    service: str
    listener: Listener
    policy: ServicePolicy
    endpoint: IStreamServerEndpoint
    waits_for: object = None


#: Listeners to be, by key.
Plan = dict[object, Serving]

#: What the addresses of ``accept`` resolve to.
Places = dict[HostPort, tuple[SocketAddress, ...]]

#: The machine has no such address: a reload lives with that as a start does.
_ABSENT: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def resolve_places(blueprints: Iterable[Blueprint]) -> Places:
    """Look up where *blueprints* listen; blocks. Raises OperatingError."""
    places: Places = {}
    for blueprint in blueprints:
        for index, address in enumerate(blueprint.accept):
            if not isinstance(address, HostPort):
                continue
            try:
                places[address] = look_up(address.host, address.port, passive=True)
            except OperatingError as error:
                name = f"{blueprint.where(index)}Service [{blueprint.name}]"
                raise OperatingError(
                    f'{name}: Cannot resolve accept target "{address}": {error}'
                ) from error
    return places


class Listeners:
    """The listeners in force.

    :meth:`prepare` opens what a new configuration wants in addition, and :meth:`serve` puts it
    in force or :meth:`discard` closes it again; in between nothing has changed for anybody.
    """

    def __init__(self, runtime: Runtime, scope: Scope) -> None:
        self._runtime = runtime
        self._scope = scope
        self._listeners: dict[object, Listener] = {}
        self._serving = False
        # Addresses that those in force, and those prepared, have to do without.
        self._missing: dict[object, OSError] = {}
        self._missing_next: dict[object, OSError] = {}
        # How messages about the addresses of services begin.
        self._where: dict[tuple[str, str], str] = {}
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._limit = DescriptorLimit(soft, soft).max_clients

    def __iter__(self) -> Iterator[Listener]:
        return iter(self._listeners.values())

    def prepare(self, blueprints: Iterable[Blueprint], places: Places | None = None) -> Plan:
        """Open the addresses of *blueprints* that are not open yet; *places* if they are known.

        Raises OperatingError when a service gets none of its addresses, and on a reload when
        one of them cannot be had that could be before; what was opened here is closed again.
        """
        wanted = tuple(blueprints)
        plan: Plan = {}
        self._missing_next = {}
        if places is None:
            places = resolve_places(wanted)
        try:
            for blueprint in wanted:
                # Without an address of its own, a service is reached by name.
                if blueprint.accept:
                    self._open_service(blueprint, plan, places)
            for serving in plan.values():
                if serving.waits_for is not None and not self._leaving(plan, serving.waits_for):
                    in_use = OSError(errno.EADDRINUSE, "Address already in use")
                    raise self._unlucky(serving.service, serving.listener, in_use)
        except StunnelTxError:
            self.discard(plan)
            raise
        return plan

    def discard(self, plan: Plan) -> None:
        """Close what was opened for *plan*, which is not going to be served."""
        for key, serving in plan.items():
            if self._listeners.get(key) is not serving.listener:
                serving.listener.close()

    def serve(self, plan: Plan) -> None:
        """Put *plan* in force, and close the listeners that are not part of it.

        Raises OperatingError when a place that was to be taken over cannot be had; the
        listeners are those of before then.
        """
        self._take_over(plan)
        previous = self._listeners
        self._serving = True
        self._missing = self._missing_next
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

    # --- opening ---------------------------------------------------------------------------

    def _open_service(self, blueprint: Blueprint, plan: Plan, places: Places) -> None:
        openings = tuple(self._openings(blueprint, places))
        self._where |= {(blueprint.name, each.name): each.where for each in openings}
        found = [self._add(blueprint.name, opening, plan) for opening in openings]
        if not any(found):
            self._scope(events.BINDING_FAILED, blueprint.name)
            errors = [self._missing_next[opening.key] for opening in openings]
            raise OperatingError(
                f"{openings[0].where}Service [{blueprint.name}]: none of its addresses could be "
                f"bound; see the lines above{_remedy(*errors)}"
            )

    def _add(self, service: str, opening: Opening, plan: Plan) -> bool:
        """Add the listener of *opening* to *plan*; False when the service goes without it."""
        key = place = opening.key
        listener = self._listeners.get(key)
        if key in plan:
            # The same address twice: with port 0 these are two listeners, and with any
            # other port the system says what it has to say about that.
            place, listener = (key, len(plan)), None
        waits_for = None
        if listener is not None:
            self._scope(events.RELOAD_SAME, service, opening.name)
        else:
            listener = Listener(
                *(self._runtime, opening.endpoint, opening.policy),
                *(lambda: self._limit, opening.name),
            )
            error = self._open(service, listener)
            if error is not None:
                waits_for = self._taken_by_us(opening.endpoint, error)
                if waits_for is None:
                    self._go_without(service, opening, listener, error)
                    return False
        serving = Serving(service, listener, opening.policy, opening.endpoint, waits_for)
        plan[place] = serving
        if waits_for is None:
            self._scope(events.BOUND, service, listener.fd, listener.where())
        return True

    def _open(self, service: str, listener: Listener) -> BaseException | None:
        """Open *listener*; what it failed with.

        Endpoints of third parties may take their time; they count as opened meanwhile.
        """
        failures: list[BaseException] = []
        waiting = True

        def failed(failure: Failure) -> None:
            error: Any = failure.value
            if waiting:
                failures.append(error)
            else:
                self._scope(events.BINDING_ADDRESS, service, listener.name, _reason(error))

        deferred: Deferred[Any] = listener.open()
        deferred.addErrback(failed)
        waiting = False
        return failures[0] if failures else None

    def _go_without(
        self, service: str, opening: Opening, listener: Listener, error: BaseException
    ) -> None:
        """Note that the address of *opening* cannot be had; on a reload, raise OperatingError.

        One that is missing from the start, or on this machine, is no reason against a reload.
        """
        key, cause = opening.key, _system_error(error)
        if self._serving and key not in self._missing and cause.errno not in _ABSENT:
            raise self._unlucky(service, listener, error)
        self._scope(events.BINDING_ADDRESS, service, listener.name, _reason(error))
        self._missing_next[key] = cause

    def _unlucky(self, service: str, listener: Listener, error: BaseException) -> OperatingError:
        """The error of a reload whose *listener* could not be opened; the log has the reason."""
        self._scope(events.BINDING_ADDRESS, service, listener.name, _reason(error))
        self._scope(events.BINDING_FAILED, service)
        remedy = _remedy(_system_error(error))
        where = self._where.get((service, listener.name), "")
        return OperatingError(
            f"{where}Service [{service}]: cannot listen on {listener.name}: "
            f"{_reason(error)}{remedy}"
        )

    # --- taking over -----------------------------------------------------------------------

    def _taken_by_us(self, endpoint: IStreamServerEndpoint, error: BaseException) -> object:
        """The port or path that *endpoint* could not have, if one of our own listeners has it."""
        if _system_error(error).errno not in {errno.EADDRINUSE, None}:
            return None
        if isinstance(endpoint, SocketEndpoint):
            address = endpoint.address.address
            place = address[1] if isinstance(address, tuple) else address
        else:
            # What Twisted's ports say of themselves when they cannot listen.
            place = getattr(error, "port", None)
        return place if any(each.place() == place for each in self) else None

    def _leaving(self, plan: Plan, place: object) -> list[Listener]:
        """The listeners in force at *place* that are not part of *plan*."""
        staying = {id(serving.listener) for serving in plan.values()}
        return [each for each in self if each.place() == place and id(each) not in staying]

    def _take_over(self, plan: Plan) -> None:
        """Open the listeners that wait for the place of one that goes; see :meth:`serve`.

        Both cannot listen at the same time: with SO_REUSEPORT any other program of the same
        account could do so as well, and get some of the connections.
        """
        waiting = [each for each in plan.values() if each.waits_for is not None]
        gone: list[Listener] = []
        for serving in waiting:
            for listener in self._leaving(plan, serving.waits_for):
                listener.close()
                gone.append(listener)
            error = self._open(serving.service, serving.listener)
            if error is not None:
                for each in waiting:
                    each.listener.close()
                self._put_back(gone)
                raise self._unlucky(serving.service, serving.listener, error)
        for serving in waiting:
            listener = serving.listener
            self._scope(events.BOUND, serving.service, listener.fd, listener.where())

    def _put_back(self, gone: list[Listener]) -> None:
        for listener in gone:
            error = self._open(listener.policy.name, listener)
            if error is not None:
                self._unlucky(listener.policy.name, listener, error)

    def _openings(self, blueprint: Blueprint, places: Places) -> Iterator[Opening]:
        policy = blueprint.policy
        for index, address in enumerate(blueprint.accept):
            where = blueprint.where(index)
            if isinstance(address, InheritedSocket):
                inherited = InheritedEndpoint(address, blueprint.accept_options)
                yield Opening(address, str(address), inherited, policy, where)
                continue
            if isinstance(address, EndpointString):
                endpoint = server_endpoint(
                    address.text, self._runtime.reactor, blueprint.accept_options
                )
                own = behind_balancer(policy) if has_header(address.text) else policy
                yield Opening(address, address.text, endpoint, own, where)
                continue
            if isinstance(address, UnixPath):
                found: tuple[SocketAddress, ...] = (
                    SocketAddress(int(socket.AF_UNIX), address.path),
                )
            else:
                found = places[address]
            for resolved in found:
                own_socket = SocketEndpoint(resolved, blueprint.accept_options, blueprint.owner)
                yield Opening(resolved, str(resolved), own_socket, policy, where)


def _system_error(error: BaseException) -> OSError:
    """What the system said; without an errno when it was not the system."""
    cause = getattr(error, "socketError", error)
    return cause if isinstance(cause, OSError) else OSError(str(cause))


def _reason(error: BaseException) -> str:
    cause = _system_error(error)
    if cause.errno is None:
        return str(cause)
    return f"{cause.strerror} ({cause.errno})"


def _remedy(*errors: OSError) -> str:
    in_use = any(each.errno == errno.EADDRINUSE for each in errors)
    return ", and look for another program on the same port" if in_use else ""
