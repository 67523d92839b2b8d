"""A log that remembers its lines."""

from __future__ import annotations

from stunnel_tx.telemetry.levels import DEBUG
from stunnel_tx.telemetry.log import Log, Scope


class Recording:
    """A sink that keeps lines, with a log and a scope in front of it.

    ``lines`` holds ``(level, id, text)``; ``texts`` the texts alone.
    """

    def __init__(self, threshold: int = DEBUG) -> None:
        self.lines: list[tuple[int, str, str]] = []
        self.log = Log()
        self.log.open([self], threshold)
        self.scope: Scope = self.log.scope("0")

    @property
    def texts(self) -> list[str]:
        """The texts so far."""
        return [text for _, _, text in self.lines]

    def write(self, level: int, ident: str, text: str) -> None:
        """Keep one line."""
        self.lines.append((level, ident, text))

    def reopen(self) -> None:
        """There is nothing to open."""

    def close(self) -> None:
        """There is nothing to close."""
