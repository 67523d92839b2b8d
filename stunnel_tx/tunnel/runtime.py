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
    from stunnel_tx.tunnel.dialogues import NegotiationPolicy
    from stunnel_tx.tunnel.naming import NameTable
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


@define(eq=False)
class ContextSlot:
    """Where the context of one service is found now; renewed files bring a new one."""

    context: TLSContext


def _slot(tls: TLSContext | ContextSlot) -> ContextSlot:
    return tls if isinstance(tls, ContextSlot) else ContextSlot(tls)


@frozen(eq=False)
class ServicePolicy:
    """One service as its tunnels see it; a reload makes a new one.

    ``tls`` is the context for the next connection: renewed files change it, for every copy of
    the policy, while all the rest stays. A connection keeps the one it began with.

    ``busy`` is TIMEOUTbusy in seconds (negative: none). ``threshold`` is the service's own log
    level. ``identify`` gives each connection its id in the log. ``client`` is True when the TLS
    side is the remote one. ``redirect`` is where peers go that fail verification, and ``names``
    the services that a server name leads away to, or the names it lets in. ``negotiation`` is
    what is said around TLS, None for nothing.
    """

    name: str
    client: bool
    _slot: ContextSlot = field(alias="tls", converter=_slot)
    destination: Destination
    busy: float
    relay: RelayPolicy
    threshold: int | None
    identify: Callable[[], str]
    local_options: tuple[OptionSetting, ...]
    redirect: Destination | None = None
    names: NameTable | None = None
    negotiation: NegotiationPolicy | None = None

    @property
    def tls(self) -> TLSContext:
        """The context in use now."""
        return self._slot.context

    def renew(self, context: TLSContext) -> None:
        """Use *context* from the next connection on."""
        self._slot.context = context
