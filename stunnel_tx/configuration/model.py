"""What a read configuration looks like to the rest of the program.

A :class:`Configuration` holds one :class:`Settings` for the global part and one for each
service; a :class:`Problem` is one thing wrong, or doubtful, at one :class:`Place`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Configuration", "Place", "Problem", "Settings", "Severity"]


@frozen(order=True)
class Place:
    """Where a line stands: the file as the operator named it, and its line, counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Severity(Enum):
    """How much a problem matters: an error keeps the program from starting."""

    ERROR = "error"
    WARNING = "warning"


@frozen
class Problem:
    """One mistake or doubt: what is wrong, where, and what would be right.

    ``service`` is the name of the service concerned ("" for the global part, None when
    no scope is known); ``option`` is the option's canonical name.
    """

    severity: Severity
    text: str
    place: Place | None = None
    service: str | None = None
    option: str | None = None
    remedy: str = ""

    def __str__(self) -> str:
        head = "".join(f"{part}: " for part in (self.place, self.option) if part is not None)
        tail = f"; {self.remedy}" if self.remedy else ""
        return f"{head}{self.text}{tail}"


@frozen(eq=False)
class Settings:
    """The options of one scope, by canonical name: the value given, else the default.

    ``name`` is the name of the service as logs show it, "" for the global part;
    ``declared`` is the place of the section's header.  A name that is not an option of
    this scope raises ``KeyError``.
    """

    name: str
    values: Mapping[str, Any] = field(repr=False)
    defaults: Mapping[str, Any] = field(repr=False)
    option_places: Mapping[str, tuple[Place, ...]] = field(repr=False)
    declared: Place | None = None

    def __getitem__(self, option: str) -> Any:
        if option in self.values:
            return self.values[option]
        return self.defaults[option]

    def __contains__(self, option: object) -> bool:
        return option in self.defaults

    def __iter__(self) -> Iterator[str]:
        return iter(self.defaults)

    def is_set(self, option: str) -> bool:
        """Say whether a line of this scope, or one it inherits, gave the option."""
        return bool(self.option_places.get(option))

    def place(self, option: str) -> Place | None:
        """Return the line that decided the option's value, None when it is the default."""
        places = self.option_places.get(option, ())
        return places[-1] if places else None

    def places(self, option: str) -> tuple[Place, ...]:
        """Return every line that contributed to the value, in order; for a list, one each."""
        return self.option_places.get(option, ())


@frozen(eq=False)
class Configuration:
    """A whole configuration, as read from one source.

    ``inetd`` is set, and ``services`` empty, for a file without sections.  ``notes`` are
    the warnings found while reading.  ``globals`` also answers for service options given
    in the global part (``service``, ``setuid``, ``debug``, ...).
    """

    source: str
    globals: Settings
    services: tuple[Settings, ...] = ()
    inetd: Settings | None = None
    notes: tuple[Problem, ...] = ()
    byte_order_mark: bool = False
