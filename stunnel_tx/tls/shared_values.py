"""Values made from files, shared by everything that is made from the same content.

Hundreds of services may name one file. What it holds is parsed once then, and kept as long as
somebody uses it; other content is another value.
"""

from __future__ import annotations

import threading
from hashlib import sha256
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["SharedValues", "digest"]

V = TypeVar("V")


def digest(content: bytes | None) -> bytes:
    """What stands for *content* in a key, 32 bytes; empty where there is none."""
    return b"" if content is None else sha256(content).digest()


class SharedValues(Generic[V]):
    """Values of one kind by their keys, each kept until the last of its users is gone.

    A key has to name everything that went into its value. May be used by several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: WeakValueDictionary[Hashable, V] = WeakValueDictionary()
        self._users: WeakKeyDictionary[object, list[V]] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._values)

    def find(self, key: Hashable) -> V | None:
        """The value of *key*, ``None`` while nobody uses one."""
        with self._lock:
            return self._values.get(key)

    def keep(self, user: object, key: Hashable, value: V) -> None:
        """Have *value* found under *key* as long as *user* exists."""
        with self._lock:
            self._values[key] = value
            self._users.setdefault(user, []).append(value)
