"""The application: services built from one configuration, their listeners, and the reload."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from stunnel_tx.errors import OperatingError
from stunnel_tx.relay.deadlines import Deadlines
from stunnel_tx.relay.loop import make_loop
from stunnel_tx.service.inherited import announced, forget
from stunnel_tx.service.listening import Listeners, resolve_places
from stunnel_tx.service.reading import Reader
from stunnel_tx.service.reloading import NoChange, Reading, Reloading, switch
from stunnel_tx.service.resolving import resolve_in_threads
from stunnel_tx.service.threads import DistantScope, Threads
from stunnel_tx.service.upkeep import Upkeep
from stunnel_tx.telemetry import events
from stunnel_tx.telemetry.counters import Counters
from stunnel_tx.tls.passphrases import Passphrases
from stunnel_tx.tunnel.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.configuration.model import Configuration
    from stunnel_tx.configuration.sources import Source
    from stunnel_tx.service.inherited import InheritedSocket
    from stunnel_tx.service.reading import Generation
    from stunnel_tx.service.reloading import Prepare
    from stunnel_tx.telemetry.log import Log
    from stunnel_tx.tunnel.tunnel import Tunnel


class Application:
    """See the module; the methods are called in the order load, bind, start, stop.

    ``established`` is called with each tunnel that begins to relay, where somebody asks; in a
    ``rehearsal``, the application is loaded and no more.
    """

    def __init__(
        self,
        reactor: Any,
        source: Source,
        log: Log,
        *,
        ask: Callable[[str], bytes | None],
        established: Callable[[Tunnel], None] | None = None,
        rehearsal: bool = False,
    ) -> None:
        self._reactor = reactor
        self._log = log
        self._scope = log.main
        self._passphrases = Passphrases(ask)
        scope = DistantScope(reactor, log, log.main)
        self._reader = Reader(reactor, source, scope, self._passphrases, rehearsal=rehearsal)
        self._prepare: Prepare = NoChange
        # A thread of its own: those for names may all be waiting for a name server.
        self._reloading = Reloading(
            *(Threads(reactor, most=1), log.main, self._read_again, self._switch)
        )
        self._inherited: tuple[InheritedSocket, ...] = ()
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
        resolve_in_threads(self._reactor)
        self._inherited = announced(os.environ)
        if self._inherited:
            self._scope(events.SOCKETS_PASSED, len(self._inherited))
        self._generation = self._read()
        forget(os.environ)
        _set_environment(self._generation.configuration)
        return self._generation.configuration

    def _read(self) -> Generation:
        # A reload happens inside the jail.
        return self._reader.read(self._inherited, jailed=self._generation is not None)

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
        self._reloading.close()
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

    def reload(self, prepare: Prepare = NoChange) -> None:
        """Read the configuration again: all of it takes effect, or nothing does.

        Tunnels that stand keep the policies they were made with; a listener whose address
        has not changed is never closed. *prepare* is asked for what else is to change with the
        new configuration. The end comes later, when :attr:`reloading` is False.
        """
        self._prepare = prepare
        self._reloading.request()

    @property
    def reloading(self) -> bool:
        """True while a reload is under way."""
        return self._reloading.under_way

    def _read_again(self) -> Reading:
        generation = self._read()
        return Reading(generation, resolve_places(generation.blueprints))

    def _switch(self, reading: Reading) -> None:
        if self._listeners is None:
            return
        switch(reading, self._listeners, self._prepare)
        self._generation = reading.generation
        _set_environment(self._generation.configuration)
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
