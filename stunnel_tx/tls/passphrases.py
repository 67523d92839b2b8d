"""Passphrases of encrypted keys: asked for when needed, the last good one tried first."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from stunnel_tx.tls.errors import FileUnusable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_TRIES", "Passphrases"]

#: How often a passphrase may be typed wrongly before start-up is given up.
MAX_TRIES = 3

T = TypeVar("T")


class Passphrases:
    """Answers of one operator; share it between services, so that one answer opens many keys.

    ``ask`` gets a prompt and returns the passphrase, or ``None`` when nobody answers.
    """

    def __init__(self, ask: Callable[[str], bytes | None]) -> None:
        self._ask = ask
        self._good: bytes | None = None

    def open(self, path: str, load: Callable[[bytes], T]) -> T:
        """The result of *load* under the first passphrase that fits.

        *load* raises ``ValueError`` for a passphrase that does not. Raises
        :class:`FileUnusable` after :data:`MAX_TRIES` wrong answers, or without an answer.
        """
        if self._good is not None:
            try:
                return load(self._good)
            except (TypeError, ValueError):
                pass  # this file has a passphrase of its own
        for _ in range(MAX_TRIES):
            answer = self._ask(f"Enter the passphrase of {path}: ")
            if answer is None:
                raise FileUnusable(path, "encrypted, and no passphrase was given")
            try:
                opened = load(answer)
            except (TypeError, ValueError):  # TypeError: cryptography on an empty one
                continue
            self._good = answer
            return opened
        raise FileUnusable(path, f"wrong passphrase ({MAX_TRIES} tries)")
