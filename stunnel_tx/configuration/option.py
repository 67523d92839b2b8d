"""The record kept of each option, and what this release does about it.

One table of :class:`Option` records drives parsing, defaults, help, the unknown-option
error and the reference page.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from attrs import frozen

from stunnel_tx.configuration.addresses import ENDPOINT_KINDS
from stunnel_tx.configuration.protocols import built_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.configuration.protocols import FindProtocol

__all__ = [
    "NO_ENGINES",
    "SUPPORTED",
    "Context",
    "Group",
    "Ignored",
    "NotYet",
    "Option",
    "Refused",
    "Repeat",
    "Scope",
    "Support",
    "Supported",
]


class Scope(Enum):
    """Where an option may stand.

    A service option above the first section is the default of every section.
    """

    GLOBAL = "global"
    SERVICE = "service"


class Group(Enum):
    """The chapter of the reference page an option belongs to."""

    GLOBAL = "Global options"
    SERVICE = "Service options"
    PROTOCOL = "Protocol negotiation"
    TLS = "TLS"


class Repeat(Enum):
    """What a further line with the same option does, and what it does to inherited values."""

    LAST = "the last line counts; a section's line replaces the global one"
    LIST = "lines add up; a section's first line drops the global list"
    UNION = "lines add up, also with those of the global part"
    PER_KEY = "the last line for each name counts; other global entries stay"


@frozen(eq=False, repr=False)
class Context:
    """What the meaning of a value may depend on besides its text."""

    in_section: bool = False
    endpoint_kinds: frozenset[str] = ENDPOINT_KINDS
    find_protocol: FindProtocol = built_in


@frozen(eq=False, repr=False)
class Supported:
    """The option works; ``note`` is a warning to give wherever it is used."""

    note: str = ""


@frozen(eq=False, repr=False)
class NotYet:
    """The option belongs to a later release, named by ``area``.

    Setting it is an error, unless to its default or to one of the ``harmless`` values.
    With ``harmless_alone`` it is accepted: it only tunes an option that is refused itself.
    """

    area: str
    harmless: tuple[object, ...] = ()
    harmless_alone: bool = False


@frozen(eq=False, repr=False)
class Refused:
    """The option cannot exist here; setting it is an error but for ``harmless`` values."""

    reason: str
    remedy: str = "remove the line"
    harmless: tuple[object, ...] = ()


NO_ENGINES = Refused(
    "engines are not available: OpenSSL has replaced them with providers",
    "remove the line and use a key in a file",
)


@frozen(eq=False, repr=False)
class Ignored:
    """The option has nothing to act upon here; it is accepted with a warning."""

    reason: str


Support = Supported | NotYet | Refused | Ignored

SUPPORTED = Supported()

_LATER = "remove the line, or run this service with stunnel until a release has it"


@frozen(eq=False, repr=False)
class Option:
    """Everything known of one option.

    ``parse`` turns the text right of ``=`` into the value, or raises ``InvalidValue``; for
    repeatable options it returns a one-entry collection.  With ``contextual`` it is given
    a :class:`Context` too.  ``roles`` tells in which services it acts: C, S or CS.
    ``syntax`` and ``help`` are for people; ``version_lines`` are its lines in ``-version``.
    ``also_sets`` names options that take over the value, in the order of the lines.
    """

    name: str
    syntax: str
    help: str
    parse: Callable[..., object]
    default: object = None
    scope: Scope = Scope.SERVICE
    group: Group = Group.SERVICE
    repeat: Repeat = Repeat.LAST
    roles: str = "CS"
    support: Support = SUPPORTED
    aliases: tuple[str, ...] = ()
    version_lines: tuple[str, ...] = ()
    also_sets: tuple[str, ...] = ()
    contextual: bool = False
    beyond: bool = False

    def read(self, given: str, context: Context) -> object:
        """Turn the text of one line into a value.

        :raises InvalidValue: when the text cannot be meant.
        """
        return self.parse(given, context) if self.contextual else self.parse(given)

    def objection(self, value: object) -> tuple[str, str] | None:
        """Return why ``value`` cannot be had here and what to do, None when it can."""
        support = self.support
        if isinstance(support, NotYet):
            if support.harmless_alone or value == self.default or value in support.harmless:
                return None
            return f'not supported yet by stunnel_tx (planned: "{support.area}")', _LATER
        if isinstance(support, Refused):
            if value == self.default or value in support.harmless:
                return None
            return support.reason, support.remedy
        return None

    @property
    def note(self) -> str:
        """The warning due wherever the option is given, "" for most."""
        if isinstance(self.support, Ignored):
            return f"ignored: {self.support.reason}"
        return self.support.note if isinstance(self.support, Supported) else ""
