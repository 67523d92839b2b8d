"""Tests of making a service's policies from its settings."""

from __future__ import annotations

import itertools
import os
import socket
from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.loader import load
from stunnel_tx.configuration.socket_options import BACKEND_SEND_BUFFER
from stunnel_tx.configuration.sources import text_source
from stunnel_tx.errors import OperatingError
from stunnel_tx.service import build
from stunnel_tx.service.build import (
    build_destination,
    connection_ids,
    server_name,
)
from stunnel_tx.tunnel.destination import AddressTarget, NameTarget, SocketAddress
from tests.doubles.recording import Recording
from tests.doubles.tunnels import certificate_file

if TYPE_CHECKING:
    from stunnel_tx.configuration.addresses import Address
    from stunnel_tx.configuration.model import Settings


def settings(*lines: str, client: bool = True) -> Settings:
    """The settings of one service with the given lines."""
    head = ["[test]", "accept = 127.0.0.1:1"]
    head.append("client = yes" if client else f"cert = {certificate_file()}")
    text = "\n".join([*head, *lines, ""])
    return load(text_source(text.encode(), "test.conf")).services[0]


class IdTests(SynchronousTestCase):
    """``logId``."""

    def test_kinds(self) -> None:
        """A number that counts, the process, the thread, or 22 letters and digits."""
        sequence = itertools.count()
        counting = connection_ids("sequential", sequence)
        self.assertEqual([counting(), counting()], ["0", "1"])
        self.assertEqual(connection_ids("process", sequence)(), str(os.getpid()))
        thread = connection_ids("thread", sequence)
        self.assertEqual((thread().isdigit(), thread() == thread()), (True, True))
        unique = connection_ids("unique", sequence)
        ids = {unique() for _ in range(50)}
        self.assertEqual((len(ids), {len(each) for each in ids}), (50, {22}))
        self.assertTrue("".join(ids).isalnum())


class ServerNameTests(SynchronousTestCase):
    """What a client service sends as SNI."""

    def test_choice(self) -> None:
        """``sni`` where it is given, else the host of the first ``connect``, never an address."""
        for lines, wanted in (
            (["connect = name.example:443"], "name.example"),
            (["connect = name.example:443", "sni = other.example"], "other.example"),
            (["connect = name.example:443", "sni ="], None),
            (["connect = 192.0.2.1:443"], None),
            (["connect = 443"], None),
        ):
            self.assertEqual(server_name(settings(*lines)), wanted, lines)


class DestinationTests(SynchronousTestCase):
    """The targets of ``connect``."""

    def setUp(self) -> None:
        self.log = Recording()
        self.patch(build, "fixed_address", self._resolve)

    def _resolve(self, address: Address) -> tuple[SocketAddress, ...]:
        if "unknown" in str(address):
            raise OperatingError("Name or service not known")
        return (SocketAddress(2, (str(address), 443)), SocketAddress(2, (str(address), 444)))

    def kinds(self, *lines: str) -> list[str]:
        """The kinds of the targets, in their order."""
        made = build_destination(settings(*lines), None, self.log.scope)
        return [type(target).__name__ for target in made._targets]

    def test_resolved_at_start(self) -> None:
        """Every address of every name is a target."""
        self.assertEqual(self.kinds("connect = a:1", "connect = b:1"), [AddressTarget.__name__] * 4)

    def test_some_unknown(self) -> None:
        """A name that does not resolve is left out, with an error line."""
        kinds = self.kinds("connect = unknown:1", "connect = b:1")
        self.assertEqual(kinds, [AddressTarget.__name__] * 2)
        self.assertEqual(
            self.log.lines, [(3, "0", 'Error resolving "unknown:1": Name or service not known')]
        )

    def test_all_unknown(self) -> None:
        """When none resolves, all are looked up for each connection."""
        kinds = self.kinds("connect = unknown:1", "connect = unknown:2")
        self.assertEqual(kinds, [NameTarget.__name__] * 2)

    def test_delay(self) -> None:
        """With ``delay`` nothing is looked up at start, and the first target is always first."""
        lines = ("connect = unknown:1", "connect = b:1", "delay = yes")
        self.assertEqual(self.kinds(*lines), [NameTarget.__name__] * 2)
        self.assertEqual(self.log.lines, [])
        made = build_destination(settings(*lines), None, self.log.scope)
        self.assertFalse(made._round_robin)

    def test_send_buffer(self) -> None:
        """A plain backend gets a send buffer of one chunk, unless the operator set one."""
        for client, lines, wanted in (
            (False, [], [BACKEND_SEND_BUFFER]),
            (True, [], []),
            (False, ["socket = r:SO_SNDBUF=9000"], [9000]),
        ):
            made = build_destination(
                settings("connect = a:1", *lines, client=client), None, self.log.scope
            )
            sizes = [
                each.value
                for each in made._connector.options
                if each.option == socket.SO_SNDBUF and each.level == socket.SOL_SOCKET
            ]
            self.assertEqual(sizes, wanted)
