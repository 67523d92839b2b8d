"""One reading of the configuration: its text, its services, and everything wrong with either."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from stunnel_tx.configuration.addresses import EndpointString
from stunnel_tx.configuration.check import authentication_warnings, file_permission_warnings
from stunnel_tx.configuration.loader import examine
from stunnel_tx.errors import OperatingError
from stunnel_tx.service.addresses import local_addresses
from stunnel_tx.service.build import build_service
from stunnel_tx.service.endpoints import NotPassed, endpoint_kinds, server_endpoint
from stunnel_tx.service.faults import Faults
from stunnel_tx.service.fingerprints import remembering
from stunnel_tx.service.inherited import given_away
from stunnel_tx.service.names import with_names
from stunnel_tx.service.privileges import find_group, find_user
from stunnel_tx.service.protocols import find_protocol
from stunnel_tx.service.targets import client_endpoint
from stunnel_tx.telemetry import events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stunnel_tx.configuration.model import Configuration, Place, Settings
    from stunnel_tx.configuration.sources import Source
    from stunnel_tx.service.build import Blueprint
    from stunnel_tx.service.inherited import InheritedSocket
    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.passphrases import Passphrases
    from stunnel_tx.tunnel.destination import SocketAddress

__all__ = ["Generation", "Reader"]


@frozen(eq=False)
class Generation:
    """One accepted reading of the configuration, and what was built from it."""

    configuration: Configuration
    blueprints: tuple[Blueprint, ...]


class Reader:
    """Reads the configuration of *source* as often as it is asked to.

    In a *rehearsal* nothing is going to be bound: sockets that systemd passes when it starts the
    program are not missed then.
    """

    def __init__(
        self,
        reactor: Any,
        source: Source,
        scope: Scope,
        passphrases: Passphrases,
        *,
        rehearsal: bool = False,
    ) -> None:
        self._reactor = reactor
        self._source = source
        self._scope = scope
        self._passphrases = passphrases
        self._rehearsal = rehearsal
        self._sequence = itertools.count()

    def read(self, sockets: Sequence[InheritedSocket] = (), *, jailed: bool = False) -> Generation:
        """Read the text and build every service; *sockets* are those that listen already.

        *jailed* says that ``chroot`` has been carried out, and paths mean what they say. Raises
        :class:`~stunnel_tx.errors.ConfigurationErrors` with all that is wrong, or
        :class:`~stunnel_tx.errors.OperatingError`.
        """
        scope, source = self._scope, self._source
        reading = events.READING_FILE if source.kind == "file" else events.READING_DESCRIPTOR
        scope(reading, source.name)
        examination = examine(source, endpoint_kinds=endpoint_kinds(), find_protocol=find_protocol)
        configuration = examination.configuration
        mark = configuration.byte_order_mark
        scope(events.BYTE_ORDER_MARK if mark else events.NO_BYTE_ORDER_MARK)
        for problem in configuration.notes:
            scope(events.CONFIGURATION_NOTE, problem)
        faults = Faults(examination)
        if configuration.inetd is not None:
            faults.settle()
            raise OperatingError(
                "Inetd mode: not supported yet; put the options into a [section] with 'accept'"
            )
        _look_at_accounts(configuration.globals, faults)
        blueprints = self._build(configuration, faults, jailed=jailed)
        faults.settle()
        if not self._rehearsal:
            blueprints = given_away(blueprints, sockets)
        finished = with_names(blueprints, configuration.services, scope)
        scope(events.CONFIGURATION_SUCCESSFUL)
        return Generation(configuration, finished)

    def _build(
        self, configuration: Configuration, faults: Faults, *, jailed: bool
    ) -> list[Blueprint]:
        """The services that can be built; of the others, *faults* hears why not."""
        chroot = None if jailed else configuration.globals["chroot"]
        look = remembering()

        def make(settings: Settings, scope: Scope) -> Blueprint:
            return build_service(
                *(settings, self._reactor, scope, self._passphrases, self._sequence),
                *(chroot, look),
                rehearsal=self._rehearsal,
            )

        blueprints = []
        for settings in configuration.services:
            warnings = (
                *authentication_warnings(settings, configuration.globals),
                *file_permission_warnings(settings, lambda path: Path(path).stat().st_mode),
            )
            for warning in warnings:
                self._scope(events.CONFIGURATION_NOTE, warning)
            _look_at_accounts(settings, faults)
            usable = self._look_at_endpoints(settings, faults)
            blueprint = faults.build(usable, make, self._scope)
            if blueprint is not None:
                blueprints.append(blueprint)
        return blueprints

    def _look_at_endpoints(self, settings: Settings, faults: Faults) -> Settings:
        """*settings* without the endpoint strings that cannot be used, of which *faults* hears."""
        sources = _sources(settings)
        for option in ("accept", "connect", "redirect"):
            good = []
            for index, address in enumerate(settings[option]):
                error = None
                if isinstance(address, EndpointString):
                    error = self._fault(option, address, sources)
                if error is None:
                    good.append(address)
                else:
                    faults.add(settings, error, _line(settings, option, index))
            if len(good) < len(settings[option]):
                settings = evolve(settings, values={**settings.values, option: tuple(good)})
        return settings

    def _fault(
        self, option: str, address: EndpointString, sources: Sequence[SocketAddress]
    ) -> OperatingError | None:
        """What is wrong with one endpoint string."""
        try:
            if option == "accept":
                server_endpoint(address.text, self._reactor)
            else:
                client_endpoint(address.text, self._reactor, sources)
        except NotPassed as error:
            return None if self._rehearsal else error
        except OperatingError as error:
            return error
        return None


def _sources(settings: Settings) -> tuple[SocketAddress, ...]:
    """The addresses of ``local``, for endpoint strings; one that cannot be found is told later."""
    strings = (*settings["connect"], *settings["redirect"])
    if not any(isinstance(each, EndpointString) for each in strings):
        return ()
    try:
        return local_addresses(settings["local"])
    except OperatingError:
        return ()


def _line(settings: Settings, option: str, index: int) -> Place | None:
    """The line that gave the value number *index* of a list."""
    places = settings.places(option)
    return places[index] if index < len(places) else settings.place(option)


def _look_at_accounts(settings: Settings, faults: Faults) -> None:
    """Look up the accounts of one part of the file while their database is in reach."""
    for option, find in (("setuid", find_user), ("setgid", find_group)):
        try:
            find(settings[option])
        except OperatingError as error:
            faults.add(settings, error, settings.place(option))
