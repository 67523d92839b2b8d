"""The application: services built from one configuration, their listeners, and the reload."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from stunnel_tx.configuration.check import authentication_warnings, file_permission_warnings
from stunnel_tx.configuration.loader import load
from stunnel_tx.errors import ConfigurationErrors, OperatingError, StunnelTxError
from stunnel_tx.relay.deadlines import Deadlines
from stunnel_tx.relay.loop import make_loop
from stunnel_tx.service.build import Blueprint, build_service
from stunnel_tx.service.endpoints import endpoint_kinds
from stunnel_tx.service.fingerprints import remembering
from stunnel_tx.service.listening import Listeners
from stunnel_tx.service.names import with_names
from stunnel_tx.service.protocols import find_protocol
from stunnel_tx.service.tls_options import place_of_fault
from stunnel_tx.service.upkeep import Upkeep
from stunnel_tx.telemetry import events
from stunnel_tx.telemetry.counters import Counters
from stunnel_tx.tls.passphrases import Passphrases
from stunnel_tx.tunnel.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.configuration.model import Configuration
    from stunnel_tx.configuration.sources import Source
    from stunnel_tx.telemetry.log import Log
    from stunnel_tx.tunnel.tunnel import Tunnel


@frozen(eq=False)
class Generation:
    """One accepted reading of the configuration, and what was built from it."""

    configuration: Configuration
    blueprints: tuple[Blueprint, ...]


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
        self._listeners: Listeners | None = None
        self._runtime: Runtime | None = None
        self._upkeep: Upkeep | None = None

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
        return tuple(listener.where() for listener in self._listeners or ())

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
        _set_environment(self._generation.configuration)
        return self._generation.configuration

    def _read(self) -> Generation:
        scope, source = self._scope, self._source
        reading = events.READING_FILE if source.kind == "file" else events.READING_DESCRIPTOR
        scope(reading, source.name)
        configuration = load(source, endpoint_kinds=endpoint_kinds(), find_protocol=find_protocol)
        mark = configuration.byte_order_mark
        scope(events.BYTE_ORDER_MARK if mark else events.NO_BYTE_ORDER_MARK)
        for problem in configuration.notes:
            scope(events.CONFIGURATION_NOTE, problem)
        if configuration.inetd is not None:
            raise OperatingError(
                "Inetd mode: not supported yet; put the options into a [section] with 'accept'"
            )
        # A reload happens inside the jail, where paths mean what they say.
        chroot = configuration.globals["chroot"] if self._generation is None else None
        look = remembering()
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
                    *(settings, self._reactor, scope, self._passphrases, self._sequence),
                    *(chroot, look),
                )
            except (OperatingError, ValueError) as error:
                text = str(error)
                prefix = "" if text.startswith("Service [") else f"Service [{settings.name}]: "
                place = place_of_fault(settings, error)
                where = "" if place is None else f"{place}: "
                raise OperatingError(f"{where}{prefix}{text}") from error
            blueprints.append(blueprint)
        finished = with_names(blueprints, configuration.services, scope)
        scope(events.CONFIGURATION_SUCCESSFUL)
        return Generation(configuration, finished)

    # --- listening -------------------------------------------------------------------------

    def bind(self) -> None:
        """Open every listener; raises OperatingError when a service gets none of its own."""
        if self._generation is None:
            raise OperatingError("bind() before load()")
        self._listeners = Listeners(self.runtime, self._scope)
        self._listeners.serve(self._listeners.prepare(self._generation.blueprints))

    # --- running ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to accept."""
        if self._listeners is not None:
            self._listeners.start()
        self._scope(events.ACCEPTING)
        self._keep_up()

    def _keep_up(self) -> None:
        """Follow the files of the services in force."""
        if self._upkeep is None:
            runtime = self.runtime
            self._upkeep = Upkeep(self._reactor, runtime.loop, self._scope, self._passphrases)
        if self._generation is not None:
            self._upkeep.follow(self._generation.blueprints)

    def stop(self) -> None:
        """Close the listeners and drop the tunnels."""
        if self._upkeep is not None:
            self._upkeep.close()
            self._upkeep = None
        if self._listeners is not None:
            self._listeners.close()
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
        if self._listeners is None:
            return
        try:
            generation = self._read()
            plan = self._listeners.prepare(generation.blueprints)
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
        _set_environment(generation.configuration)
        self._listeners.serve(plan)
        self._listeners.start()
        self._keep_up()

    def list_tunnels(self) -> None:
        """One line for each active tunnel and one for the counters, at a level nobody filters."""
        scope, runtime = self._scope, self.runtime
        scope(events.LIST_START)
        for tunnel in runtime.tunnels:
            to_tls, to_socket = tunnel.moved
            scope(events.LIST_ROW, tunnel.ident, tunnel.policy.name, to_tls, to_socket)
        scope(events.LIST_END, len(runtime.tunnels))
        now = runtime.counters.snapshot()
        failures = sorted(now.handshake_failures.items())
        kinds = ", ".join(f"{kind} {count}" for kind, count in failures)
        scope(
            events.LIST_COUNTERS,
            now.accepted,
            now.refused_by_limit,
            now.resumed,
            sum(count for _, count in failures),
            f" ({kinds})" if kinds else "",
            now.truncated,
        )


def _set_environment(configuration: Configuration) -> None:
    """Carry out the ``setEnv`` lines; one without a value removes the variable."""
    for name, value in configuration.globals["setEnv"]:
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
