"""Application-layer protocols (ALPN, RFC 7301): which name is settled on, and by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from OpenSSL import SSL

from stunnel_tx.tls.policy import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stunnel_tx.tls.policy import TLSPolicy

__all__ = ["NO_PROTOCOL", "acceptable", "select", "set_protocols"]

NO_PROTOCOL: Final = "no application protocol"


def select(preferred: Sequence[bytes], offered: Sequence[bytes]) -> bytes | None:
    """The first of *preferred* that is *offered*; ``None`` for none (RFC 7301 §3.2)."""
    return next((name for name in preferred if name in offered), None)


def acceptable(policy: TLSPolicy, offered: Sequence[bytes]) -> bool:
    """True when a server of *policy* can go on with a client that offers these names.

    A client that offers none is older than ALPN, and let in unless the policy insists.
    """
    if not policy.alpn:
        return True
    if not offered:
        return not policy.alpn_required
    return select(policy.alpn, offered) is not None


def set_protocols(context: SSL.Context, policy: TLSPolicy) -> None:
    """Make *context* offer, or choose by its preference, the protocols of *policy*.

    That clients are turned away who offer none of them is decided before, by
    :func:`acceptable`; here is no place from which the right alert could be sent.
    """
    names = policy.alpn
    if not names:
        return
    if policy.role is Role.CLIENT:
        context.set_alpn_protos(list(names))
        return

    def choose(_connection: SSL.Connection, offered: list[bytes]) -> object:
        name = select(names, offered)
        return SSL.NO_OVERLAPPING_PROTOCOLS if name is None else name

    context.set_alpn_select_callback(choose)  # type: ignore[arg-type]
