"""Tests of the names in Twisted's endpoint strings."""

from __future__ import annotations

import socket
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from stunnel_tx.errors import OperatingError
from stunnel_tx.service import resolving as module
from stunnel_tx.service.resolving import HostnameResolver, resolve_in_threads
from stunnel_tx.tunnel.destination import SocketAddress
from tests.doubles.private_reactor import PrivateReactor

FOUND = (
    SocketAddress(socket.AF_INET6, ("2001:db8::1", 25, 0, 0)),
    SocketAddress(socket.AF_INET, ("192.0.2.1", 25)),
)


@implementer(IResolutionReceiver)
class _Receiver:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        """The first."""
        verifyObject(IHostResolution, resolution)
        self.resolution = resolution

    def addressResolved(self, address: Any) -> None:
        """One of many."""
        self.told.append(address)

    def resolutionComplete(self) -> None:
        """The last."""
        self.told.append("end")


class ResolverTests(SynchronousTestCase):
    """Names looked up for Twisted."""

    def setUp(self) -> None:
        self.turner = PrivateReactor()
        self.addCleanup(self.turner.close)
        self.reactor = self.turner.reactor
        resolve_in_threads(self.reactor)
        self.receiver = _Receiver()

    def answer(self, answer: Any) -> None:
        """Have look-ups return or raise *answer*."""

        def look_up(*_args: object) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        self.patch(module, "look_up", look_up)

    def ask(self, name: str = "a.example", **values: Any) -> list[Any]:
        """What the receiver is told, to the end."""
        self.reactor.nameResolver.resolveHostName(self.receiver, name, 25, **values)
        self.turner.until(lambda: self.receiver.told[-1:] == ["end"])
        return self.receiver.told

    def test_addresses(self) -> None:
        """All addresses are told in their order, or those of the kinds that are wanted."""
        self.answer(FOUND)
        six, four = IPv6Address("TCP", "2001:db8::1", 25, 0, 0), IPv4Address("TCP", "192.0.2.1", 25)
        self.assertEqual(self.ask(), [six, four, "end"])
        self.receiver.told.clear()
        self.assertEqual(self.ask(addressTypes=[IPv4Address]), [four, "end"])
        verifyObject(IHostnameResolver, self.reactor.nameResolver)

    def test_none(self) -> None:
        """A name that does not resolve has no addresses."""
        self.answer(OperatingError("Name or service not known"))
        self.assertEqual(self.ask(), ["end"])

    def test_address(self) -> None:
        """An address is its own answer, with no thread in between."""
        self.patch(module, "threads_of", lambda _reactor: self.fail("a thread was asked for"))
        self.assertEqual(self.ask("192.0.2.7"), [IPv4Address("TCP", "192.0.2.7", 25), "end"])

    def silent(self) -> list[str]:
        """Have no name server answer; the names that it is asked for."""
        asked: list[str] = []

        class Silent:
            def call(self, _function: object, name: str, *_args: object) -> Deferred[Any]:
                asked.append(name)
                return Deferred()

        self.patch(module, "threads_of", lambda _reactor: Silent())
        return asked

    def test_silent_name_server(self) -> None:
        """Names in endpoint strings are looked up here, and in none of the reactor's threads."""
        asked = self.silent()
        strings = ("tcp:host=silent.example:port=25", "tls:host=silent.example:port=25")
        endpoints = [clientFromString(self.reactor, each) for each in strings]
        connecting = [each.connect(Factory.forProtocol(Protocol)) for each in endpoints]
        self.turner.turn()
        self.assertEqual(asked, ["silent.example"] * 2)
        self.assertIsNone(self.reactor.threadpool)
        for each in connecting:
            each.cancel()
            self.failureResultOf(each)

    def test_cancelled(self) -> None:
        """Who does not want to wait any longer is told of no address."""
        self.silent()
        self.reactor.nameResolver.resolveHostName(self.receiver, "a.example", 25)
        self.receiver.resolution.cancel()
        self.assertEqual(self.receiver.told, ["end"])


class InstallTests(SynchronousTestCase):
    """What becomes of the resolver that was there."""

    def test_once(self) -> None:
        """A second time changes nothing."""
        turner = PrivateReactor()
        self.addCleanup(turner.close)
        resolve_in_threads(turner.reactor)
        first = turner.reactor.nameResolver
        resolve_in_threads(turner.reactor)
        self.assertIs(turner.reactor.nameResolver, first)

    def test_other_kinds(self) -> None:
        """What is no stream socket is asked of the resolver that was there before."""
        asked: list[str] = []

        class Other:
            def resolveHostName(self, _receiver: object, name: str, *_args: object) -> str:
                asked.append(name)
                return "resolution"

        resolver = HostnameResolver(object(), cast("IHostnameResolver", Other()))
        resolver.resolveHostName(_Receiver(), "a.example", 53, None, "UDP")
        self.assertEqual(asked, ["a.example"])

    def test_reactor_without_a_choice(self) -> None:
        """A reactor that resolves in no other way than its own is left alone."""

        class Plain:
            nameResolver = None  # noqa: N815

        plain = Plain()
        resolve_in_threads(plain)
        self.assertIsNone(plain.nameResolver)
        resolve_in_threads(MemoryReactorClock())
