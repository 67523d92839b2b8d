"""From the configuration's addresses to resolved ones."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any, Final

from stunnel_tx.configuration.addresses import HostPort, UnixPath
from stunnel_tx.errors import OperatingError, StunnelTxError
from stunnel_tx.service.threads import threads_of
from stunnel_tx.tunnel.destination import SocketAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stunnel_tx.tunnel.task import Task

#: EAI_AGAIN is answered by that many further attempts, a second apart, as stunnel does.
RETRIES: Final = 3

#: Seconds after which nothing is tried again: a name server that does not answer at all has
#: been waited for by the system's resolver already.
PATIENCE: Final = 5.0


def look_up(
    host: str | None,
    port: int | str,
    *,
    passive: bool = False,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[SocketAddress, ...]:
    """All stream addresses of a host and port, in the resolver's order. Blocks.

    Without a host: the wildcard addresses when *passive*, else the loopback ones. Raises
    :class:`~stunnel_tx.errors.OperatingError` for none.
    """
    flags = socket.AI_ADDRCONFIG | (socket.AI_PASSIVE if passive else 0)
    tries, began = 0, clock()
    while True:
        try:
            found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags)
        except socket.gaierror as error:
            again = error.errno == socket.EAI_AGAIN
            if again and tries < RETRIES and clock() - began < PATIENCE:
                tries += 1
                pause(1.0)
                continue
            if not again and flags & socket.AI_ADDRCONFIG:
                # A machine without a configured network still has its loopback addresses.
                flags &= ~socket.AI_ADDRCONFIG
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


def local_addresses(host: str | None) -> tuple[SocketAddress, ...]:
    """The addresses of ``local``, one of each family and that of IPv4 first; no port. Blocks.

    Raises OperatingError when *host* does not resolve.
    """
    if host is None:
        return ()
    try:
        found = look_up(host, 0, passive=True)
    except OperatingError as error:
        message = f'local: Cannot resolve "{host}": {error}; write an address of this machine'
        raise OperatingError(message) from error
    # Later ones give way to the first of their family.
    each = {address.family: address for address in reversed(found)}
    return tuple(sorted(each.values(), key=lambda address: address.family != socket.AF_INET))


class ThreadResolver:
    """Looks names up in other threads, so that only the asking tunnel waits."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    async def resolve(self, task: Task, host: str, port: int | str) -> Sequence[SocketAddress]:
        """See :class:`stunnel_tx.tunnel.destination.Resolver`."""
        deferred = threads_of(self._reactor).call(look_up, host or None, port)
        found: tuple[SocketAddress, ...] = await task.fired(deferred)
        if not found:
            raise StunnelTxError("no address")
        return found
