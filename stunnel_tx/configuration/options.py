"""All options in one table, and the look-up of a name."""

from __future__ import annotations

import difflib

from stunnel_tx.configuration.option import Option, Scope
from stunnel_tx.configuration.options_global import GLOBAL_OPTIONS
from stunnel_tx.configuration.options_names import NAME_OPTIONS
from stunnel_tx.configuration.options_protocol import PROTOCOL_OPTIONS
from stunnel_tx.configuration.options_service import SERVICE_OPTIONS
from stunnel_tx.configuration.options_tls import TLS_OPTIONS
from stunnel_tx.configuration.options_verification import VERIFICATION_TABLE
from stunnel_tx.configuration.verification import NO_VERIFICATION

__all__ = [
    "GLOBAL_DEFAULTS",
    "OPTIONS",
    "SERVICE_DEFAULTS",
    "find_option",
    "suggest_option",
]

OPTIONS: tuple[Option, ...] = tuple(
    sorted(
        (
            *GLOBAL_OPTIONS,
            *SERVICE_OPTIONS,
            *PROTOCOL_OPTIONS,
            *TLS_OPTIONS,
            *NAME_OPTIONS,
            *VERIFICATION_TABLE,
        ),
        key=lambda option: option.name.lower(),
    )
)
"""Every option, by name regardless of case."""

_BY_NAME = {name.lower(): option for option in OPTIONS for name in (option.name, *option.aliases)}

SERVICE_DEFAULTS: dict[str, object] = {
    **{option.name: option.default for option in OPTIONS if option.scope is Scope.SERVICE},
    "verification": NO_VERIFICATION,
}
"""Defaults of a section; ``verification`` is what the ``verify`` options come to together."""

GLOBAL_DEFAULTS: dict[str, object] = {
    **SERVICE_DEFAULTS,
    **{option.name: option.default for option in OPTIONS},
}


def find_option(name: str) -> Option | None:
    """Look an option up by its name or an alias, in any case; None when there is none."""
    return _BY_NAME.get(name.lower())


def suggest_option(name: str) -> Option | None:
    """Return the option whose name looks most like ``name``, None when none is close."""
    close = difflib.get_close_matches(name.lower(), _BY_NAME, n=1, cutoff=0.7)
    return _BY_NAME[close[0]] if close else None
