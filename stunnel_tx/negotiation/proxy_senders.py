"""Whose PROXY headers are believed: the value of ``acceptProxy``.

Whether a header is expected is never guessed from what a client sends: a listed peer must send
one, and from all others it is no header but bad TLS (HAProxy's specification, section 5).
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from attrs import frozen

from stunnel_tx.negotiation.destinations import canonical

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from stunnel_tx.negotiation.peer import Endpoint

__all__ = ["EVERYBODY", "Senders"]


@frozen
class Senders:
    """Networks whose peers send a header, and whether those on UNIX sockets do."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    unix: bool = False

    @property
    def any(self) -> bool:
        """True when there are any."""
        return self.unix or bool(self.networks)

    def include(self, peer: Endpoint | None) -> bool:
        """True when the *peer* of an accepted connection must send a header.

        None, and whatever is no IP address, is a peer on a UNIX socket.
        """
        if not self.any:
            return False
        try:
            address = canonical(peer.host) if peer is not None else None
        except ValueError:
            address = None
        if address is None:
            return self.unix
        return any(address in network for network in self.networks)


#: For an address that only a balancer can reach.
EVERYBODY: Final = Senders((ip_network("0.0.0.0/0"), ip_network("::/0")), unix=True)
