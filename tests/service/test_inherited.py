"""Tests of listening sockets that the process was started with."""

from __future__ import annotations

import os
import socket
from typing import Any

from attrs import frozen
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.addresses import EndpointString, HostPort
from stunnel_tx.errors import OperatingError
from stunnel_tx.service import inherited
from stunnel_tx.service.inherited import (
    InheritedEndpoint,
    InheritedSocket,
    announced,
    forget,
    given_away,
)
from stunnel_tx.tunnel.sockets import OptionSetting
from tests.doubles.applications import ApplicationTestCase
from tests.doubles.recording import Recording

ADDRESS = HostPort("127.0.0.1", 1, "127.0.0.1:1")


@frozen
class Listening:
    """As much of a blueprint as matters here."""

    accept: tuple[object, ...]


class AnnouncedTests(SynchronousTestCase):
    """LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES."""

    def setUp(self) -> None:
        self.sock = socket.socket()
        self.addCleanup(self.sock.close)
        self.patch(inherited, "FIRST", self.sock.fileno())

    def environment(self, **changes: str) -> dict[str, str]:
        """What systemd sets, with *changes*."""
        return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "OTHER": "x"} | changes

    def test_taken(self) -> None:
        """The descriptor is ours, and no program that is run gets it."""
        self.sock.set_inheritable(True)
        self.assertEqual(announced(self.environment()), (InheritedSocket(self.sock.fileno()),))
        self.assertFalse(self.sock.get_inheritable())

    def test_nothing(self) -> None:
        """Another process's announcement, no announcement and nonsense are nothing."""
        for changes in (
            {"LISTEN_PID": "1"},
            {"LISTEN_PID": ""},
            *({"LISTEN_FDS": count} for count in ("", "0", "x", "-1", "99999")),
        ):
            self.assertEqual(announced(self.environment(**changes)), (), changes)
        self.assertEqual(announced({}), ())

    def test_descriptor_that_is_not_open(self) -> None:
        """What is announced has to be there."""
        self.sock.close()
        error = self.assertRaises(OperatingError, announced, self.environment())
        self.assertIn("LISTEN_FDS=1", str(error))

    def test_names(self) -> None:
        """Names are left alone; missing ones are made up, as Twisted insists on them."""
        named, unnamed = self.environment(LISTEN_FDNAMES="web"), self.environment()
        announced(named)
        announced(unnamed)
        self.assertEqual((named["LISTEN_FDNAMES"], unnamed["LISTEN_FDNAMES"]), ("web", "unknown"))

    def test_forgotten(self) -> None:
        """Afterwards nothing of it is in the environment."""
        environ = self.environment(LISTEN_FDNAMES="web")
        forget(environ)
        self.assertEqual(environ, {"OTHER": "x"})


class GivenAwayTests(SynchronousTestCase):
    """Which section gets which socket."""

    def give(self, count: int, *accepts: tuple[object, ...]) -> list[tuple[object, ...]]:
        """The addresses of sections with *accepts* after *count* sockets were given away."""
        sockets = [InheritedSocket(3 + number) for number in range(count)]
        sections: list[Any] = [Listening(accept) for accept in accepts]
        return [each.accept for each in given_away(sections, sockets)]

    def test_order(self) -> None:
        """The n-th section that listens gets the n-th; one without accept is passed over."""
        found = self.give(2, (ADDRESS, ADDRESS), (), (ADDRESS,), (ADDRESS,))
        self.assertEqual(found, [(InheritedSocket(3),), (), (InheritedSocket(4),), (ADDRESS,)])

    def test_too_many(self) -> None:
        """More sockets than sections is a mistake in the unit."""
        error = self.assertRaises(OperatingError, self.give, 2, (ADDRESS,), ())
        self.assertIn("2 sockets, and 1 sections", str(error))

    def test_strings_of_twisted(self) -> None:
        """Where a string names its socket, none is given away, not even too many."""
        for text in ("systemd:domain=INET:index=0", "haproxy:systemd:domain=INET:index=0"):
            accepts = ((EndpointString("systemd", text),), (ADDRESS,))
            self.assertEqual(self.give(3, *accepts), list(accepts))


class EndpointTests(SynchronousTestCase):
    """Listening on what listens."""

    def test_listens(self) -> None:
        """The port has a descriptor of its own, so that a reload finds the first one open."""
        with socket.create_server(("127.0.0.1", 0)) as sock:
            options = (OptionSetting("SO_KEEPALIVE", socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),)
            endpoint = InheritedEndpoint(InheritedSocket(sock.fileno()), options)
            port: Any = self.successResultOf(endpoint.listen(Factory()))
            self.assertEqual(port.getHost().port, sock.getsockname()[1])
            self.assertNotEqual(port.socket.fileno(), sock.fileno())
            self.assertFalse(port.socket.getblocking())
            self.assertEqual(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
            port.stopListening()
            self.assertGreaterEqual(os.fstat(sock.fileno()).st_ino, 0)

    def test_wrong_kinds(self) -> None:
        """Datagrams and sockets that do not listen are refused with the remedy."""
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as sock:
                endpoint = InheritedEndpoint(InheritedSocket(sock.fileno()))
                failure = self.failureResultOf(endpoint.listen(Factory()), OperatingError)
                self.assertIn("Accept=no", failure.getErrorMessage())

    def test_options_of_a_reload(self) -> None:
        """New options reach the socket."""
        setting = OptionSetting("SO_KEEPALIVE", socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with socket.create_server(("127.0.0.1", 0)) as sock:
            endpoint = InheritedEndpoint(InheritedSocket(sock.fileno()), (setting,))
            endpoint.fit(sock, Recording().scope)
            self.assertEqual(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
        self.assertIn("inherited descriptor", str(endpoint))


class ApplicationTests(ApplicationTestCase):
    """A whole application under socket activation."""

    def test_serves_what_it_inherits(self) -> None:
        """The inherited socket is served in place of the address, over reloads and rebinds too."""
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
            self.patch(inherited, "FIRST", sock.fileno())
            environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
            for name, value in environ.items():
                self.patch(os, "environ", os.environ | {name: value})
            accept = "127.0.0.1:1"
            self.rig.run(self.rig.service(accept=accept), self.rig.service(name="b"))
            self.assertNotIn("LISTEN_FDS", os.environ)
            texts = self.rig.log.texts
            self.assertIn("Systemd socket activation: 1 descriptors received", texts)
            self.assertEqual(self.rig.application.addresses()[0], f"127.0.0.1:{port}")
            self.talk()
            fds = self.rig.fds()
            self.rig.reload()
            self.assertEqual(self.rig.fds()[0], fds[0])
            self.talk()
