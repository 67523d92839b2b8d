"""Several client certificates, of which the one is sent that the server can verify.

Each identity has a context of its own, in which OpenSSL finds certificate, chain and key; a
connection borrows it while it answers the server's request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from stunnel_tx.telemetry.events import CLIENT_CERT_CHOSEN
from stunnel_tx.tls.binding.certificate_choice import authority_names, when_asked
from stunnel_tx.tls.names import distinguished_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from OpenSSL import SSL

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.identity import Identity

__all__ = ["Candidate", "ClientIdentities", "choose"]


@frozen(eq=False)
class Candidate:
    """One certificate that may be sent, and the context that has it; ``path`` is its file."""

    path: str
    identity: Identity
    context: SSL.Context

    @property
    def issuers(self) -> frozenset[bytes]:
        """The names (DER) of all who vouch for it: the issuers of the leaf and of its chain."""
        certificates = (self.identity.leaf, *self.identity.chain)
        return frozenset(each.issuer.public_bytes() for each in certificates)


def choose(issuers: Sequence[Collection[bytes]], wanted: Collection[bytes]) -> int | None:
    """The index of the first of several sets of issuers that has a *wanted* one."""
    for index, names in enumerate(issuers):
        if any(name in wanted for name in names):
            return index
    return None


class ClientIdentities:
    """The certificates of one client service, in the order of the configuration.

    Where the server names no authority, or only others, the certificate of the service's own
    context is sent, and the first candidate where it has none.
    """

    def __init__(
        self, context: SSL.Context, candidates: Sequence[Candidate], *, fallback: bool
    ) -> None:
        self._context = context
        self._candidates = tuple(candidates)
        # The callback lives as long as the context: it must not keep the context alive.
        when_asked(context, _answer(self._candidates, fallback=fallback))

    @property
    def identities(self) -> tuple[Identity, ...]:
        """What there is to choose from, in order."""
        return tuple(each.identity for each in self._candidates)

    def settle(self, connection: SSL.Connection, scope: Scope) -> None:
        """After the handshake: say what was sent, and give the borrowed context back."""
        used = connection.get_context()
        for candidate in self._candidates:
            if candidate.context is used:
                if scope.enabled(CLIENT_CERT_CHOSEN.level):
                    name = distinguished_name(candidate.identity.leaf.subject)
                    scope(CLIENT_CERT_CHOSEN, name, candidate.path)
                # Sessions, and a renegotiation, belong to the service's own context.
                connection.set_context(self._context)
                return


def _answer(candidates: Sequence[Candidate], *, fallback: bool) -> Callable[[SSL.Connection], None]:
    """What to do when a server asks; without *fallback* the first candidate is the last resort."""
    issuers = tuple(each.issuers for each in candidates)

    def answer(connection: SSL.Connection) -> None:
        index = choose(issuers, authority_names(connection))
        if index is None:
            if fallback:
                return
            index = 0
        connection.set_context(candidates[index].context)

    return answer
