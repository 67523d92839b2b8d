"""A source to a checked :class:`~stunnel_tx.configuration.model.Configuration`.

Steps: expand the includes, sort the lines into scopes and read their values, refuse what
this release cannot do, apply the rules.  Every step collects; all errors of all files are
reported together, in the order of their places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from stunnel_tx.configuration.addresses import ENDPOINT_KINDS
from stunnel_tx.configuration.model import Configuration, Problem, Settings, Severity
from stunnel_tx.configuration.option import Context, Scope
from stunnel_tx.configuration.options import OPTIONS, SERVICE_DEFAULTS
from stunnel_tx.configuration.protocols import built_in
from stunnel_tx.configuration.rules import GLOBAL_RULES, SERVICE_RULES, Rule, Subject
from stunnel_tx.configuration.scopes import ReadScope, read_scopes
from stunnel_tx.configuration.sources import descriptor_source, expand, file_source, text_source
from stunnel_tx.errors import ConfigurationErrors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stunnel_tx.configuration.model import Place
    from stunnel_tx.configuration.protocols import FindProtocol
    from stunnel_tx.configuration.sources import Source

__all__ = [
    "Examination",
    "descriptor_source",
    "examine",
    "file_source",
    "load",
    "text_source",
]


@frozen(eq=False, repr=False)
class Examination:
    """What reading a source came to.

    With ``errors`` the configuration is only good for further checks: it holds what could
    be understood.
    """

    configuration: Configuration
    errors: tuple[Problem, ...]


def load(
    source: Source,
    *,
    endpoint_kinds: frozenset[str] = ENDPOINT_KINDS,
    find_protocol: FindProtocol = built_in,
) -> Configuration:
    """Read and check a configuration.

    ``endpoint_kinds`` are the first words of the endpoint strings that can be used;
    ``find_protocol`` knows the words of ``protocol``.

    :raises ConfigurationErrors: with every error of every file, sorted by place.
    """
    examination = examine(source, endpoint_kinds=endpoint_kinds, find_protocol=find_protocol)
    if examination.errors:
        raise ConfigurationErrors(examination.errors)
    return examination.configuration


def examine(
    source: Source,
    *,
    endpoint_kinds: frozenset[str] = ENDPOINT_KINDS,
    find_protocol: FindProtocol = built_in,
) -> Examination:
    """Read and check a configuration, and return what was understood besides the errors."""
    expansion = expand(source)
    context = Context(endpoint_kinds=endpoint_kinds, find_protocol=find_protocol)
    read = read_scopes(expansion.items, context)
    problems = [*expansion.problems, *read.problems]
    services = tuple(section.settings for section in read.sections)
    inetd = None if services or not expansion.files else _inetd_scope(read.globals)
    problems += _check_scope("Global options", read.globals, Subject(read.globals.settings), {})
    if inetd is not None:
        problems += _check_scope("Inetd mode", inetd, Subject(inetd.settings, inetd=True), {})
    seen: dict[tuple[object, ...], bool] = {}
    for index, section in enumerate(read.sections):
        subject = Subject(section.settings, earlier=services[:index])
        problems += _check_scope(f"Service [{section.settings.name}]", section, subject, seen)
    configuration = Configuration(
        source.name,
        read.globals.settings,
        services,
        None if inetd is None else inetd.settings,
        _sorted([*expansion.notes, *read.notes], expansion.files),
        expansion.byte_order_mark,
    )
    return Examination(configuration, _sorted(problems, expansion.files))


def _inetd_scope(global_part: ReadScope) -> ReadScope:
    """Make the one service of a file without sections out of its global part."""
    settings = global_part.settings
    values = {name: settings.values[name] for name in settings.values if name in SERVICE_DEFAULTS}
    inetd = Settings(settings["service"], values, SERVICE_DEFAULTS, settings.option_places)
    return ReadScope(inetd, global_part.broken)


def _check_scope(
    label: str, scope: ReadScope, subject: Subject, seen: dict[tuple[object, ...], bool]
) -> Iterator[Problem]:
    is_global = label == "Global options"
    for problem in _objections(scope.settings, Scope.GLOBAL if is_global else Scope.SERVICE):
        key = (problem.place, problem.option)
        if not seen.setdefault(key, False):
            seen[key] = True
            yield problem
    for rule in GLOBAL_RULES if is_global else SERVICE_RULES:
        if not rule.reads & scope.broken:
            yield from _complaints(label, rule, subject)


def _objections(settings: Settings, scope: Scope) -> Iterator[Problem]:
    """Refuse the options of one scope that this release, or this program, cannot honour."""
    for option in OPTIONS:
        if option.scope is scope and settings.is_set(option.name):
            objection = option.objection(settings[option.name])
            if objection is not None:
                yield _error(settings, option.name, *objection)


def _complaints(label: str, rule: Rule, subject: Subject) -> Iterator[Problem]:
    for complaint in rule.check(subject):
        text = f"{label}: {complaint.text}"
        yield _error(subject.settings, complaint.option, text, complaint.remedy)


def _error(settings: Settings, option: str | None, text: str, remedy: str) -> Problem:
    place = settings.declared if option is None else settings.place(option) or settings.declared
    shown = None if option == "verification" else option
    return Problem(Severity.ERROR, text, place, settings.name, shown, remedy)


def _sorted(problems: Iterable[Problem], files: list[str]) -> tuple[Problem, ...]:
    """Sort by file, in the order of first reading, and line; what has no place comes last.

    A file that is included twice has each of its problems once.
    """
    order = {name: index for index, name in reversed(list(enumerate(files)))}

    def key(problem: Problem) -> tuple[int, int]:
        place: Place | None = problem.place
        if place is None:
            return len(files), 0
        return order.get(place.file, len(files)), place.line

    return tuple(sorted(dict.fromkeys(problems), key=key))
