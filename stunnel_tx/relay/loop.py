"""Readiness: which descriptors can be read or written now.

:class:`EpollLoop` has an epoll object of its own, polled in place of the reactor's, with the
reactor's epoll descriptor as one member. Hot descriptors thereby avoid the reactor's per-event
bookkeeping, and everything else in the process runs on the reactor as ever.
:class:`ReactorLoop` does the same through ``addReader`` and ``addWriter`` on any reactor.

A callback is called with the event bits of ``select.epoll``. They are hints: a callback has
to find out by a non-blocking call what is really there.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Callable

    Callback = Callable[[int], None]
    Fault = Callable[[int, BaseException], None]

#: Interest and event bits; the values of epoll(7), used on every platform.
READ: Final = 0x001
WRITE: Final = 0x004
ERROR: Final = 0x008
HANGUP: Final = 0x010

#: Rounds of our own epoll before the reactor's timers are looked at again; a due timer or
#: any event of the reactor's own ends them earlier.
_ROUNDS: Final = 32

#: Events taken by one poll.
_MAX_EVENTS: Final = 256


def accept(listening: socket.socket, family: int) -> tuple[socket.socket, Any]:
    """The next connection of *listening*, non-blocking, and its address; raises OSError.

    ``socket.accept`` asks for family and type anew, as enumerations, for each connection.
    """
    take = getattr(listening, "_accept", None)
    if take is None:
        sock, address = listening.accept()
    else:
        fd, address = take()
        sock = socket.socket(family, socket.SOCK_STREAM, 0, fileno=fd)
    sock.setblocking(False)
    return sock, address


class Loop(Protocol):
    """Readiness of descriptors, level-triggered."""

    def watch(self, fd: int, interest: int, callback: Callback) -> None:
        """Call *callback* whenever *fd* is ready for *interest* (0: pause, keep nothing)."""

    def once(self, fd: int, interest: int, callback: Callback) -> None:
        """Call *callback* the next time *fd* is ready for *interest*, and then no more."""

    def forget(self, fd: int, *, closing: bool = False) -> None:
        """Stop watching *fd*; needed before it is closed. Harmless when not watched.

        *closing* promises that the caller closes it right away.
        """

    def close(self) -> None:
        """Stop watching everything and give the reactor its own polling back."""


def epoll_usable(reactor: Any) -> bool:
    """True when *reactor* has every private part that :class:`EpollLoop` relies on."""
    needed = ("_poller", "_newTimedCalls", "threadCallQueue", "_justStopped", "doPoll")
    return (
        hasattr(select, "epoll")
        and all(hasattr(reactor, name) for name in needed)
        and hasattr(reactor._poller, "fileno")
        and type(reactor).__name__ == "EPollReactor"
    )


def make_loop(reactor: Any, on_fault: Fault) -> Loop:
    """The fastest loop that works with *reactor*.

    *on_fault* is called with the descriptor and the exception when a callback raised.
    """
    if epoll_usable(reactor):
        return EpollLoop(reactor, on_fault)
    return ReactorLoop(reactor, on_fault)


class EpollLoop:
    """See the module's docstring."""

    def __init__(self, reactor: Any, on_fault: Fault) -> None:
        self._reactor = reactor
        self._on_fault = on_fault
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        self._once: dict[int, Callback] = {}
        self._interest: dict[int, int] = {}
        self._reactor_fd: int = reactor._poller.fileno()
        self._epoll.register(self._reactor_fd, READ)
        reactor.doIteration = self._iterate

    def watch(self, fd: int, interest: int, callback: Callback) -> None:
        """See :class:`Loop`."""
        if not interest:
            # Errors and hang-ups are reported for an interest of 0, too, and for ever.
            self.forget(fd)
            return
        self._once.pop(fd, None)
        self._callbacks[fd] = callback
        self._register(fd, interest)

    def once(self, fd: int, interest: int, callback: Callback) -> None:
        """See :class:`Loop`.

        The kernel is left watching: mostly the next thing wanted is the same again, and an
        event that nobody wants ends it then.
        """
        self._callbacks.pop(fd, None)
        self._once[fd] = callback
        self._register(fd, interest)

    def _register(self, fd: int, interest: int) -> None:
        known = self._interest.get(fd)
        if known == interest:
            return
        if known is None:
            self._epoll.register(fd, interest)
        else:
            self._epoll.modify(fd, interest)
        self._interest[fd] = interest

    def forget(self, fd: int, *, closing: bool = False) -> None:
        """See :class:`Loop`."""
        self._callbacks.pop(fd, None)
        self._once.pop(fd, None)
        if self._interest.pop(fd, None) is not None and not closing:
            try:
                self._epoll.unregister(fd)
            except OSError:
                # Whoever closed it before has taken it out of the kernel's table as well.
                return

    def close(self) -> None:
        """See :class:`Loop`."""
        if not self._epoll.closed:
            del self._reactor.doIteration
            self._epoll.close()
            self._callbacks.clear()
            self._once.clear()
            self._interest.clear()

    def _iterate(self, timeout: float | None) -> None:
        """One turn of the reactor: stands in for ``EPollReactor.doPoll``."""
        reactor = self._reactor
        callbacks = self._callbacks
        poll = self._epoll.poll
        due = None if timeout is None else reactor.seconds() + timeout
        for _ in range(_ROUNDS):
            reactor_ready = False
            events = poll(timeout, _MAX_EVENTS)
            for fd, event in events:
                callback = callbacks.get(fd) or self._once.pop(fd, None)
                if callback is None:
                    if fd == self._reactor_fd:
                        reactor_ready = True
                    else:
                        self.forget(fd)
                    continue
                try:
                    callback(event)
                except Exception as error:  # noqa: BLE001 - one tunnel's bug ends one tunnel
                    self._on_fault(fd, error)
            if reactor_ready:
                reactor.doPoll(0)
                return
            if (
                not events
                or reactor._newTimedCalls
                or reactor.threadCallQueue
                or reactor._justStopped
            ):
                return
            if due is not None:
                timeout = due - reactor.seconds()
                if timeout <= 0:
                    return


@implementer(IReadDescriptor, IWriteDescriptor)
class _Descriptor:
    """One watched descriptor, as a Twisted reactor wants to see it."""

    def __init__(self, loop: ReactorLoop, fd: int) -> None:
        self._loop = loop
        self.fd = fd
        self.interest = 0
        self.one_shot = False
        self.callback: Callback | None = None

    def fileno(self) -> int:
        """The descriptor's number."""
        return self.fd

    def logPrefix(self) -> str:
        """Twisted asks for a name in its own log."""
        return "tunnel"

    def doRead(self) -> None:
        """The reactor says: readable."""
        self._loop.ready(self, READ)

    def doWrite(self) -> None:
        """The reactor says: writable."""
        self._loop.ready(self, WRITE)

    def connectionLost(self, reason: object) -> None:
        """The reactor says: error or hang-up. The next read or write will tell which."""
        self._loop.ready(self, READ | WRITE | ERROR)


class ReactorLoop:
    """Readiness through the reactor's public interface (IReactorFDSet)."""

    def __init__(self, reactor: Any, on_fault: Fault) -> None:
        self._reactor = reactor
        self._on_fault = on_fault
        self._descriptors: dict[int, _Descriptor] = {}

    def _set(self, fd: int, interest: int, callback: Callback, *, one_shot: bool) -> None:
        entry = self._descriptors.get(fd)
        if entry is None:
            entry = self._descriptors[fd] = _Descriptor(self, fd)
        entry.callback = callback
        entry.one_shot = one_shot
        self._apply(entry, interest)

    def _apply(self, entry: _Descriptor, interest: int) -> None:
        changed = entry.interest ^ interest
        entry.interest = interest
        if changed & READ:
            (self._reactor.addReader if interest & READ else self._reactor.removeReader)(entry)
        if changed & WRITE:
            (self._reactor.addWriter if interest & WRITE else self._reactor.removeWriter)(entry)

    def ready(self, entry: _Descriptor, event: int) -> None:
        """Pass an event of *entry* on to its callback."""
        if self._descriptors.get(entry.fd) is not entry or entry.callback is None:
            return
        if event & ERROR:
            # The reactor has dropped the descriptor from its tables by now, or will, on
            # the way back; ask anew for what is still wanted afterwards.
            self._reactor.removeReader(entry)
            self._reactor.removeWriter(entry)
            wanted, entry.interest = entry.interest, 0
            if not entry.one_shot:
                self._apply(entry, wanted)
        elif entry.one_shot:
            self._apply(entry, 0)
        try:
            entry.callback(event)
        except Exception as error:  # noqa: BLE001 - one tunnel's bug ends one tunnel
            self._on_fault(entry.fd, error)

    def watch(self, fd: int, interest: int, callback: Callback) -> None:
        """See :class:`Loop`."""
        if interest:
            self._set(fd, interest, callback, one_shot=False)
        else:
            self.forget(fd)

    def once(self, fd: int, interest: int, callback: Callback) -> None:
        """See :class:`Loop`."""
        self._set(fd, interest, callback, one_shot=True)

    def forget(self, fd: int, *, closing: bool = False) -> None:
        """See :class:`Loop`; a reactor wants to hear of it in either case."""
        entry = self._descriptors.pop(fd, None)
        if entry is not None:
            self._apply(entry, 0)
            entry.callback = None

    def close(self) -> None:
        """See :class:`Loop`."""
        for fd in list(self._descriptors):
            self.forget(fd)
