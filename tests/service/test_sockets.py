"""Tests of listening sockets and of socket options as calls."""

from __future__ import annotations

import os
import socket
import stat
import struct
from pathlib import Path

from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from stunnel_tx.configuration.socket_options import SocketOption, parse_socket_option
from stunnel_tx.errors import OperatingError
from stunnel_tx.service.sockets import OwnedPort, SocketEndpoint, UnixOwner, option_settings
from stunnel_tx.tunnel.destination import SocketAddress
from stunnel_tx.tunnel.sockets import OptionSetting
from tests.doubles.socket_paths import socket_path


class OptionTests(SynchronousTestCase):
    """``socket = side:NAME=VALUE``."""

    def settings(self, *texts: str, side: str = "l") -> tuple[OptionSetting, ...]:
        """The calls for one side."""
        return option_settings([each for text in texts for each in parse_socket_option(text)], side)

    def test_sides(self) -> None:
        """Each side gets its own options, in their order."""
        texts = ("l:TCP_NODELAY=1", "r:SO_KEEPALIVE=1", "l:SO_KEEPALIVE=0")
        names = [each.name for each in self.settings(*texts)]
        self.assertEqual(names, ["TCP_NODELAY", "SO_KEEPALIVE"])

    def test_values(self) -> None:
        """Numbers, structures and names come in the kernel's form, and it takes them."""
        made = self.settings("l:TCP_NODELAY=1", "l:SO_LINGER=1:60", "l:SO_RCVTIMEO=5:10")
        values = [each.value for each in made]
        self.assertEqual(values, [1, struct.pack("ii", 1, 60), struct.pack("ll", 5, 10)])
        with socket.socket() as sock:
            for each in made:
                sock.setsockopt(each.level, each.option, each.value)
            self.assertEqual(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 1)

    def test_unknown_to_the_system(self) -> None:
        """An option that this system lacks is refused with a remedy."""
        option = SocketOption("l", "SO_NO_SUCH_THING", 1)
        error = self.assertRaises(OperatingError, option_settings, [option], "l")
        self.assertIn("remove the line", str(error))


class EndpointTests(SynchronousTestCase):
    """One address to listen on."""

    def listen(self, endpoint: SocketEndpoint) -> OwnedPort:
        """The port, closed at the end of the test."""
        port = self.successResultOf(endpoint.listen(Factory()))
        assert isinstance(port, OwnedPort)
        self.addCleanup(port.stopListening)
        return port

    def unix(self, path: str, owner: UnixOwner = UnixOwner()) -> SocketEndpoint:  # noqa: B008 - frozen
        """An endpoint on a UNIX path."""
        return SocketEndpoint(SocketAddress(int(socket.AF_UNIX), path), owner=owner)

    def test_interfaces(self) -> None:
        """Endpoint and port are what Twisted understands by these words."""
        endpoint = SocketEndpoint(SocketAddress(2, ("127.0.0.1", 0)))
        verifyObject(IStreamServerEndpoint, endpoint)
        port = self.listen(endpoint)
        verifyObject(IListeningPort, port)
        port.startListening()
        self.assertEqual(port.getHost().port, port.socket.getsockname()[1])  # type: ignore[attr-defined]

    def test_options_before_bind(self) -> None:
        """The options of the accepting side are set on the listening socket."""
        reuse = OptionSetting("SO_REUSEADDR", socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = self.listen(SocketEndpoint(SocketAddress(2, ("127.0.0.1", 0)), (reuse,)))
        self.assertEqual(port.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR), 1)
        self.assertEqual(port.socket.gettimeout(), 0.0)

    def test_both_wildcards(self) -> None:
        """The wildcards of IPv4 and IPv6 can be bound with the same port."""
        four = self.listen(SocketEndpoint(SocketAddress(socket.AF_INET, ("0.0.0.0", 0))))
        number = four.socket.getsockname()[1]
        six = self.listen(SocketEndpoint(SocketAddress(socket.AF_INET6, ("::", number, 0, 0))))
        self.assertEqual(six.getHost().host, "::")  # type: ignore[attr-defined]

    def test_in_use(self) -> None:
        """A port that is taken is the system's error, and no descriptor is left."""
        port = self.listen(SocketEndpoint(SocketAddress(2, ("127.0.0.1", 0))))
        again = SocketEndpoint(SocketAddress(2, port.socket.getsockname()))
        self.assertEqual(self.failureResultOf(again.listen(Factory()), OSError).value.errno, 98)

    def test_unix_life(self) -> None:
        """The file comes with the socket and goes with it, once."""
        path = socket_path()
        port = self.listen(self.unix(path, UnixOwner(os.getuid(), os.getgid())))
        self.assertTrue(stat.S_ISSOCK(Path(path).stat().st_mode))
        self.assertEqual(port.getHost().name, os.fsencode(path))  # type: ignore[attr-defined]
        port.stopListening()
        self.assertFalse(Path(path).exists())
        Path(path).write_text("somebody else's")
        port.stopListening()
        self.assertTrue(Path(path).exists())

    def test_unix_stale_live_and_plain(self) -> None:
        """A dead socket's file is replaced, a live one's and any other file refused."""
        stale = socket_path()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(stale)
        self.listen(self.unix(stale))
        plain = socket_path()
        Path(plain).write_text("precious")
        for taken in (stale, plain):
            self.failureResultOf(self.unix(taken).listen(Factory()), OSError)
            self.assertTrue(Path(taken).exists())

    def test_unix_too_long(self) -> None:
        """A path that no socket can have is an OSError like others."""
        self.failureResultOf(self.unix("/" + "x" * 200).listen(Factory()), OSError)

    def test_equality(self) -> None:
        """Equal addresses and options are equal endpoints: a reload keeps the socket."""
        one, same, other = (
            SocketEndpoint(SocketAddress(2, ("127.0.0.1", port))) for port in (1, 1, 2)
        )
        self.assertEqual(len({one, same, other}), 2)
        self.assertEqual(str(one), "127.0.0.1:1")
