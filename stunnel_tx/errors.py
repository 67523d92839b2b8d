"""Every error this program raises on purpose, sorted by who is at fault.

::

    StunnelTxError
    ├── ConfigurationErrors      the operator: one or more mistakes in the configuration
    ├── OperatingError           the operator or the machine: a port, file or account
    ├── PeerError                the other end of a connection
    │   ├── ProtocolViolation    it broke the rules of its protocol
    │   ├── PeerRefused          it kept the rules and said no
    │   └── PeerClosed           it went away in the middle
    ├── LimitExceeded            a size or count bound of ours was hit
    ├── DeadlineExceeded         a time bound of ours was hit
    └── Rejected                 our own policy said no (certificate, address, ...)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ConfigurationErrors",
    "DeadlineExceeded",
    "LimitExceeded",
    "OperatingError",
    "PeerClosed",
    "PeerError",
    "PeerRefused",
    "ProtocolViolation",
    "Rejected",
    "StunnelTxError",
]


class StunnelTxError(Exception):
    """Root of the tree; its text is one line, fit for a log."""


class ConfigurationErrors(StunnelTxError):
    """All mistakes found in one configuration, in the order of their places.

    ``problems`` holds objects whose ``str()`` is the line shown to the operator.
    """

    def __init__(self, problems: Sequence[object]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class OperatingError(StunnelTxError):
    """Something outside the configuration's text stands in the way (port, file, account)."""


class PeerError(StunnelTxError):
    """The other end of a connection is at fault."""


class ProtocolViolation(PeerError):
    """The peer sent what its protocol does not allow here."""


class PeerRefused(PeerError):
    """The peer answered within its protocol, and the answer was no."""


class PeerClosed(PeerError):
    """The peer closed or reset the connection before its part was done."""


class LimitExceeded(StunnelTxError):
    """A bound on size or count was hit.

    ``what`` names the thing bounded and ``limit`` its bound, in the unit of ``what``.
    """

    def __init__(self, what: str, limit: int) -> None:
        self.what = what
        self.limit = limit
        super().__init__(f"{what} exceeds {limit}")


class DeadlineExceeded(StunnelTxError):
    """A time bound was hit; ``option`` is the configuration option that sets it."""

    def __init__(self, option: str, seconds: float) -> None:
        self.option = option
        self.seconds = seconds
        super().__init__(f"{option} exceeded ({seconds:g} s)")


class Rejected(StunnelTxError):
    """Our own policy turned the peer away; ``reason`` says why, in words for the log."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
