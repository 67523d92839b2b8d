"""Tests of the listening addresses of a process: what overlaps, and what cannot be had."""

from __future__ import annotations

import socket

from stunnel_tx.configuration.addresses import EndpointString, HostPort, UnixPath
from stunnel_tx.errors import OperatingError
from stunnel_tx.telemetry.levels import INFO, NOTICE
from stunnel_tx.tunnel.sockets import OptionSetting
from tests.doubles.private_reactor import open_descriptors
from tests.doubles.socket_paths import socket_path
from tests.service.test_listening import ListeningCase, loopback

#: Set by default; without it, a connection that stands keeps the port from others.
REUSE = OptionSetting("SO_REUSEADDR", socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


class TakenOverTests(ListeningCase):
    """Addresses that overlap with one that goes: a port can be had once only."""

    def port(self) -> int:
        """A free port on every address of the machine."""
        with socket.create_server(("", 0)) as sock:
            return int(sock.getsockname()[1])

    def bind(self, host: str, port: int) -> HostPort:
        """An address on *host*."""
        return HostPort(host, port, f"{host}:{port}")

    def test_one_address_to_all_and_back(self) -> None:
        """The new listener takes over when the plan is served, and not a moment before."""
        port = self.port()
        (first,) = self.serve(self.blueprint(self.bind("127.0.0.1", port), accept_options=(REUSE,)))
        for host in ("0.0.0.0", "127.0.0.1"):
            blueprint = self.blueprint(self.bind(host, port), accept_options=(REUSE,))
            plan = self.listeners.prepare([blueprint])
            self.assertNotEqual(first.fd, -1, "still there")
            self.listeners.serve(plan)
            self.listeners.start()
            (second,) = self.listeners
            self.assertEqual((first.fd, second.where()), (-1, f"{host}:{port}"))
            self.assertEqual(self.lines(INFO)[-1].rpartition(" ")[2], f"{host}:{port}")
            self.dial(second)
            self.rig.loop.settle()
            first = second
        self.assertEqual(len(self.rig.runtime.tunnels), 2)
        self.assertNotIn("Binding", " ".join(self.log.texts))

    def test_discarded(self) -> None:
        """A plan that is not served has taken nothing over."""
        port = self.port()
        (first,) = self.serve(self.blueprint(self.bind("127.0.0.1", port)))
        mine = open_descriptors()
        self.listeners.discard(self.listeners.prepare([self.blueprint(self.bind("0.0.0.0", port))]))
        self.assertEqual((first.where(), open_descriptors()), (f"127.0.0.1:{port}", mine))

    def test_in_two_services(self) -> None:
        """A place that a kept listener has is not free; the reload is refused."""
        port = self.port()
        (first,) = self.serve(self.blueprint(self.bind("127.0.0.1", port)))
        blueprints = [
            self.blueprint(self.bind("127.0.0.1", port)),
            self.blueprint(self.bind("0.0.0.0", port), name="b"),
        ]
        error = self.assertRaises(OperatingError, self.listeners.prepare, blueprints)
        self.assertIn(f"Service [b]: cannot listen on 0.0.0.0:{port}: Address", str(error))
        self.assertEqual(list(self.listeners), [first])
        self.assertNotEqual(first.fd, -1)

    def test_cannot_be_taken_over(self) -> None:
        """When the new address cannot be had after all, the old one is there again, and works."""
        port = self.port()
        (first,) = self.serve(self.blueprint(self.bind("127.0.0.1", port)))
        self.listeners.start()
        other = socket.socket()
        self.rig.open.append(other)
        other.bind(("127.0.0.2", port))
        other.listen(1)
        plan = self.listeners.prepare([self.blueprint(self.bind("0.0.0.0", port))])
        mine = open_descriptors()
        error = self.assertRaises(OperatingError, self.listeners.serve, plan)
        self.listeners.discard(plan)
        self.assertIn(f"cannot listen on 0.0.0.0:{port}", str(error))
        self.assertEqual(len(open_descriptors()), len(mine))
        self.assertEqual([each.where() for each in self.listeners], [f"127.0.0.1:{port}"])
        self.dial(first)
        self.rig.loop.settle()
        self.assertEqual(len(self.rig.runtime.tunnels), 1)

    def test_between_addresses_and_strings(self) -> None:
        """A port passes between stunnel's addresses and strings, and the path of a socket too."""
        port, path = self.port(), socket_path()
        tcp = EndpointString("tcp", f"tcp:{port}:interface=127.0.0.1")
        address = self.bind("127.0.0.1", port)
        for accept in (
            (address, EndpointString("unix", f"unix:{path}")),
            (tcp, UnixPath(path)),
            (address, UnixPath(path)),
        ):
            found = self.serve(self.blueprint(*accept))
            self.assertEqual([each.where() for each in found], [f"127.0.0.1:{port}", path])
            self.assertNotIn(-1, [each.fd for each in found])


class MissingTests(ListeningCase):
    """Addresses that a service has to do without."""

    def test_lost_by_a_reload(self) -> None:
        """A new address that cannot be had fails the reload, though another one can."""
        (first,) = self.serve(self.blueprint(loopback()))
        taken = self.taken()
        error = self.assertRaises(
            OperatingError, self.listeners.prepare, [self.blueprint(loopback(), taken)]
        )
        self.assertIn(f"cannot listen on {taken}: Address already in use (98)", str(error))
        self.assertEqual(list(self.listeners), [first])

    def test_missing_from_the_start(self) -> None:
        """What was missing before is no reason against a reload, however often."""
        blueprint = self.blueprint(self.taken(), loopback())
        for _ in range(3):
            (listener,) = self.serve(blueprint)
            self.assertNotEqual(listener.fd, -1)
        self.assertEqual(len(self.lines(NOTICE)), 3)

    def test_not_on_this_machine(self) -> None:
        """An address of a kind that the machine has not got is left out, by a reload too."""
        absent = HostPort("192.0.2.1", 0, "192.0.2.1:0")
        self.serve(self.blueprint(loopback()))
        (listener,) = self.serve(self.blueprint(loopback(), absent))
        self.assertTrue(listener.where().startswith("127.0.0.1:"))
        self.assertEqual(len(self.lines(NOTICE)), 1)

    def test_socket_option(self) -> None:
        """An option that cannot be set is named, and no other program is looked for."""
        wrong = OptionSetting("SO_SNDBUF", socket.SOL_SOCKET, 9999, 1)
        blueprint = self.blueprint(loopback(), accept_options=(wrong,))
        error = self.assertRaises(OperatingError, self.listeners.prepare, [blueprint])
        self.assertTrue(str(error).endswith("see the lines above"), error)
        line = "'socket = a:SO_SNDBUF': Protocol not available (92)"
        self.assertEqual(self.lines(NOTICE), [f"Binding service [test] to 127.0.0.1:0: {line}"])
