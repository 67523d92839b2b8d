"""From the configuration's addresses to resolved ones."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.threads import deferToThreadPool

from stunnel_tx.configuration.addresses import HostPort, UnixPath
from stunnel_tx.errors import OperatingError, StunnelTxError
from stunnel_tx.tunnel.destination import SocketAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stunnel_tx.tunnel.task import Task

#: EAI_AGAIN is answered by that many further attempts, a second apart, as stunnel does.
RETRIES: Final = 3


def look_up(
    host: str | None,
    port: int | str,
    *,
    passive: bool = False,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[SocketAddress, ...]:
    """All stream addresses of a host and port, in the resolver's order. Blocks.

    Without a host: the wildcard addresses when *passive*, else the loopback ones. Raises
    :class:`~stunnel_tx.errors.OperatingError` for none.
    """
    flags = socket.AI_ADDRCONFIG | (socket.AI_PASSIVE if passive else 0)
    tries = 0
    while True:
        try:
            found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags)
        except socket.gaierror as error:
            if flags & socket.AI_ADDRCONFIG:
                # A machine without a configured network still has its loopback addresses.
                flags &= ~socket.AI_ADDRCONFIG
                continue
            if error.errno == socket.EAI_AGAIN and tries < RETRIES:
                tries += 1
                pause(1.0)
                continue
            raise OperatingError(f"{error.strerror or error}") from error
        except (OSError, UnicodeError) as error:
            raise OperatingError(str(error)) from error
        unique = dict.fromkeys((entry[0], entry[4]) for entry in found)
        return tuple(SocketAddress(int(family), address) for family, address in unique)


def fixed_address(address: HostPort | UnixPath) -> tuple[SocketAddress, ...]:
    """Where to connect to for *address*; raises OperatingError when it does not resolve."""
    if isinstance(address, UnixPath):
        return (SocketAddress(socket.AF_UNIX, address.path),)
    return look_up(address.host, address.port)


class ThreadResolver:
    """Looks names up in the reactor's thread pool, so that only the asking tunnel waits."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    async def resolve(self, task: Task, host: str, port: int | str) -> Sequence[SocketAddress]:
        """See :class:`stunnel_tx.tunnel.destination.Resolver`."""
        deferred = deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), look_up, host or None, port
        )
        found: tuple[SocketAddress, ...] = await task.fired(deferred)
        if not found:
            raise StunnelTxError("no address")
        return found
