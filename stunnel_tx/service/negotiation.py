"""From the options of protocol negotiation to the policy that tunnels talk by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stunnel_tx.configuration.protocol_values import UNIX_CLIENTS

if TYPE_CHECKING:
    from stunnel_tx.configuration.model import Settings
    from stunnel_tx.negotiation.stages import Stages
    from stunnel_tx.tunnel.chosen import Chooser
    from stunnel_tx.tunnel.destination import Connector
    from stunnel_tx.tunnel.dialogues import NegotiationPolicy
    from stunnel_tx.tunnel.runtime import ServicePolicy

__all__ = ["behind_balancer", "negotiation_policy", "protocol_names"]


def negotiation_policy(
    settings: Settings, connector: Connector, reactor: Any
) -> NegotiationPolicy | None:
    """What a service says around TLS; None for nothing, and then nothing of it is loaded.

    *connector* makes the connections that clients choose.
    """
    protocol = settings["protocol"]
    if protocol is None and not settings["sendProxy"] and not settings["acceptProxy"]:
        return None
    from stunnel_tx.negotiation.peer import NegotiationOptions
    from stunnel_tx.negotiation.proxy_senders import Senders
    from stunnel_tx.negotiation.stages import Stages
    from stunnel_tx.service.protocols import find_negotiation
    from stunnel_tx.tunnel.dialogues import NegotiationPolicy

    stages: Stages | None = None
    if protocol is not None:
        negotiation = find_negotiation(protocol.name)
        stages = negotiation.client if settings["client"] else negotiation.server
    stages = stages or Stages()
    chooser = _chooser(settings, connector, reactor) if stages.chooses_destination else None
    senders = settings["acceptProxy"]
    return NegotiationPolicy(
        stages=stages,
        options=NegotiationOptions(
            host=settings["protocolHost"],
            username=settings["protocolUsername"],
            password=settings["protocolPassword"],
            domain=settings["protocolDomain"],
            authentication=settings["protocolAuthentication"],
            headers=settings["protocolHeader"],
            extra={} if chooser is None else {"destinations": chooser.policy},
        ),
        chooser=chooser,
        send_proxy=settings["sendProxy"],
        accept_proxy=Senders(
            tuple(each for each in senders if each != UNIX_CLIENTS), unix=UNIX_CLIENTS in senders
        ),
    )


def behind_balancer(policy: ServicePolicy) -> ServicePolicy:
    """*policy* where every connection begins with a PROXY header, whoever it comes from."""
    from attrs import evolve

    from stunnel_tx.negotiation.proxy_senders import EVERYBODY
    from stunnel_tx.tunnel.dialogues import NegotiationPolicy

    own = policy.negotiation or NegotiationPolicy()
    return evolve(policy, negotiation=evolve(own, accept_proxy=EVERYBODY))


def protocol_names(settings: Settings) -> tuple[bytes, ...]:
    """The ALPN names of a service: those of ``alpn``, else those of its protocol.

    A peer that names none is as welcome as before; one that names others is lost in the wrong
    protocol, as in the ALPACA attack.
    """
    given: tuple[bytes, ...] = settings["alpn"]
    if given or settings["protocol"] is None:
        return given
    from stunnel_tx.service.protocols import find_negotiation

    return find_negotiation(settings["protocol"].name).alpn


def _chooser(settings: Settings, connector: Connector, reactor: Any) -> Chooser:
    """Who connects clients to where they want to go, as far as ``protocolAllow`` lets them."""
    from stunnel_tx.negotiation.destinations import DestinationPolicy, Permit
    from stunnel_tx.service.addresses import ThreadResolver
    from stunnel_tx.tunnel.chosen import Chooser

    name = settings["protocol"].name
    permits = tuple(Permit(each.network, each.ports) for each in settings["protocolAllow"])
    policy = DestinationPolicy(permits, only_listed=name == "connect")
    return Chooser(name.upper(), policy, ThreadResolver(reactor), connector)
