"""A loop on real descriptors that turns only when told, for tests without a reactor."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from stunnel_tx.relay.loop import READ, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable

    Callback = Callable[[int], None]

#: Turns after which a condition that has not come true never will.
MAX_TURNS = 10_000

#: Longest wait of one turn for the kernel, in milliseconds.
PATIENCE = 5

_PEER_CLOSED = 0x2000


class PolledLoop:
    """Level-triggered readiness by poll(2), one round per :meth:`turn`.

    ``interest`` holds what is watched, ``calls`` counts callbacks. What a callback raises goes to
    the test.
    """

    def __init__(self) -> None:
        self.interest: dict[int, int] = {}
        self.calls = 0
        self._callbacks: dict[int, tuple[Callback, bool]] = {}

    def watch(self, fd: int, interest: int, callback: Callback) -> None:
        """See :class:`stunnel_tx.relay.loop.Loop`."""
        if not interest:
            self.forget(fd)
            return
        self.interest[fd] = interest
        self._callbacks[fd] = (callback, False)

    def once(self, fd: int, interest: int, callback: Callback) -> None:
        """See :class:`stunnel_tx.relay.loop.Loop`."""
        self.interest[fd] = interest
        self._callbacks[fd] = (callback, True)

    def forget(self, fd: int, *, closing: bool = False) -> None:
        """See :class:`stunnel_tx.relay.loop.Loop`."""
        self.interest.pop(fd, None)
        self._callbacks.pop(fd, None)

    def close(self) -> None:
        """See :class:`stunnel_tx.relay.loop.Loop`."""
        self.interest.clear()
        self._callbacks.clear()

    def fire(self, fd: int, event: int) -> None:
        """Call what waits for *fd* with *event*, whether it is true or not."""
        callback, one_shot = self._callbacks[fd]
        if one_shot:
            self.forget(fd)
        self.calls += 1
        callback(event)

    def turn(self, patience: int = 0) -> bool:
        """Poll once, *patience* milliseconds at most; True when something was ready."""
        poller = select.poll()
        for fd, interest in self.interest.items():
            poller.register(fd, interest & (READ | WRITE | _PEER_CLOSED))
        ready = poller.poll(patience)
        for fd, event in ready:
            if event & select.POLLNVAL:
                raise AssertionError(f"descriptor {fd} was closed before it was forgotten")
            if fd in self._callbacks:
                self.fire(fd, event)
        return bool(ready)

    def settle(self) -> None:
        """Turn until nothing is ready any more; loopback delivers as good as at once."""
        for _ in range(MAX_TURNS):
            if not self.turn() and not self.turn(1):
                return
        raise AssertionError("the loop spins")

    def until(self, done: Callable[[], object]) -> None:
        """Turn until *done* answers with a true value."""
        for _ in range(MAX_TURNS):
            if done():
                return
            self.turn(PATIENCE)
        raise AssertionError("waited in vain")
