"""Passphrases of encrypted keys: asked for when needed, the good ones tried first."""

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

    ``ask`` gets a prompt and returns the passphrase, or ``None`` when nobody answers; ``good`` is
    the list that answers are kept in once they have opened something.
    """

    def __init__(self, ask: Callable[[str], bytes | None], good: list[bytes] | None = None) -> None:
        self._ask = ask
        self._good = [] if good is None else good

    def unattended(self) -> Passphrases:
        """The same answers, for a time when nobody is there to be asked for more."""
        return Passphrases(lambda _prompt: None, self._good)

    def open(self, path: str, load: Callable[[bytes], T]) -> T:
        """The result of *load* under the first passphrase that fits.

        *load* raises ``ValueError`` for a passphrase that does not. Raises
        :class:`FileUnusable` after :data:`MAX_TRIES` wrong answers, or without an answer.
        """
        for good in reversed(self._good):
            try:
                return load(good)
            except (TypeError, ValueError):
                continue  # this file has a passphrase of its own
        for _ in range(MAX_TRIES):
            answer = self._ask(f"Enter the passphrase of {path}: ")
            if answer is None:
                raise FileUnusable(path, "encrypted, and no passphrase was given")
            try:
                opened = load(answer)
            except (TypeError, ValueError):  # TypeError: cryptography on an empty one
                continue
            self._good.append(answer)
            return opened
        raise FileUnusable(path, f"wrong passphrase ({MAX_TRIES} tries)")
