"""A coroutine per connection, driven by readiness, deadlines and Deferreds.

A third of the cost of Twisted's own coroutine support per wait, which shows in the price of a
handshake, and a deadline that can interrupt any wait.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from stunnel_tx.errors import DeadlineExceeded, StunnelTxError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
    from types import TracebackType

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from stunnel_tx.relay.deadlines import Deadline, Deadlines
    from stunnel_tx.relay.loop import Loop

T = TypeVar("T")


class Cancelled(StunnelTxError):
    """The program is stopping; thrown into whatever the task waits for."""


@coroutine
def _suspended() -> Generator[None, Any, Any]:
    return (yield)


def _nobody(_event: int) -> None:
    """Called for an event that is not waited for any more."""


class Limit:
    """A time bound on everything inside a ``with`` block, in seconds (negative: none).

    On expiry :class:`~stunnel_tx.errors.DeadlineExceeded` is raised where the task waits.
    """

    __slots__ = ("_deadline", "_option", "_seconds", "_task")

    def __init__(self, task: Task, option: str, seconds: float) -> None:
        self._task = task
        self._option = option
        self._seconds = seconds
        self._deadline: Deadline | None = None

    def __enter__(self) -> None:
        if self._seconds >= 0:
            self._deadline = self._task.deadlines.after(self._seconds, self._expired)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            # They hold each other otherwise, and wait for the collector together.
            self._deadline = None

    @contextmanager
    def pause(self) -> Iterator[None]:
        """The time does not run inside a ``with`` block, and begins anew behind it."""
        self.__exit__(None, None, None)
        try:
            yield
        finally:
            self.__enter__()

    def _expired(self) -> None:
        self._task.throw(DeadlineExceeded(self._option, self._seconds))


class Task:
    """Runs one coroutine; *on_done* gets the exception it ended with, or None."""

    __slots__ = ("_coroutine", "_loop", "_on_done", "deadlines")

    def __init__(self, loop: Loop, deadlines: Deadlines) -> None:
        self._loop = loop
        self.deadlines = deadlines
        self._coroutine: Coroutine[Any, Any, None] | None = None
        self._on_done: Callable[[BaseException | None], None] | None = None

    def start(
        self,
        coroutine: Coroutine[Any, Any, None],
        on_done: Callable[[BaseException | None], None],
    ) -> None:
        """Run *coroutine* up to its first wait."""
        self._coroutine = coroutine
        self._on_done = on_done
        self._step(None)

    def _step(self, value: object) -> None:
        if self._coroutine is None:
            return
        try:
            self._coroutine.send(value)
        except StopIteration:
            self._finished(None)
        except Exception as error:  # noqa: BLE001 - passed on to whoever started the task
            self._finished(error)

    def throw(self, error: BaseException) -> None:
        """Raise *error* where the coroutine waits; nothing when it has ended."""
        if self._coroutine is None:
            return
        try:
            self._coroutine.throw(error)
        except StopIteration:
            self._finished(None)
        except Exception as raised:  # noqa: BLE001 - passed on to whoever started the task
            self._finished(raised)
        finally:
            # Its traceback holds this frame: a cycle that would keep the connection alive.
            del error

    def _finished(self, error: BaseException | None) -> None:
        on_done = self._on_done
        self._coroutine = self._on_done = None
        if on_done is not None:
            on_done(error)

    def limit(self, option: str, seconds: float) -> Limit:
        """A time bound named after the *option* that sets it."""
        return Limit(self, option, seconds)

    @coroutine
    def ready(self, fd: int, interest: int) -> Generator[None, int, int]:
        """Wait until *fd* is ready for *interest*; the event bits."""
        self._loop.once(fd, interest, self._step)
        try:
            event = yield
        except BaseException:
            self._loop.forget(fd)
            raise
        return event

    def _found(self, fd: int, _event: int) -> None:
        self._step(fd)

    async def ready_within(self, fd: int, interest: int, seconds: float) -> int:
        """Like :meth:`ready`, or 0 when *fd* is not ready within so many *seconds*."""
        self._loop.once(fd, interest, self._step)
        deadline = self.deadlines.after(seconds, lambda: self._step(0))
        try:
            event: int = await _suspended()
        except BaseException:
            self._loop.forget(fd)
            raise
        finally:
            deadline.cancel()
        if not event:
            # The kernel goes on watching: what comes next is mostly another wait for the same.
            self._loop.once(fd, interest, _nobody)
        return event

    async def first_ready(self, fds: Sequence[int], interest: int) -> int:
        """Wait until one of *fds* is ready for *interest*; which one it is."""
        for each in fds:
            self._loop.once(each, interest, partial(self._found, each))
        try:
            ready: int = await _suspended()
        finally:
            for each in fds:
                self._loop.forget(each)
        return ready

    def close(self, sock: socket.socket) -> None:
        """Close a socket that this task may have waited for."""
        self._loop.forget(sock.fileno(), closing=True)
        sock.close()

    async def sleep(self, seconds: float) -> None:
        """Wait; the deadlines' tolerance applies."""
        deadline = self.deadlines.after(seconds, lambda: self._step(None))
        try:
            await _suspended()
        finally:
            deadline.cancel()

    async def fired(self, deferred: Deferred[T]) -> T:
        """Wait for *deferred*; its result, or its failure raised."""
        answer: list[tuple[T | None, BaseException | None]] = []
        waiting = False

        def succeeded(result: T) -> None:
            answer.append((result, None))
            if waiting:
                self._step(None)

        def failed(failure: Failure) -> None:
            answer.append((None, failure.value))
            if waiting:
                self._step(None)

        deferred.addCallbacks(succeeded, failed)
        if not answer:
            waiting = True
            try:
                await _suspended()
            except BaseException:
                waiting = False
                deferred.cancel()
                raise
        result, error = answer[0]
        if error is not None:
            raise error
        return result  # type: ignore[return-value]
