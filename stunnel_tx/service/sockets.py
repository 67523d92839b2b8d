"""Listening sockets for stunnel's addresses, as Twisted endpoints; socket options as calls."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen
from twisted.internet import defer
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from zope.interface import implementer

from stunnel_tx.errors import OperatingError
from stunnel_tx.service.option_numbers import option_number
from stunnel_tx.telemetry import events
from stunnel_tx.tunnel.sockets import OptionSetting, address_text, apply_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twisted.internet.interfaces import IAddress, IProtocolFactory

    from stunnel_tx.configuration.socket_options import SocketOption
    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tunnel.destination import SocketAddress


def option_settings(options: Iterable[SocketOption], side: str) -> tuple[OptionSetting, ...]:
    """The ``setsockopt`` calls for one *side* (a, l or r), UDP's own options left out.

    Raises OperatingError for an option this system does not have.
    """
    return tuple(
        _setting(option)
        for option in options
        if option.side == side and not option.name.startswith("UDP_")
    )


def _setting(option: SocketOption) -> OptionSetting:
    numbers = option_number(option.name)
    if numbers is None:
        message = f"socket option {option.name} is not known to this system; remove the line"
        raise OperatingError(message)
    return OptionSetting(option.name, *numbers, _packed(option))


def _packed(option: SocketOption) -> int | bytes:
    value = option.value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape") + b"\0"
    if isinstance(value, tuple):
        # struct linger has two ints, struct timeval two longs.
        return struct.pack("ii" if option.name == "SO_LINGER" else "ll", *value)
    return int(value)


@frozen
class UnixOwner:
    """Who gets a UNIX listening socket; -1 leaves that part alone."""

    uid: int = -1
    gid: int = -1


@implementer(IListeningPort)
class OwnedPort:
    """A listening socket whose connections are accepted by whoever took :attr:`socket`."""

    def __init__(self, sock: socket.socket, path: str | None) -> None:
        self.socket = sock
        self._path = path

    def startListening(self) -> None:
        """Nothing to do: the socket listens."""

    def stopListening(self) -> defer.Deferred[None]:
        """Close the socket; a UNIX socket's name goes with it."""
        self.socket.close()
        if self._path is not None:
            Path(self._path).unlink(missing_ok=True)
            self._path = None
        return defer.succeed(None)

    def getHost(self) -> IAddress:
        """The address it listens on."""
        name: Any = self.socket.getsockname()
        if self.socket.family == socket.AF_INET:
            return IPv4Address("TCP", *name)
        if self.socket.family == socket.AF_INET6:
            return IPv6Address("TCP", *name)
        return UNIXAddress(name)


@implementer(IStreamServerEndpoint)
@frozen
class SocketEndpoint:
    """One resolved ``accept`` address; two equal ones can share a socket over a reload."""

    address: SocketAddress
    options: tuple[OptionSetting, ...] = ()
    owner: UnixOwner = UnixOwner()

    def __str__(self) -> str:
        return address_text(self.address.address)

    def listen(self, factory: IProtocolFactory) -> defer.Deferred[IListeningPort]:
        """Listen; the Deferred has fired already, with an :class:`OwnedPort` or OSError."""
        return defer.execute(self._listen)

    def _listen(self) -> OwnedPort:
        family = self.address.family
        sock = socket.socket(family, socket.SOCK_STREAM)
        path = self.address.address if family == socket.AF_UNIX else None
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:
                # Both wildcard addresses can be bound then, whatever the system's default.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            for setting in self.options:
                if path is None or setting.level == socket.SOL_SOCKET:
                    _set_option(sock, setting)
            if path is not None:
                _remove_stale(path)
            sock.bind(self.address.address)
            self._own()
            sock.listen(socket.SOMAXCONN)
        except BaseException:
            sock.close()
            raise
        return OwnedPort(sock, path)

    def _own(self) -> None:
        """Give a UNIX socket's name to its owner."""
        if self.address.family == socket.AF_UNIX and self.owner != UnixOwner():
            os.lchown(self.address.address, self.owner.uid, self.owner.gid)

    def fit(self, sock: socket.socket, scope: Scope) -> None:
        """Give *sock*, which listens at this address already, our options and owner.

        What cannot be changed any more is a warning: closing a listener for it would cost
        connections.
        """
        settings = self.options if self.address.family != socket.AF_UNIX else ()
        apply_options(sock, settings, scope, "accept")
        try:
            self._own()
        except OSError as error:
            scope(events.SOCKET_OPTION, "the owner", self, error.strerror)


def _set_option(sock: socket.socket, setting: OptionSetting) -> None:
    try:
        sock.setsockopt(setting.level, setting.option, setting.value)
    except OSError as error:
        reason = f"'socket = a:{setting.name}': {error.strerror}"
        raise OSError(error.errno, reason) from error


def _remove_stale(path: str) -> None:
    """Remove a socket file that nobody listens on any more; anything else stays."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            code = probe.connect_ex(path)
        if code == errno.ECONNREFUSED:
            Path(path).unlink()
    except FileNotFoundError:
        return
