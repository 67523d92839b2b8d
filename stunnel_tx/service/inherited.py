"""Listening sockets that the process was started with: systemd's socket activation.

As with stunnel, the *n*-th section that listens gets descriptor 3 + *n* in place of the addresses
of its ``accept`` lines (sd_listen_fds(3); *n* from 0). A configuration with ``systemd:`` endpoint
strings says itself which socket goes where, and no other is given away then.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen
from twisted.internet import defer
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from zope.interface import implementer

from stunnel_tx.configuration.addresses import EndpointString
from stunnel_tx.errors import OperatingError
from stunnel_tx.service.sockets import OwnedPort
from stunnel_tx.tunnel.sockets import OptionSetting, apply_options

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from twisted.internet.interfaces import IProtocolFactory

    from stunnel_tx.service.build import Blueprint
    from stunnel_tx.telemetry.log import Scope

__all__ = ["InheritedEndpoint", "InheritedSocket", "announced", "forget", "given_away"]

#: The descriptor that systemd begins with.
FIRST: Final = 3

_PID: Final = "LISTEN_PID"
_COUNT: Final = "LISTEN_FDS"
_NAMES: Final = "LISTEN_FDNAMES"


@frozen
class InheritedSocket:
    """A descriptor that listens already, in place of an address."""

    fd: int

    def __str__(self) -> str:
        return f"inherited descriptor {self.fd}"


def announced(environ: MutableMapping[str, str]) -> tuple[InheritedSocket, ...]:
    """The sockets that *environ* announces to this process; programs run by it do not get them.

    The variables stay: :func:`forget` removes them. Where the names are missing they are set to
    what stands for no name, without which Twisted does not believe the rest.
    """
    count = environ.get(_COUNT, "")
    mine = environ.get(_PID) == str(os.getpid())
    if not mine or not (count.isascii() and count.isdigit()) or len(count) > len("1000"):
        return ()
    found = tuple(InheritedSocket(FIRST + number) for number in range(int(count)))
    for each in found:
        try:
            os.set_inheritable(each.fd, False)
        except OSError as error:
            message = f"{_COUNT}={count}, but descriptor {each.fd} is not open"
            raise OperatingError(message) from error
    if not environ.get(_NAMES):
        environ[_NAMES] = ":".join("unknown" for _ in found)
    return found


def forget(environ: MutableMapping[str, str]) -> None:
    """Remove what was announced, so that no program run by this one takes it for its own.

    Twisted's ``systemd:`` takes its note of the variables when it is loaded.
    """
    if _COUNT in environ:
        import twisted.internet.endpoints  # noqa: F401 - takes the note
    for name in (_PID, _COUNT, _NAMES):
        environ.pop(name, None)


def given_away(
    blueprints: Sequence[Blueprint], sockets: Sequence[InheritedSocket]
) -> list[Blueprint]:
    """*blueprints*, those that listen with the inherited *sockets*, in their order.

    Raises OperatingError for more sockets than sections that listen.
    """
    listening = [each for each in blueprints if each.accept]
    if any(
        isinstance(address, EndpointString)
        and address.text.removeprefix("haproxy:").startswith("systemd:")
        for each in listening
        for address in each.accept
    ):
        return list(blueprints)
    if len(sockets) > len(listening):
        raise OperatingError(
            f"systemd has passed {len(sockets)} sockets, and {len(listening)} sections have an "
            "'accept' line; make the ListenStream lines of the .socket unit as many"
        )
    replaced = {id(each): sock for each, sock in zip(listening, sockets, strict=False)}
    return [
        evolve(each, accept=(replaced[id(each)],)) if id(each) in replaced else each
        for each in blueprints
    ]


@implementer(IStreamServerEndpoint)
@frozen
class InheritedEndpoint:
    """Listens on an inherited socket; the descriptor itself is kept for the next reload."""

    source: InheritedSocket
    options: tuple[OptionSetting, ...] = ()

    def __str__(self) -> str:
        return str(self.source)

    def listen(self, factory: IProtocolFactory) -> defer.Deferred[IListeningPort]:
        """Listen; the Deferred has fired already, with an ``OwnedPort`` or OSError."""
        return defer.execute(self._listen)

    def _listen(self) -> OwnedPort:
        sock = socket.socket(fileno=os.dup(self.source.fd))
        try:
            _look_at(sock)
            sock.setblocking(False)
            for setting in self.options:
                if sock.family != socket.AF_UNIX or setting.level == socket.SOL_SOCKET:
                    sock.setsockopt(setting.level, setting.option, setting.value)
        except BaseException:
            sock.close()
            raise
        # The name of a UNIX socket belongs to whoever made it.
        return OwnedPort(sock, None)

    def fit(self, sock: socket.socket, scope: Scope) -> None:
        """Give *sock*, which listens already, our options."""
        settings = self.options if sock.family != socket.AF_UNIX else ()
        apply_options(sock, settings, scope, "accept")


def _look_at(sock: socket.socket) -> None:
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if sock.type != socket.SOCK_STREAM or not listens:
        message = "not a listening stream socket; write ListenStream= and Accept=no in its unit"
        raise OperatingError(message)
