"""What can be wrong with the files and settings a context is built from."""

from __future__ import annotations

from stunnel_tx.errors import OperatingError

__all__ = ["ContextRefused", "FileUnusable"]


class FileUnusable(OperatingError):
    """A file named in the configuration does not hold what it should.

    ``path`` is the file, ``problem`` what is wrong with it, ``remedy`` what would put it right
    (empty where that is plain).
    """

    def __init__(self, path: str, problem: str, remedy: str = "") -> None:
        self.path = path
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{path}: {problem}" + (f"; {remedy}" if remedy else ""))


class ContextRefused(OperatingError):
    """No context can be made for ``service``; ``reason`` says what stood in the way."""

    def __init__(self, service: str, reason: str) -> None:
        self.service = service
        self.reason = reason
        super().__init__(f"Service [{service}]: Failed to initialize TLS context: {reason}")
