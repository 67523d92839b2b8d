"""From the ``sni`` lines of all sections to the tables their primary services choose by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from stunnel_tx.telemetry import events
from stunnel_tx.tunnel.naming import NameRule, NameTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stunnel_tx.configuration.model import Settings
    from stunnel_tx.service.build import Blueprint
    from stunnel_tx.telemetry.log import Scope

__all__ = ["with_names"]


def with_names(
    blueprints: Sequence[Blueprint], services: Sequence[Settings], scope: Scope
) -> tuple[Blueprint, ...]:
    """*blueprints* of *services*, those that choose by name with their tables.

    The patterns of one service are in the order of the configuration: of its sections, and of
    the lines in each.
    """
    rules: dict[str, list[NameRule]] = {}
    for blueprint, settings in zip(blueprints, services, strict=True):
        for line in settings["sni"] if not settings["client"] else ():
            primary, _, pattern = line.partition(":")
            rules.setdefault(primary, []).append(NameRule(pattern.strip(), blueprint.policy))
    finished = []
    for blueprint, settings in zip(blueprints, services, strict=True):
        # Of several services with one name, the first is meant.
        own = rules.pop(blueprint.name, []) if not settings["client"] else []
        refuse = settings["sniUnknown"] == "refuse" and not settings["client"]
        if own and not blueprint.accept:
            for rule in own:
                scope(events.SNI_UNREACHABLE, rule.policy.name, blueprint.name)
        elif own or (refuse and blueprint.accept):
            names = NameTable(own, refuse_unknown=refuse)
            policy = evolve(blueprint.policy, names=names)
            if policy.negotiation is None and any(rule.policy.negotiation for rule in own):
                # What is said after TLS depends on the name; the way there has to be prepared.
                from stunnel_tx.tunnel.dialogues import SILENCE

                policy = evolve(policy, negotiation=SILENCE)
            blueprint = evolve(blueprint, policy=policy)  # noqa: PLW2901
        finished.append(blueprint)
    return tuple(finished)
