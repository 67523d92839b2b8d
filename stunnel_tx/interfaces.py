"""Plug points: what third parties may provide (zope.interface)."""

from __future__ import annotations

from zope.interface import Interface


class ILogSink(Interface):
    """A place where finished log lines go."""

    def write(level: int, ident: str, text: str) -> None:
        """Put out one line.

        *level* is a syslog severity (0 to 7), *ident* the connection's id, *text* one line
        without control characters. Must not block and must not raise.
        """

    def reopen() -> None:
        """Open the underlying file again, where there is one."""

    def close() -> None:
        """Flush and let go of the underlying resource."""
