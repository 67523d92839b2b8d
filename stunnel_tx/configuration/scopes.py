"""Lines to scopes: the global part, then a copy of its service options for each section.

A section starts from what the global part came to; a further line replaces, adds or joins
as its option's :class:`~stunnel_tx.configuration.option.Repeat` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import Factory, define, evolve, frozen

from stunnel_tx.configuration.lexer import Header
from stunnel_tx.configuration.model import Problem, Settings, Severity
from stunnel_tx.configuration.option import Context, Option, Repeat, Scope
from stunnel_tx.configuration.option_flags import OptionFlags
from stunnel_tx.configuration.options import (
    GLOBAL_DEFAULTS,
    SERVICE_DEFAULTS,
    find_option,
    suggest_option,
)
from stunnel_tx.configuration.socket_options import merge_socket_options
from stunnel_tx.configuration.values import InvalidValue, quoted_name
from stunnel_tx.configuration.verification import VERIFICATION_OPTIONS, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stunnel_tx.configuration.lexer import Assignment
    from stunnel_tx.configuration.model import Place

__all__ = ["ReadScope", "ReadScopes", "read_scopes"]

_NOT_INHERITED = frozenset({"service"})


@frozen(eq=False, repr=False)
class ReadScope:
    """One scope as read; ``broken`` names the options of lines that could not be used."""

    settings: Settings
    broken: frozenset[str]


@frozen(eq=False, repr=False)
class ReadScopes:
    """All scopes of a configuration, and what was wrong or doubtful with single lines."""

    globals: ReadScope
    sections: tuple[ReadScope, ...]
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]


@define(eq=False, repr=False)
class _OpenScope:
    """A scope whose lines are still coming in."""

    name: str
    declared: Place | None
    context: Context
    values: dict[str, Any] = Factory(dict)
    places: dict[str, tuple[Place, ...]] = Factory(dict)
    broken: set[str] = Factory(set)
    own: set[str] = Factory(set)

    def section(self, header: Header) -> _OpenScope:
        """Open a section that inherits from this scope."""
        opened = _OpenScope(
            header.name,
            header.place,
            evolve(self.context, in_section=True),
            broken=set(self.broken),
        )
        for option in SERVICE_DEFAULTS.keys() - _NOT_INHERITED:
            if option in self.values:
                opened.values[option] = self.values[option]
            if option in self.places:
                opened.places[option] = self.places[option]
        return opened

    def take(self, option: Option, value: Any, place: Place) -> None:
        """Add the value of one line."""
        older = self.values.get(option.name, option.default)
        places = self.places.get(option.name, ())
        first = option.name not in self.own
        self.own.add(option.name)
        if option.repeat is Repeat.LAST or (option.repeat is Repeat.LIST and first):
            self.values[option.name] = value
            self.places[option.name] = (place,)
        else:
            self.values[option.name] = _joined(option, older, value)
            self.places[option.name] = (*places, place)
        for name in option.also_sets:
            self.values[name] = value
            self.places[name] = (place,)
        if option.name in VERIFICATION_OPTIONS:
            flags = self.values.get("verification", SERVICE_DEFAULTS["verification"])
            self.values["verification"] = evaluate(flags, option.name, value)
            self.places["verification"] = (*self.places.get("verification", ()), place)

    def close(self) -> ReadScope:
        """Freeze the scope."""
        defaults = SERVICE_DEFAULTS if self.context.in_section else GLOBAL_DEFAULTS
        name = self.name
        if self.context.in_section:
            name = self.values.setdefault("service", self.name)
        settings = Settings(name, self.values, defaults, self.places, self.declared)
        return ReadScope(settings, frozenset(self.broken))


def _joined(option: Option, older: Any, value: Any) -> Any:
    if option.repeat is Repeat.PER_KEY:
        return merge_socket_options(older, value)
    if option.repeat is Repeat.LIST:
        return (*older, *value)
    if isinstance(older, OptionFlags):
        return older | value
    return frozenset(older) | frozenset(value)


def read_scopes(items: Iterable[Header | Assignment], context: Context) -> ReadScopes:
    """Sort lines into scopes and read their values; ``context`` is that of the global part."""
    global_part = _OpenScope("", None, context)
    sections: list[_OpenScope] = []
    problems: list[Problem] = []
    notes: list[Problem] = []
    for item in items:
        if isinstance(item, Header):
            sections.append(global_part.section(item))
            continue
        scope = sections[-1] if sections else global_part
        for problem in _read_assignment(scope, item):
            (problems if problem.severity is Severity.ERROR else notes).append(problem)
    return ReadScopes(
        global_part.close(),
        tuple(section.close() for section in sections),
        tuple(problems),
        tuple(notes),
    )


def _read_assignment(scope: _OpenScope, line: Assignment) -> Iterable[Problem]:
    option = find_option(line.name)
    if option is None or (option.scope is Scope.GLOBAL and scope.context.in_section):
        yield _misplaced(scope, line, option)
        return
    try:
        value = option.read(line.value, scope.context)
    except InvalidValue as error:
        scope.broken.add(option.name)
        yield Problem(
            Severity.ERROR, error.reason, line.place, scope.name, option.name, error.remedy
        )
        return
    scope.take(option, value, line.place)
    if option.note:
        yield Problem(Severity.WARNING, option.note, line.place, scope.name, option.name)


def _misplaced(scope: _OpenScope, line: Assignment, option: Option | None) -> Problem:
    """Explain an option that is unknown, or known and in the wrong part of the file."""
    if option is not None:
        remedy = f"{option.name} is a global option: move it above the first [section]"
    else:
        close = suggest_option(line.name)
        remedy = "see the list printed by -help"
        if close is not None:
            scope.broken.add(close.name)
            remedy = f"did you mean {close.name}?"
    text = f"{quoted_name(line.name)}: Specified option name is not valid here"
    return Problem(Severity.ERROR, text, line.place, scope.name, None, remedy)
