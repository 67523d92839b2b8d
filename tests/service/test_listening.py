"""Tests of the listening addresses of a process: all or none, and kept over reloads."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.addresses import Address, EndpointString, HostPort, UnixPath
from stunnel_tx.configuration.model import Place
from stunnel_tx.errors import OperatingError
from stunnel_tx.negotiation.proxy_senders import EVERYBODY
from stunnel_tx.service import listening
from stunnel_tx.service.build import Blueprint
from stunnel_tx.service.listening import Listeners
from stunnel_tx.service.sockets import UnixOwner
from stunnel_tx.telemetry.levels import ERR, INFO, NOTICE
from stunnel_tx.tunnel.sockets import OptionSetting
from tests.doubles.private_reactor import PrivateReactor, open_descriptors
from tests.doubles.socket_paths import socket_path
from tests.doubles.tunnels import TunnelRig, certificate_file

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort, IProtocolFactory

    from stunnel_tx.service.listener import Listener


def loopback(port: int = 0) -> HostPort:
    """An address on 127.0.0.1."""
    return HostPort("127.0.0.1", port, f"127.0.0.1:{port}")


class SlowEndpoint:
    """An endpoint that listens when it is told to."""

    def __init__(self) -> None:
        self.ready: Deferred[IListeningPort] = Deferred()

    def __str__(self) -> str:
        return "slow:endpoint"

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """The Deferred, not fired yet."""
        return self.ready


class ListeningCase(SynchronousTestCase):
    """Listeners on a polled loop; no descriptor is left over."""

    def setUp(self) -> None:
        certificate_file()
        self.before = open_descriptors()
        self.turner = PrivateReactor()
        self.rig = TunnelRig()
        self.rig.runtime.reactor = self.turner.reactor
        self.log = self.rig.log
        self.listeners = Listeners(self.rig.runtime, self.log.scope)

    def tearDown(self) -> None:
        self.listeners.close()
        self.rig.close()
        self.rig.loop.close()
        self.turner.turn()
        self.turner.close()
        self.assertEqual(open_descriptors(), self.before)

    def blueprint(self, *accept: Address, name: str = "test", **values: Any) -> Blueprint:
        """A service that listens on *accept*."""
        made = Blueprint(name, tuple(accept), (), UnixOwner(), self.rig.policy)
        return evolve(made, **values)

    def taken(self) -> HostPort:
        """An address that somebody else listens on until the end of the test."""
        sock = socket.create_server(("127.0.0.1", 0))
        self.rig.open.append(sock)
        return loopback(sock.getsockname()[1])

    def serve(self, *blueprints: Blueprint) -> list[Listener]:
        """Prepare and serve; the listeners in force."""
        self.listeners.serve(self.listeners.prepare(blueprints))
        return list(self.listeners)

    def dial(self, listener: Listener) -> socket.socket:
        """A connection to *listener*."""
        sock = socket.create_connection(("127.0.0.1", int(listener.where().rpartition(":")[2])))
        self.rig.open.append(sock)
        return sock

    def lines(self, level: int) -> list[str]:
        """The log at exactly *level*."""
        return [text for found, _, text in self.log.lines if found == level]


class OpeningTests(ListeningCase):
    """From addresses to listeners."""

    def test_bound(self) -> None:
        """Each address is a listener and a line, whose last word is the address with its port."""
        first, second = self.serve(self.blueprint(loopback(), loopback()))
        self.assertEqual(
            self.lines(INFO),
            [f"Service [test] (FD={each.fd}) bound to {each.where()}" for each in (first, second)],
        )
        self.assertNotEqual(first.where(), second.where())

    def test_accepts_from_the_start_on(self) -> None:
        """Before the start a connection waits in the queue; it is not lost."""
        (listener,) = self.serve(self.blueprint(loopback()))
        self.dial(listener)
        self.rig.loop.settle()
        self.assertFalse(self.rig.runtime.tunnels)
        self.listeners.start()
        self.rig.loop.settle()
        self.assertEqual(len(self.rig.runtime.tunnels), 1)

    def test_unix(self) -> None:
        """A path is a UNIX socket, shown as it is."""
        path = socket_path()
        (listener,) = self.serve(self.blueprint(UnixPath(path)))
        self.assertEqual(listener.where(), path)

    def test_reached_by_name_only(self) -> None:
        """A service without an address of its own needs no listener."""
        self.assertEqual(self.serve(self.blueprint(name="b")), [])

    def test_one_address_is_taken(self) -> None:
        """A service that gets some of its addresses works on those; the other has a line."""
        taken = self.taken()
        (listener,) = self.serve(self.blueprint(taken, loopback()))
        self.assertNotEqual(listener.where(), str(taken))
        line = f"Binding service [test] to {taken}: Address already in use (98)"
        self.assertEqual(self.lines(NOTICE), [line])

    def test_every_address_is_taken(self) -> None:
        """A service without any address is an error, told as stunnel tells it."""
        blueprint = self.blueprint(self.taken())
        error = self.assertRaises(OperatingError, self.listeners.prepare, [blueprint])
        self.assertIn("Service [test]: none of its addresses could be bound", str(error))
        self.assertEqual(self.lines(ERR), ["Binding service [test] failed"])

    def test_place_of_an_address(self) -> None:
        """Errors begin with the line of the address: at the start, and on a reload."""
        taken = self.taken()
        places = (Place("f", 3), Place("f", 7))
        text = EndpointString("tcp", f"tcp:{taken.port}:interface=127.0.0.1")
        blueprint = self.blueprint(text, places=places)
        error = self.assertRaises(OperatingError, self.listeners.prepare, [blueprint])
        self.assertTrue(str(error).startswith("f:3: Service [test]: none of"), str(error))
        self.serve(self.blueprint(loopback()))
        for address in (taken, text):
            blueprint = self.blueprint(loopback(), address, places=places)
            error = self.assertRaises(OperatingError, self.listeners.prepare, [blueprint])
            self.assertTrue(str(error).startswith("f:7: Service [test]: cannot listen"), str(error))

    def test_same_port_twice(self) -> None:
        """The same port in two services is the system's error, not one listener for both."""
        (listener,) = self.serve(self.blueprint(loopback()))
        address = loopback(int(listener.where().rpartition(":")[2]))
        self.listeners.close()
        blueprints = [self.blueprint(address), self.blueprint(address, name="b")]
        error = self.assertRaises(OperatingError, self.listeners.prepare, blueprints)
        self.assertIn("Service [b]", str(error))

    def test_unknown_host(self) -> None:
        """A host that does not resolve is named with its service."""

        def unknown(*_arguments: object, **_more: object) -> None:
            raise OperatingError("Name or service not known")

        self.patch(listening, "look_up", unknown)
        blueprint = self.blueprint(HostPort("a.example", 1, "a.example:1"))
        error = self.assertRaises(OperatingError, self.listeners.prepare, [blueprint])
        self.assertEqual(
            str(error),
            'Service [test]: Cannot resolve accept target "a.example:1": Name or service not known',
        )

    def test_options_and_owner(self) -> None:
        """Socket options of the service are set on what it listens with."""
        keep_alive = OptionSetting("SO_KEEPALIVE", socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        (listener,) = self.serve(self.blueprint(loopback(), accept_options=(keep_alive,)))
        assert listener._socket is not None
        self.assertEqual(listener._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)


class AllOrNothingTests(ListeningCase):
    """What happens where a part of a configuration cannot be opened."""

    def test_first_start(self) -> None:
        """What was opened before the failure is closed again."""
        blueprints = [self.blueprint(loopback()), self.blueprint(self.taken(), name="b")]
        mine = open_descriptors()
        self.assertRaises(OperatingError, self.listeners.prepare, blueprints)
        self.assertEqual(open_descriptors(), mine)

    def test_failure_inside_a_service(self) -> None:
        """So it is where the second address of one service is the one that is wrong."""
        wrong = EndpointString("tcp", "tcp:x")
        mine = open_descriptors()
        error = self.assertRaises(
            OperatingError, self.listeners.prepare, [self.blueprint(loopback(), wrong)]
        )
        self.assertIn("endpoint tcp:x: ", str(error))
        self.assertEqual(open_descriptors(), mine)

    def test_reload(self) -> None:
        """A reload that fails leaves the listeners in force, and opens nothing for good."""
        (listener,) = self.serve(self.blueprint(loopback()))
        fd, where = listener.fd, listener.where()
        mine = open_descriptors()
        blueprints = [
            self.blueprint(loopback()),
            self.blueprint(loopback(), name="new"),
            self.blueprint(EndpointString("tcp", "tcp:x"), name="b"),
        ]
        self.assertRaises(OperatingError, self.listeners.prepare, blueprints)
        self.assertEqual([(each.fd, each.where()) for each in self.listeners], [(fd, where)])
        self.assertEqual(open_descriptors(), mine)

    def test_prepared_is_not_in_force(self) -> None:
        """Until it is served a plan has changed nothing for anybody."""
        (listener,) = self.serve(self.blueprint(loopback()))
        plan = self.listeners.prepare([self.blueprint(UnixPath(socket_path()))])
        self.assertEqual(list(self.listeners), [listener])
        self.listeners.serve(plan)
        self.assertEqual(listener.fd, -1, "closed, since it is no part of the plan")


class KeptTests(ListeningCase):
    """Addresses that a new configuration has as well."""

    def test_same_address(self) -> None:
        """The listener stays, works for the new policy, and is told as bound once more."""
        (listener,) = self.serve(self.blueprint(loopback()))
        fd = listener.fd
        policy = evolve(self.rig.policy, name="renamed")
        (again,) = self.serve(self.blueprint(loopback(), name="renamed", policy=policy))
        self.assertIs(again, listener)
        self.assertEqual((again.fd, again.policy), (fd, policy))
        bound = [text for text in self.log.texts if " bound to " in text]
        self.assertEqual(len(bound), 2)
        self.assertIn("Service [renamed]", bound[1])

    def test_new_policy_waits_for_the_rest(self) -> None:
        """While a plan is only prepared, a kept listener works for the old policy."""
        (listener,) = self.serve(self.blueprint(loopback()))
        policy = evolve(self.rig.policy, name="renamed")
        plan = self.listeners.prepare([self.blueprint(loopback(), policy=policy)])
        self.assertIs(listener.policy, self.rig.policy)
        self.listeners.serve(plan)
        self.assertIs(listener.policy, policy)

    def test_removed_and_added(self) -> None:
        """What is new is opened, what is gone is closed, and nothing else is touched."""
        path, other = UnixPath(socket_path()), UnixPath(socket_path())
        kept, gone = self.serve(self.blueprint(loopback(), path))
        fd = kept.fd
        first, added = self.serve(self.blueprint(loopback(), other))
        self.assertIs(first, kept)
        self.assertEqual((kept.fd, gone.fd), (fd, -1))
        self.assertEqual(added.where(), other.path)

    def test_two_of_the_same(self) -> None:
        """Of two listeners with port 0 one is kept, and one opened anew."""
        first, second = self.serve(self.blueprint(loopback(), loopback()))
        after = self.serve(self.blueprint(loopback(), loopback()))
        self.assertIs(after[0], first)
        self.assertEqual(len({each.where() for each in after}), 2)
        self.assertNotIn(-1, [each.fd for each in after])
        self.assertEqual(second.fd, -1)


class EndpointStringTests(ListeningCase):
    """Addresses that are strings of Twisted's."""

    def test_plain_socket(self) -> None:
        """A tcp: string is a listening socket like any other."""
        (listener,) = self.serve(self.blueprint(EndpointString("tcp", "tcp:0:interface=127.0.0.1")))
        self.assertGreater(listener.fd, -1)
        self.assertRegex(self.lines(INFO)[0], r"bound to 127\.0\.0\.1:\d+$")

    def test_unix_life(self) -> None:
        """The file of a unix: string goes with the listener, at once and in any case."""
        path = socket_path()
        for _ in range(2):
            self.serve(self.blueprint(EndpointString("unix", f"unix:{path}")))
            self.assertTrue(Path(path).exists())
            self.listeners.close()
            self.assertFalse(Path(path).exists())
        (listener,) = self.serve(self.blueprint(EndpointString("unix", f"unix:{path}")))
        Path(path).unlink()
        self.listeners.close()
        self.assertEqual(listener.fd, -1)

    def test_without_an_address(self) -> None:
        """A port that has no address is called as the configuration calls it."""
        slow = SlowEndpoint()
        self.patch(listening, "server_endpoint", lambda *_: slow)
        self.serve(self.blueprint(EndpointString("stdio", "stdio:")))
        self.assertEqual(self.lines(INFO), ["Service [test] (FD=-1) bound to stdio:"])

    def test_behind_a_balancer(self) -> None:
        """Behind haproxy: everybody is to send a header, over a reload as well, and only there."""
        text = "haproxy:tcp:0:interface=127.0.0.1"
        blueprint = self.blueprint(loopback(), EndpointString("haproxy", text))
        for _ in range(2):
            plain, balanced = self.serve(blueprint)
            self.assertIs(plain.policy, self.rig.policy)
            assert balanced.policy.negotiation is not None
            self.assertEqual(balanced.policy.negotiation.accept_proxy, EVERYBODY)

    def test_takes_its_time(self) -> None:
        """An endpoint that is not ready counts as opened, and accepts when it is ready."""
        slow = SlowEndpoint()
        self.patch(listening, "server_endpoint", lambda *_: slow)
        (listener,) = self.serve(self.blueprint(EndpointString("slow", "slow:endpoint")))
        self.listeners.start()
        self.assertEqual(listener.fd, -1)
        real = TCP4ServerEndpoint(self.turner.reactor, 0, interface="127.0.0.1")
        port: IListeningPort = self.successResultOf(real.listen(Factory()))
        slow.ready.callback(port)
        address: Any = port.getHost()
        self.assertIn(str(address.port), listener.where())

    def test_fails_later(self) -> None:
        """If nothing comes of it, that is a line, and not the end of the program."""
        slow = SlowEndpoint()
        self.patch(listening, "server_endpoint", lambda *_: slow)
        self.serve(self.blueprint(EndpointString("slow", "slow:endpoint")))
        slow.ready.errback(OSError(13, "Permission denied"))
        line = "Binding service [test] to slow:endpoint: Permission denied (13)"
        self.assertEqual(self.lines(NOTICE), [line])
