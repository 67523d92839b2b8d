"""Tests of resolving addresses."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.addresses import HostPort, UnixPath
from stunnel_tx.errors import OperatingError, StunnelTxError
from stunnel_tx.service import addresses
from stunnel_tx.service.addresses import (
    PATIENCE,
    RETRIES,
    ThreadResolver,
    fixed_address,
    local_addresses,
    look_up,
)
from stunnel_tx.tunnel.destination import SocketAddress
from stunnel_tx.tunnel.task import Cancelled
from tests.doubles.tasks import DrivenTask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

V4 = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))
V6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 443, 0, 0))


class ScriptedResolver:
    """Stands in for getaddrinfo: gives or raises its answers one by one."""

    def __init__(self, *answers: Sequence[Any] | Exception) -> None:
        self._answers = list(answers)
        self.flags: list[int] = []

    def __call__(self, *arguments: Any) -> Sequence[Any]:
        self.flags.append(arguments[-1])
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class LookUpTests(SynchronousTestCase):
    """The blocking look-up."""

    def scripted(self, *answers: Sequence[Any] | Exception) -> ScriptedResolver:
        """Put a scripted getaddrinfo in place."""
        resolver = ScriptedResolver(*answers)
        self.patch(socket, "getaddrinfo", resolver)
        return resolver

    def test_order_and_doubles(self) -> None:
        """The resolver's order is kept, an address that comes twice is taken once."""
        self.scripted([V6, V4, V6])
        found = look_up("name.example", 443)
        self.assertEqual([str(each) for each in found], ["2001:db8::1:443", "192.0.2.1:443"])

    def test_without_a_host(self) -> None:
        """No host: the wildcard to listen on, the loopback to connect to."""
        passive = {str(each) for each in look_up(None, 443, passive=True)}
        active = {str(each) for each in look_up(None, 443)}
        self.assertIn("0.0.0.0:443", passive)
        self.assertIn("127.0.0.1:443", active)

    def test_machine_without_a_network(self) -> None:
        """When only the loopback is configured, its addresses are still found."""
        missing = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        resolver = self.scripted(missing, [V4])
        self.assertEqual(len(look_up("localhost", 443)), 1)
        self.assertEqual(
            [bool(each & socket.AI_ADDRCONFIG) for each in resolver.flags], [True, False]
        )

    def test_temporary_failure(self) -> None:
        """EAI_AGAIN is tried again, a second apart, and then given up."""
        again = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        pauses: list[float] = []
        self.scripted(*[again] * 3, [V4])
        self.assertEqual(len(look_up("name.example", 443, pause=pauses.append)), 1)
        self.scripted(*[again] * 10)
        pauses.clear()
        error = self.assertRaises(OperatingError, look_up, "name.example", 443, pause=pauses.append)
        self.assertEqual((str(error), pauses), (again.strerror, [1.0] * RETRIES))

    def test_temporary_failure_is_no_missing_network(self) -> None:
        """Every attempt asks for the same families; a slow one is the last."""
        again = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        resolver = self.scripted(again, again, [V4])
        times = iter((0.0, 1.0, PATIENCE + 1))
        error = self.assertRaises(
            *(OperatingError, look_up, "name.example", 443),
            pause=lambda _: None,
            clock=lambda: next(times),
        )
        self.assertEqual(str(error), again.strerror)
        self.assertEqual(resolver.flags, [socket.AI_ADDRCONFIG] * 2)

    def test_impossible_names(self) -> None:
        """What cannot even be asked for is an error of the operator's."""
        for host in ("a" * 80 + ".example", "..", "\0"):
            self.assertRaises(OperatingError, look_up, host, 443)


class FixedTests(SynchronousTestCase):
    """Addresses resolved at start."""

    def test_kinds(self) -> None:
        """A path is its own address; a literal resolves to itself."""
        self.assertEqual(
            fixed_address(UnixPath("/run/x")), (SocketAddress(socket.AF_UNIX, "/run/x"),)
        )
        found = fixed_address(HostPort("127.0.0.1", 443, "127.0.0.1:443"))
        self.assertEqual(found, (SocketAddress(socket.AF_INET, ("127.0.0.1", 443)),))


class LocalTests(SynchronousTestCase):
    """``local``."""

    def test_families(self) -> None:
        """The first of each family, that of IPv4 first."""
        other = (*V4[:4], ("192.0.2.9", 443))
        self.patch(socket, "getaddrinfo", ScriptedResolver([V6, V4, other]))
        found = local_addresses("name.example")
        self.assertEqual([each.address[0] for each in found], ["192.0.2.1", "2001:db8::1"])
        self.assertEqual(local_addresses(None), ())

    def test_port(self) -> None:
        """An address of the machine, and any port."""
        self.assertEqual(local_addresses("127.0.0.2")[0].address, ("127.0.0.2", 0))

    def test_unknown(self) -> None:
        """A name that does not resolve is named, with the option."""
        missing = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        self.patch(socket, "getaddrinfo", ScriptedResolver(missing, missing))
        error = self.assertRaises(OperatingError, local_addresses, "nope.example")
        self.assertTrue(str(error).startswith('local: Cannot resolve "nope.example": '))


class ThreadResolverTests(SynchronousTestCase):
    """Look-ups that only the asking tunnel waits for."""

    def setUp(self) -> None:
        self.deferred: Deferred[object] = Deferred()
        self.calls: list[tuple[object, ...]] = []

        self.patch(addresses, "threads_of", lambda _reactor: self)
        self.driven = DrivenTask().run(
            lambda task: ThreadResolver(None).resolve(task, "name.example", 443)
        )

    def call(self, function: Callable[..., object], *rest: object) -> Any:
        """Stand in for the threads: the test answers."""
        self.calls.append((function, *rest))
        return self.deferred

    def test_answer(self) -> None:
        """The task goes on with the addresses once the thread has them."""
        self.assertEqual(self.driven.errors, [])
        self.deferred.callback((SocketAddress(2, ("192.0.2.1", 443)),))
        self.assertEqual(self.driven.results, [(SocketAddress(2, ("192.0.2.1", 443)),)])
        self.assertEqual(self.calls, [(look_up, "name.example", 443)])

    def test_failures(self) -> None:
        """An error comes through, and no address at all is one."""
        self.deferred.errback(OperatingError("unknown"))
        self.assertIsInstance(self.driven.error, OperatingError)
        self.setUp()
        self.deferred.callback(())
        self.assertIsInstance(self.driven.error, StunnelTxError)

    def test_interrupted(self) -> None:
        """A tunnel that ends meanwhile does not wait, and the late answer is no matter."""
        self.driven.task.throw(Cancelled("over"))
        self.assertIsInstance(self.driven.error, Cancelled)
        self.deferred.callback(())
        self.assertIsNone(self.successResultOf(self.deferred))
