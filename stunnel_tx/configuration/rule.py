"""What a rule is: a check of one scope, and the options it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stunnel_tx.configuration.model import Settings

__all__ = ["Complaint", "Rule", "Subject"]


@frozen(eq=False, repr=False)
class Complaint:
    """What a rule has to say; ``option`` is the one whose line is to blame, if any."""

    text: str
    remedy: str
    option: str | None = None


@frozen(eq=False, repr=False)
class Subject:
    """A scope under examination; ``earlier`` are the services declared before it."""

    settings: Settings
    inetd: bool = False
    earlier: tuple[Settings, ...] = ()

    def __getitem__(self, option: str) -> Any:
        return self.settings[option]


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


@frozen(eq=False, repr=False)
class Rule:
    """A check, and the options it reads."""

    reads: frozenset[str] = field(converter=_names)
    check: Callable[[Subject], Iterator[Complaint]]
