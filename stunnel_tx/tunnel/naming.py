"""Which service a ClientHello is for: the patterns of ``sni``, and what they lead to.

A pattern is a name, or ``*`` and what a name has to end with: any number of labels, or of
characters, may stand for the star. Names are compared in any case; of all patterns that match,
the first in the configuration counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen
from cryptography import x509

from stunnel_tx.errors import Rejected
from stunnel_tx.telemetry import events
from stunnel_tx.tls.alpn import NO_PROTOCOL, acceptable
from stunnel_tx.tunnel.hello import NO_APPLICATION_PROTOCOL, UNRECOGNIZED_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.client_hello import ClientHello
    from stunnel_tx.tls.handshake import TLSContext
    from stunnel_tx.tunnel.runtime import ServicePolicy

__all__ = ["NameRule", "NameTable", "Unwelcome", "certified", "choose"]


class Unwelcome(Rejected):
    """A client that asks for what no service here has; ``alert`` is what it is to be told."""

    def __init__(self, reason: str, alert: int) -> None:
        self.alert = alert
        super().__init__(reason)


def choose(policy: ServicePolicy, hello: ClientHello, scope: Scope) -> ServicePolicy:
    """The service that *hello*, which came to that of *policy*, is for.

    Raises :class:`Unwelcome` where there is none.
    """
    chosen = policy
    name = hello.server_name
    if name is not None:
        scope(events.SNI_REQUESTED, name)
        if policy.names is not None:
            chosen = _by_name(policy, policy.names, name, scope)
    elif policy.names is not None:
        scope(events.SNI_NONE)
    if not acceptable(chosen.tls.policy, hello.alpn):
        offered = ", ".join(each.decode("utf-8", "backslashreplace") for each in hello.alpn)
        reason = f"{NO_PROTOCOL}: the client offers {offered or 'none'}"
        raise Unwelcome(reason, NO_APPLICATION_PROTOCOL)
    return chosen


def _by_name(policy: ServicePolicy, names: NameTable, name: str, scope: Scope) -> ServicePolicy:
    rule = names.find(name)
    if rule is not None:
        scope(events.SNI_MATCHED, rule.pattern)
        scope(events.SNI_SWITCHED, rule.policy.name)
        return rule.policy
    if len(names):
        scope(events.SNI_UNMATCHED, name)
    if names.refuses(name, policy.tls):
        raise Unwelcome(f'unrecognized name "{name}"', UNRECOGNIZED_NAME)
    return policy


@frozen(eq=False)
class NameRule:
    """A pattern as it was written, and the service it leads to."""

    pattern: str
    policy: ServicePolicy


class NameTable:
    """The name-based services behind one primary service.

    With *refuse_unknown* a name without a pattern is let in only when the certificate of the
    primary service is for it.
    """

    def __init__(self, rules: Iterable[NameRule] = (), *, refuse_unknown: bool = False) -> None:
        self.refuse_unknown = refuse_unknown
        self._names: dict[str, tuple[int, NameRule]] = {}
        self._ends: dict[str, tuple[int, NameRule]] = {}
        for number, rule in enumerate(rules):
            pattern = rule.pattern.lower()
            if pattern.startswith("*"):
                self._ends.setdefault(pattern[1:], (number, rule))
            else:
                self._names.setdefault(pattern, (number, rule))
        self._lengths = sorted({len(end) for end in self._ends})

    def __len__(self) -> int:
        return len(self._names) + len(self._ends)

    def find(self, name: str) -> NameRule | None:
        """The first rule that *name* matches.

        One look-up for the name, and one for each length of suffix among the patterns.
        """
        name = name.lower()
        best = self._names.get(name)
        size = len(name)
        for length in self._lengths:
            if length > size:
                break
            found = self._ends.get(name[size - length :])
            if found is not None and (best is None or found[0] < best[0]):
                best = found
        return None if best is None else best[1]

    def refuses(self, name: str, tls: TLSContext) -> bool:
        """True when *name*, for which :meth:`find` has no rule, is none of the service either.

        *tls* is the context of the primary service.
        """
        if not self.refuse_unknown:
            return False
        return tls.identity is None or not certified(name, tls.identity.leaf)


def certified(name: str, certificate: x509.Certificate) -> bool:
    """True when *name* is among the DNS names of *certificate* (RFC 9525 §6.3).

    A wildcard stands for exactly one label.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    known = {each.lower() for each in extension.value.get_values_for_type(x509.DNSName)}
    name = name.lower()
    label, dot, rest = name.partition(".")
    return name in known or (bool(label and dot) and f"*.{rest}" in known)
