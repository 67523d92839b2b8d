"""What all tunnels of a process share, and what each takes from its service."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from stunnel_tx.telemetry import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.relay.deadlines import Deadlines
    from stunnel_tx.relay.flow import RelayPolicy
    from stunnel_tx.relay.loop import Loop
    from stunnel_tx.telemetry.counters import Counters
    from stunnel_tx.telemetry.log import Log, Scope
    from stunnel_tx.tls.context import TLSContext
    from stunnel_tx.tunnel.destination import Destination
    from stunnel_tx.tunnel.sockets import OptionSetting
    from stunnel_tx.tunnel.tunnel import Tunnel


@define
class Runtime:
    """The process: readiness, time, log, counters, and the tunnels that are alive.

    ``established`` is called with each tunnel that begins to relay, where somebody asked.
    """

    reactor: Any
    loop: Loop
    deadlines: Deadlines
    log: Log
    counters: Counters
    tunnels: set[Tunnel] = field(factory=set)
    established: Callable[[Tunnel], None] | None = None

    def fault(self, scope: Scope, where: str, error: BaseException) -> None:
        """A bug in this program: one line for everybody, the traceback for those who debug."""
        scope(events.INTERNAL, where, f"{type(error).__name__}: {error}")
        for entry in traceback.format_exception(error):
            for line in entry.splitlines():
                scope(events.TRACEBACK_LINE, line)


@frozen(eq=False)
class ServicePolicy:
    """One service as its tunnels see it; a reload makes a new one.

    ``busy`` is TIMEOUTbusy in seconds (negative: none). ``threshold`` is the service's own log
    level. ``identify`` gives each connection its id in the log. ``client`` is True when the TLS
    side is the remote one.
    """

    name: str
    client: bool
    tls: TLSContext
    destination: Destination
    busy: float
    relay: RelayPolicy
    threshold: int | None
    identify: Callable[[], str]
    local_options: tuple[OptionSetting, ...]
