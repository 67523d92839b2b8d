"""User and password of a service: ours where we log in, those that clients need elsewhere."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from stunnel_tx.errors import OperatingError

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import NegotiationOptions

__all__ = ["Credentials", "credentials", "matching"]

#: User and password, as the operator wrote them: bytes of a file that is mostly UTF-8.
Credentials = tuple[bytes, bytes]


def credentials(options: NegotiationOptions) -> Credentials | None:
    """User and password of the service, or None where it has neither.

    Raises OperatingError for one without the other, and for empty ones: a service that is to ask
    for a password must not be open to all because a line is missing.
    """
    if options.username is None and options.password is None:
        return None
    if not options.username or not options.password:
        raise OperatingError("protocolUsername and protocolPassword need each other")
    return (
        options.username.encode("utf-8", "surrogateescape"),
        options.password.encode("utf-8", "surrogateescape"),
    )


def matching(given: Credentials, wanted: Credentials) -> bool:
    """True when both parts are equal; how long it takes does not tell which one is not."""
    # Both comparisons are made whatever the first one says.
    same_user = hmac.compare_digest(given[0], wanted[0])
    return hmac.compare_digest(given[1], wanted[1]) and same_user
