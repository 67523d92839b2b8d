"""Tests of finding and connecting the remote side."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import DeadlineExceeded, OperatingError, PeerRefused
from stunnel_tx.relay.loop import WRITE
from stunnel_tx.telemetry.levels import DEBUG, ERR, NOTICE
from stunnel_tx.tunnel.destination import (
    MAX_TARGETS,
    AddressTarget,
    Connector,
    Destination,
    NameTarget,
    SocketAddress,
)
from stunnel_tx.tunnel.sockets import OptionSetting
from stunnel_tx.tunnel.task import Cancelled
from tests.doubles.socket_paths import socket_path
from tests.doubles.tasks import DrivenTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tunnel.destination import Target
    from stunnel_tx.tunnel.task import Task

CONNECTOR = Connector((), 10.0)
V4_SOURCE = SocketAddress(socket.AF_INET, ("127.0.0.2", 0))
V6_SOURCE = SocketAddress(socket.AF_INET6, ("::1", 0, 0, 0))


def seen(driven: DrivenTask) -> list[str]:
    """The lines that an operator sees at the default level."""
    return [text for level, _, text in driven.log.lines if level <= NOTICE]


class FakeTarget:
    """A target that notes being tried, and gives a socket or raises."""

    def __init__(self, name: str, tried: list[str], answer: object) -> None:
        self._name = name
        self._tried = tried
        self._answer = answer

    def __str__(self) -> str:
        return self._name

    async def open(self, task: Task, connector: Connector, scope: Scope) -> socket.socket:
        """Note and answer."""
        self._tried.append(self._name)
        if isinstance(self._answer, socket.socket):
            return self._answer
        assert isinstance(self._answer, BaseException)
        raise self._answer


class FakeResolver:
    """A resolver with one answer; ``asked`` holds what was looked up."""

    def __init__(self, answer: Sequence[SocketAddress] | Exception) -> None:
        self._answer = answer
        self.asked: list[tuple[str, int | str]] = []

    async def resolve(self, task: Task, host: str, port: int | str) -> Sequence[SocketAddress]:
        """Answer after a second."""
        self.asked.append((host, port))
        await task.sleep(1)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Places(SynchronousTestCase):
    """Servers that answer, refuse and hang."""

    def listening(self, backlog: int = 5) -> socket.socket:
        """A listening socket on a free port."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        sock.listen(backlog)
        return sock

    def address(self, sock: socket.socket) -> SocketAddress:
        """Where *sock* listens."""
        return SocketAddress(int(sock.family), sock.getsockname())

    def refusing(self) -> SocketAddress:
        """An address where nobody listens: bound, so that nobody else can."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        return self.address(sock)

    def hanging(self) -> SocketAddress:
        """An address that does not answer: its queue is full."""
        sock = self.listening(0)
        for _ in range(3):
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
        return self.address(sock)

    def open(self, target: Target, connector: Connector = CONNECTOR) -> DrivenTask:
        """A task that opens *target*; its socket is closed at the end of the test."""
        driven = DrivenTask()
        self.addCleanup(lambda: [sock.close() for sock in driven.results])
        return driven.run(lambda task: target.open(task, connector, driven.log.scope))

    def connect(self, *targets: Target) -> DrivenTask:
        """A task that connects to the first of *targets* that answers."""
        driven = DrivenTask()
        destination = Destination(targets, CONNECTOR)
        self.addCleanup(lambda: [sock.close() for sock in driven.results])
        return driven.run(lambda task: destination.connect(task, driven.log.scope))


class ConnectorTests(Places):
    """One outgoing connection."""

    def test_connects(self) -> None:
        """The socket is connected and non-blocking, its options set, its way logged."""
        server = self.listening()
        option = OptionSetting("SO_KEEPALIVE", socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        driven = self.open(AddressTarget(self.address(server)), Connector((option,), 10.0))
        sock = driven.finish()
        where = f"127.0.0.1:{server.getsockname()[1]}"
        self.assertEqual(sock.getpeername(), server.getsockname())
        self.assertEqual(sock.gettimeout(), 0.0)
        self.assertEqual(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
        wanted = [f"s_connect: connecting {where}", f"s_connect: connected {where}"]
        self.assertEqual(driven.log.texts, wanted)
        self.assertEqual(len(driven.deadlines), 0)

    def test_source_address(self) -> None:
        """``local`` is the address it connects from."""
        server = self.listening()
        target = AddressTarget(self.address(server))
        sock = self.open(target, Connector((), 10.0, (V6_SOURCE, V4_SOURCE))).finish()
        self.assertEqual(sock.getsockname()[0], "127.0.0.2")

    def test_source_of_another_family(self) -> None:
        """A target that ``local`` has no address for is skipped, and that is no error."""
        server = self.listening()
        connector = Connector((), 10.0, (V4_SOURCE,))
        other = AddressTarget(SocketAddress(socket.AF_INET6, ("::1", 9, 0, 0)))
        good = AddressTarget(self.address(server))
        self.assertEqual([connector.reaches(each) for each in (other, good)], [False, True])
        driven = DrivenTask()
        destination = Destination([other, good], connector)
        driven.run(lambda task: destination.connect(task, driven.log.scope))
        driven.finish().close()
        self.assertEqual([text for level, _, text in driven.log.lines if level <= ERR], [])
        text = "s_connect: skipping ::1:9: 'local' has no address of its family"
        self.assertIn(text, driven.log.texts)

    def test_no_source_at_all(self) -> None:
        """When every address of a name is skipped, the connection fails with one line."""
        connector = Connector((), 10.0, (V4_SOURCE,))
        found = [SocketAddress(socket.AF_INET6, ("::1", 9, 0, 0))]
        driven = DrivenTask()
        destination = Destination([NameTarget("name", 9, FakeResolver(found))], connector)
        driven.run(lambda task: destination.connect(task, driven.log.scope))
        driven.clock.advance(1.5)
        self.assertIsInstance(driven.error, PeerRefused)
        errors = [text for level, _, text in driven.log.lines if level <= ERR]
        self.assertEqual(errors, ["No more addresses to connect"])

    def test_refused(self) -> None:
        """A refusal is the system's error, and the descriptor is forgotten."""
        driven = self.open(AddressTarget(self.refusing()))
        error = self.assertRaises(ConnectionRefusedError, driven.finish)
        self.assertEqual((error.errno, driven.loop.interest), (111, {}))

    def test_hanging(self) -> None:
        """A target that does not answer is given up after TIMEOUTconnect."""
        driven = self.open(AddressTarget(self.hanging()))
        driven.loop.settle()
        driven.clock.advance(9.9)
        self.assertEqual(driven.errors, [])
        driven.clock.advance(0.6)
        self.assertIsInstance(driven.error, DeadlineExceeded)
        self.assertEqual(driven.loop.interest, {})

    def test_readiness_is_a_hint(self) -> None:
        """An event that was meant for somebody else does not make a connection."""
        driven = self.open(AddressTarget(self.hanging()))
        fd = next(iter(driven.loop.interest))
        driven.loop.fire(fd, WRITE)
        self.assertEqual(driven.errors, [])
        self.assertIn(fd, driven.loop.interest)
        driven.task.throw(Cancelled("over"))

    def test_unix(self) -> None:
        """A UNIX socket, with a queue that is full at first, and one that is not there."""
        path = socket_path()
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        self.addCleanup(Path(path).unlink)
        server.bind(path)
        server.listen(0)
        filler = socket.socket(socket.AF_UNIX)
        self.addCleanup(filler.close)
        filler.connect(path)
        driven = self.open(AddressTarget(SocketAddress(socket.AF_UNIX, path)))
        driven.clock.advance(1)
        self.assertEqual(driven.errors, [])
        server.accept()[0].close()
        driven.clock.advance(1)
        self.assertEqual(driven.finish().getpeername(), path)
        missing = self.open(AddressTarget(SocketAddress(socket.AF_UNIX, path + ".no")))
        self.assertIsInstance(missing.error, FileNotFoundError)


class DestinationTests(Places):
    """Several targets."""

    def test_next_after_a_refusal(self) -> None:
        """A refusing target leads to the next one, under the number of the closed socket too."""
        server = self.listening()
        refusing = self.refusing()
        targets = [AddressTarget(refusing), AddressTarget(refusing)]
        driven = self.connect(*targets, AddressTarget(self.address(server)))
        self.assertEqual(driven.finish().getpeername(), server.getsockname())
        text = f"s_connect: connect {refusing}: Connection refused (111)"
        self.assertEqual(driven.log.texts.count(text), 2)
        self.assertEqual(driven.log.texts[0], "failover: priority, starting at entry #0")

    def test_next_after_a_timeout(self) -> None:
        """So does one that hangs, after its own TIMEOUTconnect."""
        server, hanging = self.listening(), self.hanging()
        driven = self.connect(AddressTarget(hanging), AddressTarget(self.address(server)))
        driven.clock.advance(10.5)
        driven.finish()
        text = f"s_connect: s_poll_wait {hanging}: TIMEOUTconnect exceeded"
        self.assertIn(text, driven.log.texts)

    def test_separate(self) -> None:
        """Targets are told apart where there are several, all of them known addresses."""
        address = AddressTarget(self.refusing())
        name = FakeTarget("looked up later", [], None)
        rows: tuple[tuple[list[Target], bool], ...] = (
            ([address], False),
            ([address, address], True),
            ([address, name], False),
            ([name], False),
        )
        for targets, separate in rows:
            self.assertEqual(Destination(targets, CONNECTOR).separate, separate)

    def test_none_left(self) -> None:
        """When several do not answer, each has its line, and a last one sums up."""
        refusing = self.refusing()
        driven = self.connect(AddressTarget(refusing), AddressTarget(refusing))
        self.assertRaises(PeerRefused, driven.finish)
        text = f"s_connect: connect {refusing}: Connection refused (111)"
        self.assertEqual(seen(driven), [text, text, "No more addresses to connect"])

    def test_the_only_one(self) -> None:
        """A single address costs one line; there is nothing to sum up but for debugging."""
        for refusing, text in (
            (self.refusing(), "s_connect: connect {}: Connection refused (111)"),
            (self.hanging(), "s_connect: s_poll_wait {}: TIMEOUTconnect exceeded"),
        ):
            driven = self.connect(AddressTarget(refusing))
            driven.clock.advance(10.5)
            self.assertRaises(PeerRefused, driven.finish)
            self.assertEqual(seen(driven), [text.format(refusing)])
            self.assertEqual(driven.log.lines[-1][0], DEBUG)
            self.assertEqual(driven.log.texts[-1], "No more addresses to connect")

    def test_priority(self) -> None:
        """``failover = prio`` begins with the first target each time."""
        tried: list[str] = []
        sock = self.listening()
        targets = [
            FakeTarget("a", tried, OSError(111, "refused")),
            FakeTarget("b", tried, sock),
            FakeTarget("c", tried, sock),
        ]
        destination = Destination(targets, CONNECTOR)
        for _ in range(3):
            driven = DrivenTask()
            driven.run(lambda task, log=driven.log: destination.connect(task, log.scope))  # type: ignore[misc]
        self.assertEqual(tried, ["a", "b"] * 3)

    def test_round_robin(self) -> None:
        """``failover = rr`` begins with the next target each time, from a random start."""
        tried: list[str] = []
        sock = self.listening()
        self.patch(random, "randrange", lambda count: count - 1)
        destination = Destination(
            [FakeTarget(name, tried, sock) for name in "abc"], CONNECTOR, round_robin=True
        )
        for _ in range(5):
            driven = DrivenTask()
            driven.run(lambda task, log=driven.log: destination.connect(task, log.scope))  # type: ignore[misc]
        self.assertEqual("".join(tried), "cabca")
        self.assertEqual(driven.log.texts, ["failover: round-robin, starting at entry #0"])

    def test_round_robin_goes_around(self) -> None:
        """From where it begins it tries every target once, in a ring."""
        tried: list[str] = []
        self.patch(random, "randrange", lambda _count: 1)
        destination = Destination(
            [FakeTarget(name, tried, OSError(111, "no")) for name in "abc"],
            CONNECTOR,
            round_robin=True,
        )
        driven = DrivenTask()
        driven.run(lambda task: destination.connect(task, driven.log.scope))
        self.assertIsInstance(driven.error, PeerRefused)
        self.assertEqual("".join(tried), "bca")

    def test_interruption_is_not_a_failed_target(self) -> None:
        """The tunnel's own deadline, and the end of the program, stop the search."""
        for error in (DeadlineExceeded("TIMEOUTbusy", 1), Cancelled("over")):
            tried: list[str] = []
            driven = self.connect(
                FakeTarget("a", tried, error), FakeTarget("b", tried, self.listening())
            )
            self.assertIs(driven.error, error)
            self.assertEqual(tried, ["a"])


class NameTests(Places):
    """Names that are looked up for each connection."""

    def test_looked_up_then_connected(self) -> None:
        """The addresses are tried in the resolver's order until one answers."""
        server, refusing = self.listening(), self.refusing()
        resolver = FakeResolver([refusing, self.address(server)])
        driven = self.connect(NameTarget("name.example", 443, resolver))
        self.assertEqual(driven.errors, [])
        driven.clock.advance(1.5)
        self.assertEqual(driven.finish().getpeername(), server.getsockname())
        self.assertEqual(resolver.asked, [("name.example", 443)])

    def test_unknown_name(self) -> None:
        """A name that does not resolve is one line, and the next target has its turn."""
        server = self.listening()
        resolver = FakeResolver(OperatingError("Name or service not known"))
        driven = self.connect(
            NameTarget("name.example", 443, resolver), AddressTarget(self.address(server))
        )
        driven.clock.advance(1.5)
        driven.finish()
        lines = [text for level, _, text in driven.log.lines if level <= 3]
        self.assertEqual(lines, ['Error resolving "name.example": Name or service not known'])

    def test_one_line_for_one_problem(self) -> None:
        """A name alone costs one line when it is unknown or its only address refuses."""
        refusing = self.refusing()
        for answer, text in (
            (OperatingError("unknown"), 'Error resolving "name.example": unknown'),
            ([refusing], f"s_connect: connect {refusing}: Connection refused (111)"),
        ):
            driven = self.connect(NameTarget("name.example", 443, FakeResolver(answer)))
            driven.clock.advance(1.5)
            self.assertRaises(PeerRefused, driven.finish)
            self.assertEqual(seen(driven), [text])

    def test_summary_after_several_lines(self) -> None:
        """A name with two addresses that refuse is like two targets."""
        resolver = FakeResolver([self.refusing(), self.refusing()])
        driven = self.connect(NameTarget("name.example", 443, resolver))
        driven.clock.advance(1.5)
        self.assertRaises(PeerRefused, driven.finish)
        self.assertEqual(len(seen(driven)), 3)
        self.assertEqual(seen(driven)[-1], "No more addresses to connect")

    def test_no_address(self) -> None:
        """A name that resolves to nothing at all still has its line."""
        driven = self.connect(NameTarget("name.example", 443, FakeResolver([])))
        driven.clock.advance(1.5)
        self.assertRaises(PeerRefused, driven.finish)
        self.assertEqual(seen(driven), ["No more addresses to connect"])

    def test_many_addresses(self) -> None:
        """A name with endless addresses does not keep a connection for ever."""
        resolver = FakeResolver([self.refusing()] * (MAX_TARGETS + 10))
        driven = self.connect(NameTarget("name.example", 443, resolver))
        driven.clock.advance(1.5)
        self.assertRaises(PeerRefused, driven.finish)
        tries = [text for text in driven.log.texts if "connecting" in text]
        self.assertEqual(len(tries), MAX_TARGETS)
