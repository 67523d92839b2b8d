"""What is wrong with the services of one configuration: found together, placed, told once.

A service that cannot be built is built again without the line that is to blame, until nothing
stands in the way any more or nobody can be blamed: each round finds one more thing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve

from stunnel_tx.configuration.model import Problem, Severity
from stunnel_tx.errors import ConfigurationErrors, OperatingError
from stunnel_tx.service.tls_options import place_of_fault
from stunnel_tx.telemetry.log import Log
from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.identity import local_path
from stunnel_tx.tls.pem import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stunnel_tx.configuration.loader import Examination
    from stunnel_tx.configuration.model import Place, Settings
    from stunnel_tx.service.build import Blueprint
    from stunnel_tx.telemetry.log import Scope

__all__ = ["Faults", "blame", "without"]

#: How errors begin whose option is found by nothing else, and the option.
_BEGINNINGS: Final = {"local: ": "local", "socket option ": "socket"}
#: A certificate without its key says as little as a key without its certificate.
_PAIR: Final = frozenset({"cert", "key"})

#: Where trusted certificates come from.
_TRUST: Final = frozenset({"CAfile", "CApath", "CAstore"})


def blame(settings: Settings, error: BaseException) -> tuple[frozenset[str], Place | None]:
    """The options that *error* is about, and the line they come from, if that can be told.

    Some lines set more than one option.
    """
    place = place_of_fault(settings, error)
    for beginning, option in _BEGINNINGS.items():
        if str(error).startswith(beginning):
            place = settings.place(option)
    if place is None:
        return frozenset(), None
    given = settings.option_places.items()
    return frozenset(name for name, places in given if place in places), place


def without(settings: Settings, options: frozenset[str]) -> Settings:
    """*settings* as they were without the lines of *options*, and with no name to look up."""
    gone = options | _PAIR if options & _PAIR else options
    if not any(settings[name] for name in _TRUST - gone):
        # Nothing can be verified without anybody to trust.
        gone |= {"verification"} if gone & _TRUST else gone
    values = {name: value for name, value in settings.values.items() if name not in gone}
    places = {name: lines for name, lines in settings.option_places.items() if name not in gone}
    return evolve(settings, values={**values, "delay": True}, option_places=places)


class Faults:
    """Collects what is wrong with services, after *examination* of their text."""

    def __init__(self, examination: Examination) -> None:
        self._configuration = examination.configuration
        self._broken = examination.errors
        self._found: list[Problem] = list(examination.errors)
        self._known: set[tuple[Place | None, str]] = set()

    def add(self, settings: Settings, error: object, place: Place | None) -> None:
        """Note *error*; what several services inherit from one line is noted once."""
        text = str(error)
        prefix = f"Service [{settings.name}]: " if settings.name else ""
        bare = text.removeprefix(prefix)
        key = place, bare if place is not None else text
        if key not in self._known:
            self._known.add(key)
            problem = Problem(Severity.ERROR, prefix + bare, place, settings.name)
            self._found.append(problem)

    def build(
        self,
        settings: Settings,
        make: Callable[[Settings, Scope], Blueprint],
        scope: Scope,
    ) -> Blueprint | None:
        """What *make* makes of *settings*; None when that cannot be, and why is noted then."""
        broken = self._broken_options(settings)
        whole = True
        while True:
            try:
                blueprint = make(settings, scope)
            except (OperatingError, ValueError) as error:
                options, place = blame(settings, error)
                if (whole and not broken) or (options and not options & broken):
                    # Anything else follows from what has been noted.
                    self.add(settings, error, place)
                if "cert" in options:
                    self._look_at_key(settings)
                if not options:
                    return None
                whole = False
                # The log has had its lines in the first round.
                settings, scope = without(settings, options), Log().main
            except Exception:
                if not broken:
                    raise
                # What is missing has been reported as a mistake of the text.
                return None
            else:
                return blueprint if whole else None

    def _broken_options(self, settings: Settings) -> set[str | None]:
        """Options whose lines could not be read: what follows from that is not worth a line."""
        broken = {each.option for each in self._broken if each.service in {settings.name, ""}}
        return broken | _PAIR if broken & _PAIR else broken

    def _look_at_key(self, settings: Settings) -> None:
        """Note a key file that cannot be read: without a certificate nobody came to it."""
        key = settings["key"]
        if not key or key in settings["cert"]:
            return
        try:
            read_file(local_path(key))
        except FileUnusable as error:
            self.add(settings, error, settings.place("key"))

    def settle(self) -> None:
        """Raise ConfigurationErrors, in the order of their places, when there is anything."""
        if self._found:
            raise ConfigurationErrors(_sorted(self._found, self._configuration.source))


def _sorted(problems: Iterable[Problem], source: str) -> list[Problem]:
    """Sort by file, in the order in which they are met, and line; those without come last."""
    order = {source: 0}

    def key(problem: Problem) -> tuple[float, int]:
        if problem.place is None:
            return float("inf"), 0
        return order.setdefault(problem.place.file, len(order)), problem.place.line

    return sorted(problems, key=key)
