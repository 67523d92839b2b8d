"""Tests of destinations that clients choose: looked up, judged, and really connected."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import DeadlineExceeded, OperatingError, PeerRefused, Rejected
from stunnel_tx.negotiation.destinations import DestinationPolicy, Unresolved
from stunnel_tx.negotiation.peer import Endpoint, NegotiationOptions
from stunnel_tx.negotiation.protocols.socks import NEGOTIATION
from stunnel_tx.tunnel import chosen
from stunnel_tx.tunnel.chosen import Chooser, is_own
from stunnel_tx.tunnel.conversations import local_end
from stunnel_tx.tunnel.destination import Connector, SocketAddress
from stunnel_tx.tunnel.peers import TLSPeer
from tests.doubles.conversations import conversation
from tests.doubles.destinations import permit
from tests.doubles.driving import Driver
from tests.doubles.encrypted import tls_pair
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stunnel_tx.negotiation.peer import Conversation
    from stunnel_tx.tunnel.task import Task

LOOPBACK = DestinationPolicy((permit("127.0.0.0/8"), permit("::1")))


class SystemResolver:
    """The system's own idea of numeric spellings; no name leaves the machine."""

    async def resolve(self, task: Task, host: str, port: int | str) -> Sequence[SocketAddress]:
        """See :class:`stunnel_tx.tunnel.destination.Resolver`."""
        flags = socket.AI_NUMERICHOST
        try:
            found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags)
        except socket.gaierror as error:
            raise OperatingError(str(error)) from error
        return [SocketAddress(int(entry[0]), entry[4]) for entry in found]


class TableResolver:
    """Names from a table."""

    def __init__(self, **table: list[str]) -> None:
        self.table = table
        self.asked = 0

    async def resolve(self, task: Task, host: str, port: int | str) -> Sequence[SocketAddress]:
        """See :class:`stunnel_tx.tunnel.destination.Resolver`."""
        self.asked += 1
        if host not in self.table:
            raise OperatingError("Name or service not known")
        return [_address(text, port) for text in self.table[host]]


def _address(text: str, port: int | str) -> SocketAddress:
    if text.startswith("/"):
        return SocketAddress(socket.AF_UNIX, text)
    if ":" in text:
        return SocketAddress(socket.AF_INET6, (text, port, 0, 0))
    return SocketAddress(socket.AF_INET, (text, port))


class ChooserCase(SynchronousTestCase):
    """A listener on loopback, and ways to it."""

    def setUp(self) -> None:
        self.driver = Driver()
        self.log = Recording()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        self.port: int = self.listener.getsockname()[1]

    def connect(self, host: str, policy: DestinationPolicy, **fields: Any) -> socket.socket:
        """A socket connected to *host* at the listener's port, or the error."""
        chooser = Chooser(
            "SOCKS",
            policy,
            fields.pop("resolver", SystemResolver()),
            Connector((), fields.pop("timeout", 10)),
            **fields,
        )
        port = fields.get("port", self.port)
        sock: socket.socket = self.driver.run(
            lambda task: chooser.connect(task, Endpoint(host, port), self.log.scope)
        )
        self.addCleanup(sock.close)
        return sock


class ConnectTests(ChooserCase):
    """Judged first, connected afterwards."""

    def test_listed(self) -> None:
        """A listed address is reached, by number and by name."""
        for host in ("127.0.0.1", "::ffff:127.0.0.1", "127.1"):
            sock = self.connect(host, LOOPBACK)
            self.assertEqual(sock.getpeername()[1], self.port)
            self.assertFalse(sock.getblocking())

    def test_every_spelling(self) -> None:
        """No spelling of a local address is connected, whatever the system makes of it."""
        for host in (
            *("127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "0", "0.0.0.0"),
            *("::1", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::127.0.0.1"),
            *("64:ff9b::127.0.0.1", "2002:7f00:1::", "::ffff:0:127.0.0.1", "169.254.169.254"),
            *("224.0.0.1", "255.255.255.255", "fe80::1", "ff02::1", "0.0.0.1"),
        ):
            self.assertRaises(Rejected, self.connect, host, DestinationPolicy())
        self.listener.setblocking(False)
        self.assertRaises(BlockingIOError, self.listener.accept)
        self.assertFalse([text for text in self.log.texts if "connecting" in text])

    def test_names(self) -> None:
        """A name is worth what it resolves to; the log says what was turned down."""
        resolver = TableResolver(
            inside=["127.0.0.1", "::1"], mixed=["10.255.255.1", "127.0.0.1"], path=["/run/x"]
        )
        self.assertRaises(Rejected, self.connect, "inside", DestinationPolicy(), resolver=resolver)
        self.assertIn(
            f"SOCKS connection to 127.0.0.1:{self.port} rejected: a loopback address",
            self.log.texts,
        )
        self.assertRaises(Unresolved, self.connect, "path", LOOPBACK, resolver=resolver)
        self.assertRaises(Unresolved, self.connect, "nowhere", LOOPBACK, resolver=resolver)
        self.assertEqual(resolver.asked, 3)

    def test_one_of_several(self) -> None:
        """Of several addresses those that are forbidden are left out."""
        resolver = TableResolver(mixed=["169.254.169.254", "127.0.0.1"])
        sock = self.connect("mixed", LOOPBACK, resolver=resolver)
        self.assertEqual(sock.getpeername()[0], "127.0.0.1")

    def test_own_addresses(self) -> None:
        """An address of this machine is refused, unless it is listed."""

        def everything(_address: object) -> bool:
            return True

        self.assertRaises(Rejected, self.connect, "192.0.2.1", DestinationPolicy(), own=everything)
        self.connect("127.0.0.1", LOOPBACK, own=everything)

    def test_refused(self) -> None:
        """A refused connection is told with its cause, after all addresses were tried."""
        self.listener.close()
        resolver = TableResolver(two=["127.0.0.1", "127.0.0.2"])
        error = self.assertRaises(PeerRefused, self.connect, "two", LOOPBACK, resolver=resolver)
        assert isinstance(error.__cause__, OSError)
        self.assertEqual(error.__cause__.errno, errno.ECONNREFUSED)
        self.assertEqual(
            len([t for t in self.log.texts if t.startswith("s_connect: connect 1")]), 2
        )

    def test_outer_deadline(self) -> None:
        """The deadline of the whole negotiation ends the attempts."""

        class Stuck:
            async def resolve(self, task: Task, host: str, port: object) -> Sequence[SocketAddress]:
                with task.limit("TIMEOUTbusy", 1):
                    await task.sleep(100)
                return ()

        chooser = Chooser("SOCKS", LOOPBACK, Stuck(), Connector((), 10))
        running = self.driver.start(
            lambda task: chooser.connect(task, Endpoint("a", 1), self.log.scope)
        )
        self.driver.clock.advance(3)
        self.assertIsInstance(running.error, DeadlineExceeded)

    def test_resolve(self) -> None:
        """A look-up tells only what could be connected, without zones and ports."""
        resolver = TableResolver(mixed=["127.0.0.1", "192.0.2.1", "2001:db8::1%lo"])
        chooser = Chooser(
            "SOCKS", DestinationPolicy(), resolver, Connector((), 10), lambda _address: False
        )
        found = self.driver.run(lambda task: chooser.resolve(task, "mixed", self.log.scope))
        self.assertEqual(found, ["192.0.2.1", "2001:db8::1"])


class OwnTests(SynchronousTestCase):
    """Which addresses are this machine's."""

    def test_own(self) -> None:
        """What can be bound is our own, and documentation addresses are nobody's."""
        self.assertTrue(is_own(ip_address("127.0.0.1")))
        for text in ("192.0.2.1", "198.51.100.1", "2001:db8::1", "64:ff9b::1"):
            self.assertFalse(is_own(ip_address(text)), text)

    def test_doubt(self) -> None:
        """Where the answer cannot be had the address counts as our own."""

        class NoSockets:
            AF_INET = AF_INET6 = SOCK_DGRAM = 0

            def socket(self, *_args: object) -> object:
                raise OSError(errno.EMFILE, "Too many open files")

        self.patch(chosen, "socket", NoSockets())
        self.assertTrue(is_own(ip_address("192.0.2.1")))


class SocksTests(ChooserCase):
    """The whole way of a SOCKS server, inside real TLS."""

    async def serve(self, task: Task, talk: Conversation, chooser: Chooser) -> None:
        """What the tunnel does for a protocol that chooses its destination."""
        stages = NEGOTIATION.server
        assert stages is not None
        assert stages.middle is not None
        assert stages.late is not None
        assert stages.refuse is not None
        await stages.middle(talk)
        assert talk.destination is not None
        try:
            sock = await chooser.connect(task, talk.destination, self.log.scope)
        except (Rejected, PeerRefused) as error:
            await stages.refuse(talk, error)
            return
        self.addCleanup(sock.close)
        talk.bound = local_end(sock)
        await stages.late(talk)

    def ask(self, address: bytes, policy: DestinationPolicy) -> bytes:
        """What a client hears that asks for *address* at the listener's port."""
        pair = tls_pair()
        self.addCleanup(pair.close)
        pair.theirs.send(b"\5\1\0\5\1\0" + address + self.port.to_bytes(2, "big") + b"payload")
        chooser = Chooser("SOCKS", policy, SystemResolver(), Connector((), 10))

        async def whole(task: Task) -> None:
            peer = TLSPeer(task, pair.ours, pair.our_socket, "local")
            talk = conversation(peer, options=NegotiationOptions())
            await self.serve(task, talk, chooser)

        self.driver.run(whole)
        self.assertEqual(pair.ours.recv(100), b"payload")
        answer = b""
        while len(answer) < 12:
            answer += pair.theirs.recv(100)
        return answer

    def test_connected(self) -> None:
        """The reply comes after the connection and names our own end of it."""
        answer = self.ask(b"\1\x7f\0\0\1", LOOPBACK)
        sock, peer = self.listener.accept()
        sock.close()
        self.assertEqual(answer, b"\5\0\5\0\0\1\x7f\0\0\1" + peer[1].to_bytes(2, "big"))

    def test_not_connected(self) -> None:
        """A closed port and a forbidden address have their codes."""
        self.assertEqual(self.ask(b"\1\x7f\0\0\1", DestinationPolicy())[:4], b"\5\0\5\2")
        self.assertEqual(self.ask(b"\3\x010", DestinationPolicy())[:4], b"\5\0\5\2")
        self.listener.close()
        self.assertEqual(self.ask(b"\1\x7f\0\0\1", LOOPBACK)[:4], b"\5\0\5\5")
