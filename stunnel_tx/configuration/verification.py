"""What ``verify``, ``verifyChain``, ``verifyPeer`` and ``requireCert`` come to together.

They are evaluated in the order of their lines, and a section starts from what the global
part came to: each line changes some of four flags, and ``verify`` overwrites all of them.
"""

from __future__ import annotations

from attrs import evolve, frozen

__all__ = ["NO_VERIFICATION", "VERIFICATION_OPTIONS", "VerificationFlags", "evaluate"]


@frozen
class VerificationFlags:
    """How a service treats the peer's certificate.

    ``request``: ask for one; ``require``: insist on one; ``chain``: verify it up to a
    trusted CA; ``pin``: compare it with the local copy (``verifyPeer``).
    """

    request: bool
    require: bool
    chain: bool
    pin: bool

    @property
    def authenticates(self) -> bool:
        """Whether the peer's certificate is checked against anything at all."""
        return self.chain or self.pin


NO_VERIFICATION = VerificationFlags(request=False, require=False, chain=False, pin=False)

_VERIFY_LEVELS = (
    VerificationFlags(request=True, require=False, chain=False, pin=False),
    VerificationFlags(request=True, require=False, chain=True, pin=False),
    VerificationFlags(request=True, require=True, chain=True, pin=False),
    VerificationFlags(request=True, require=True, chain=True, pin=True),
    VerificationFlags(request=True, require=True, chain=False, pin=True),
)

VERIFICATION_OPTIONS = frozenset({"verify", "verifyChain", "verifyPeer", "requireCert"})


def evaluate(flags: VerificationFlags, option: str, value: bool | int) -> VerificationFlags:
    """Apply one line to the flags; ``value`` is a level for ``verify``, else a bool."""
    if option == "verify":
        return _VERIFY_LEVELS[value]
    if option == "requireCert":
        if value:
            return evolve(flags, request=True, require=True)
        return evolve(flags, require=False)
    changed = (
        evolve(flags, chain=bool(value))
        if option == "verifyChain"
        else evolve(flags, pin=bool(value))
    )
    return evolve(changed, request=True, require=True) if value else changed
