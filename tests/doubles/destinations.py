"""Networks for tests, from their text in a configuration."""

from __future__ import annotations

from stunnel_tx.configuration.protocol_values import (
    UNIX_CLIENTS,
    header_senders,
    permitted_network,
)
from stunnel_tx.negotiation.destinations import Permit
from stunnel_tx.negotiation.proxy_senders import Senders


def permit(text: str) -> Permit:
    """A line of ``protocolAllow``."""
    (allowed,) = permitted_network(text)
    return Permit(allowed.network, allowed.ports)


def senders(text: str) -> Senders:
    """A line of ``acceptProxy``."""
    found = header_senders(text)
    networks = tuple(each for each in found if not isinstance(each, str))
    return Senders(networks, unix=UNIX_CLIENTS in found)
