"""The protocols of this program, by name; a protocol that is not used is never loaded."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stunnel_tx.negotiation.stages import Negotiation

__all__ = ["BUILT_IN_NAMES", "find_built_in"]

#: The words of ``protocol``; each has a module of its name, with underscores for hyphens.
BUILT_IN_NAMES: Final = (
    *("cifs", "connect", "ftp", "imap", "irc", "ldap", "lmtp", "mysql"),
    *("nntp", "pgsql", "pop3", "proxy", "sieve", "smtp", "socks", "xmpp", "xmpp-server"),
)


def find_built_in(name: str) -> Negotiation | None:
    """The protocol called *name*, None when it is none of ours."""
    if name not in BUILT_IN_NAMES:
        return None
    module = import_module(f"stunnel_tx.negotiation.protocols.{name.replace('-', '_')}")
    found: Negotiation = module.NEGOTIATION
    return found
