"""``protocol = capwinctrl``: recognised, and refused with the reason."""

from __future__ import annotations

from stunnel_tx.negotiation.stages import Negotiation

NEGOTIATION = Negotiation(
    name="capwinctrl",
    client=None,
    server=None,
    specification="none: proprietary to one product",
    unsupported=(
        "the CapWIN protocols are proprietary, carry a password in the clear on the local side, "
        "and belong to a product that is gone"
    ),
)
