"""The application: services built from one configuration, their listeners, and the reload."""

from __future__ import annotations

import itertools
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from stunnel_tx.configuration.addresses import EndpointString, UnixPath
from stunnel_tx.configuration.check import authentication_warnings, file_permission_warnings
from stunnel_tx.configuration.loader import load
from stunnel_tx.errors import ConfigurationErrors, OperatingError, StunnelTxError
from stunnel_tx.relay.deadlines import Deadlines
from stunnel_tx.relay.loop import make_loop
from stunnel_tx.service.addresses import look_up
from stunnel_tx.service.build import Blueprint, build_service
from stunnel_tx.service.endpoints import endpoint_kinds, server_endpoint
from stunnel_tx.service.listener import Listener
from stunnel_tx.service.process import DescriptorLimit
from stunnel_tx.service.sockets import SocketEndpoint
from stunnel_tx.telemetry import events
from stunnel_tx.telemetry.counters import Counters
from stunnel_tx.tls.passphrases import Passphrases
from stunnel_tx.tunnel.destination import SocketAddress
from stunnel_tx.tunnel.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IStreamServerEndpoint
    from twisted.python.failure import Failure

    from stunnel_tx.configuration.model import Configuration
    from stunnel_tx.configuration.sources import Source
    from stunnel_tx.telemetry.log import Log
    from stunnel_tx.tunnel.runtime import ServicePolicy
    from stunnel_tx.tunnel.tunnel import Tunnel


@frozen(eq=False)
class Generation:
    """One accepted reading of the configuration, and what was built from it."""

    configuration: Configuration
    blueprints: tuple[Blueprint, ...]


@frozen
class _Opening:
    """One address a service wants to listen on; equal keys can share a socket."""

    key: object
    endpoint: IStreamServerEndpoint


@frozen(eq=False)
class _Serving:
    """A listener and the policy it is to serve from the next connection on."""

    listener: Listener
    policy: ServicePolicy


class Application:
    """See the module; the methods are called in the order load, bind, start, stop.

    ``established`` is called with each tunnel that begins to relay, where somebody asks.
    """

    def __init__(
        self,
        reactor: Any,
        source: Source,
        log: Log,
        *,
        ask: Callable[[str], bytes | None],
        established: Callable[[Tunnel], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._source = source
        self._log = log
        self._scope = log.main
        self._passphrases = Passphrases(ask)
        self._sequence = itertools.count()
        self._established = established
        self._generation: Generation | None = None
        self._listeners: dict[object, Listener] = {}
        self._runtime: Runtime | None = None
        self._limit = 0

    @property
    def configuration(self) -> Configuration | None:
        """The configuration in force."""
        return self._generation.configuration if self._generation is not None else None

    @property
    def runtime(self) -> Runtime:
        """What the tunnels share; made when it is first needed."""
        if self._runtime is None:
            self._runtime = Runtime(
                reactor=self._reactor,
                loop=make_loop(self._reactor, self._callback_failed),
                deadlines=Deadlines(self._reactor),
                log=self._log,
                counters=Counters(),
                established=self._established,
            )
        return self._runtime

    def addresses(self) -> tuple[str, ...]:
        """Where the listeners listen, in the order of the configuration."""
        return tuple(listener.where() for listener in self._listeners.values())

    def _callback_failed(self, fd: int, error: BaseException) -> None:
        """A bug: say so, and drop the tunnel it happened in; a listener goes on."""
        runtime = self.runtime
        runtime.fault(self._scope, "the relay", error)
        for tunnel in [each for each in runtime.tunnels if each.uses(fd)]:
            runtime.loop.forget(fd)
            tunnel.abort()

    # --- reading ---------------------------------------------------------------------------

    def load(self) -> Configuration:
        """Read the configuration and build every service.

        Raises :class:`~stunnel_tx.errors.ConfigurationErrors` or
        :class:`~stunnel_tx.errors.OperatingError`.
        """
        self._generation = self._read()
        return self._generation.configuration

    def _read(self) -> Generation:
        scope, source = self._scope, self._source
        reading = events.READING_FILE if source.kind == "file" else events.READING_DESCRIPTOR
        scope(reading, source.name)
        configuration = load(source, endpoint_kinds=endpoint_kinds())
        mark = configuration.byte_order_mark
        scope(events.BYTE_ORDER_MARK if mark else events.NO_BYTE_ORDER_MARK)
        for problem in configuration.notes:
            scope(events.CONFIGURATION_NOTE, problem)
        if configuration.inetd is not None:
            raise OperatingError(
                "Inetd mode: not supported yet; put the options into a [section] with 'accept'"
            )
        for name, value in configuration.globals["setEnv"]:
            if value:
                os.environ[name] = value
            else:
                os.environ.pop(name, None)
        blueprints = []
        for settings in configuration.services:
            warnings = (
                *authentication_warnings(settings),
                *file_permission_warnings(settings, lambda path: Path(path).stat().st_mode),
            )
            for warning in warnings:
                scope(events.CONFIGURATION_NOTE, warning)
            try:
                blueprint = build_service(
                    settings, self._reactor, scope, self._passphrases, self._sequence
                )
            except (OperatingError, ValueError) as error:
                text = str(error)
                prefix = "" if text.startswith("Service [") else f"Service [{settings.name}]: "
                raise OperatingError(f"{prefix}{text}") from error
            blueprints.append(blueprint)
        scope(events.CONFIGURATION_SUCCESSFUL)
        return Generation(configuration, tuple(blueprints))

    # --- listening -------------------------------------------------------------------------

    def bind(self) -> None:
        """Open every listener; raises OperatingError when a service gets none of its own."""
        if self._generation is None:
            raise OperatingError("bind() before load()")
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._limit = DescriptorLimit(soft, soft).max_clients
        self._serve(self._open_all(self._generation))

    def _open_all(self, generation: Generation) -> dict[object, _Serving]:
        """Listeners for *generation*, the present ones where the address is the same.

        All or nothing: on failure, what was opened here is closed again.
        """
        wanted: dict[object, _Serving] = {}
        try:
            for blueprint in generation.blueprints:
                self._open_service(blueprint, wanted)
        except StunnelTxError:
            for key, serving in wanted.items():
                if self._listeners.get(key) is not serving.listener:
                    serving.listener.close()
            raise
        return wanted

    def _open_service(self, blueprint: Blueprint, wanted: dict[object, _Serving]) -> None:
        bound = False
        for opening in self._openings(blueprint):
            key: object = opening.key
            listener = self._listeners.get(key)
            if key in wanted:
                # The same address twice: with port 0 these are two listeners, and with any
                # other port the system says what it has to say about that.
                key, listener = (key, len(wanted)), None
            if listener is not None:
                self._scope(events.RELOAD_SAME, blueprint.name, opening.endpoint)
            else:
                listener = Listener(
                    self.runtime, opening.endpoint, blueprint.policy, lambda: self._limit
                )
                problem = self._try_open(listener)
                if problem:
                    place = (blueprint.name, opening.endpoint, problem)
                    self._scope(events.BINDING_ADDRESS, *place)
                    continue
            wanted[key] = _Serving(listener, blueprint.policy)
            bound = True
            self._scope(events.BOUND, blueprint.name, listener.fd, listener.where())
        if not bound:
            self._scope(events.BINDING_FAILED, blueprint.name)
            raise OperatingError(
                f"Service [{blueprint.name}]: none of its addresses could be bound; "
                "see the lines above, and look for another program on the same port"
            )

    def _serve(self, wanted: dict[object, _Serving]) -> None:
        """Put *wanted* in force, and close the listeners that are not among them."""
        previous = self._listeners
        self._listeners = {key: serving.listener for key, serving in wanted.items()}
        for serving in wanted.values():
            serving.listener.policy = serving.policy
        for key, listener in previous.items():
            if self._listeners.get(key) is not listener:
                listener.close()

    def _try_open(self, listener: Listener) -> str:
        """Open *listener*; what went wrong, empty when nothing did."""
        problems: list[str] = []

        def failed(failure: Failure) -> None:
            error = failure.value
            error = getattr(error, "socketError", error)
            if isinstance(error, OSError):
                problems.append(f"{error.strerror} ({error.errno})")
            else:
                problems.append(str(error))

        deferred: Deferred[Any] = listener.open()
        deferred.addErrback(failed)
        return problems[0] if problems else ""

    def _openings(self, blueprint: Blueprint) -> Iterator[_Opening]:
        for address in blueprint.accept:
            if isinstance(address, EndpointString):
                endpoint = server_endpoint(address.text, self._reactor)
                yield _Opening(address, endpoint)
                continue
            for resolved in self._resolve(blueprint, address):
                one = SocketEndpoint(resolved, blueprint.accept_options, blueprint.owner)
                yield _Opening(one, one)

    def _resolve(self, blueprint: Blueprint, address: Any) -> tuple[SocketAddress, ...]:
        if isinstance(address, UnixPath):
            import socket

            return (SocketAddress(int(socket.AF_UNIX), address.path),)
        try:
            return look_up(address.host, address.port, passive=True)
        except OperatingError as error:
            raise OperatingError(
                f'Service [{blueprint.name}]: Cannot resolve accept target "{address}": {error}'
            ) from error

    # --- running ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to accept."""
        for listener in self._listeners.values():
            listener.start()
        self._scope(events.ACCEPTING)

    def stop(self) -> None:
        """Close the listeners and drop the tunnels."""
        for listener in self._listeners.values():
            listener.close()
        self._listeners = {}
        runtime = self._runtime
        if runtime is None:
            return
        tunnels = list(runtime.tunnels)
        if tunnels:
            self._scope(events.TERMINATING_TUNNELS, len(tunnels))
            for tunnel in tunnels:
                tunnel.abort()
            self._scope(events.TUNNELS_TERMINATED)
        runtime.deadlines.close()
        runtime.loop.close()

    def reload(self) -> None:
        """Read the configuration again: all of it takes effect, or nothing does.

        Tunnels that stand keep the policies they were made with; a listener whose address
        has not changed is never closed.
        """
        try:
            generation = self._read()
            wanted = self._open_all(generation)
        except ConfigurationErrors as error:
            for problem in error.problems:
                self._scope(events.CONFIGURATION_ERROR, problem)
            self._scope(events.RELOAD_FAILED)
            return
        except StunnelTxError as error:
            self._scope(events.START_FAILED, error)
            self._scope(events.RELOAD_FAILED)
            return
        self._generation = generation
        self._serve(wanted)
        for listener in self._listeners.values():
            listener.start()

    def list_tunnels(self) -> None:
        """One line for each active tunnel, at the level nobody filters."""
        scope, runtime = self._scope, self.runtime
        scope(events.LIST_START)
        for tunnel in runtime.tunnels:
            to_tls, to_socket = tunnel.moved
            scope(events.LIST_ROW, tunnel.ident, tunnel.policy.name, to_tls, to_socket)
        scope(events.LIST_END, len(runtime.tunnels))
