"""Tests of one reading of the configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.sources import text_source
from stunnel_tx.errors import ConfigurationErrors, OperatingError
from stunnel_tx.service.inherited import InheritedSocket
from stunnel_tx.service.reading import Reader
from stunnel_tx.tls.passphrases import Passphrases
from tests.doubles.private_reactor import PrivateReactor
from tests.doubles.recording import Recording
from tests.doubles.tunnels import certificate_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stunnel_tx.service.reading import Generation


class ReaderTests(SynchronousTestCase):
    """From text to blueprints."""

    def setUp(self) -> None:
        self.turner = PrivateReactor()
        self.addCleanup(self.turner.close)
        self.log = Recording()

    def read(
        self,
        *lines: str,
        head: str = "",
        rehearsal: bool = False,
        sockets: Sequence[InheritedSocket] = (),
    ) -> Generation:
        """Read one service with *lines*, from line 4 on, and *head* in the first line."""
        body = [head, "[s]", f"cert = {certificate_file()}", *lines, ""]
        source = text_source("\n".join(body).encode(), "f")
        reader = Reader(
            self.turner.reactor,
            source,
            self.log.scope,
            Passphrases(lambda _prompt: None),
            rehearsal=rehearsal,
        )
        return reader.read(sockets)

    def problems(self, *lines: str, head: str = "", rehearsal: bool = False) -> list[str]:
        """The lines about everything that is wrong."""
        with self.assertRaises(ConfigurationErrors) as caught:
            self.read(*lines, head=head, rehearsal=rehearsal)
        return [str(each) for each in caught.exception.problems]

    def test_rehearsal_leaves_nothing(self) -> None:
        """A look at the configuration does not make the key log that it names."""
        path = self.mktemp()
        lines = ("accept = 127.0.0.1:1", "connect = 127.0.0.1:2", f"keyLog = {path}")
        self.read(*lines, rehearsal=True)
        self.assertFalse(os.path.exists(path))  # noqa: PTH110 - a string is at hand
        self.read(*lines)
        self.assertTrue(os.path.exists(path))  # noqa: PTH110

    def test_good(self) -> None:
        """The services, and a line that says so."""
        generation = self.read("accept = 127.0.0.1:1", "connect = 127.0.0.1:2")
        self.assertEqual([each.name for each in generation.blueprints], ["s"])
        self.assertIn("Configuration successful", self.log.texts)

    def test_endpoint_strings(self) -> None:
        """Each one that cannot be used has its line, whichever option it is in."""
        found = self.problems(
            *("accept = tcp:x", "accept = unix:", "connect = tcp:nohost", "connect = unix:/x")
        )
        self.assertEqual([each[:4] for each in found], ["f:4:", "f:5:", "f:6:"])
        self.assertTrue(all("Service [s]: endpoint " in each for each in found))

    def test_accounts(self) -> None:
        """An unknown account of the global part is told once, whoever inherits it."""
        lines = ("accept = 127.0.0.1:1", "connect = 127.0.0.1:2")
        found = self.problems(*lines, head="setuid = nosuchuser")
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("f:1: setuid: no user is called"), found)

    def test_local_of_endpoint_strings(self) -> None:
        """``local`` that a string cannot take, and one that is unknown, are mistakes."""
        lines = ("accept = 127.0.0.1:1", "connect = tcp:127.0.0.1:2")
        self.read(*lines, "local = 127.0.0.2")
        found = self.problems(*lines, "local = 256.256.256.256")
        self.assertEqual(
            [each.partition(" Cannot")[0] for each in found], ["f:6: Service [s]: local:"]
        )

    def test_sockets_that_were_not_passed(self) -> None:
        """A string for a socket of systemd is a mistake at start, and not in a rehearsal."""
        lines = ("accept = systemd:domain=INET:index=7", "connect = 127.0.0.1:2")
        (found,) = self.problems(*lines)
        self.assertIn("f:4: Service [s]: endpoint systemd:domain=INET:index=7: ", found)
        self.assertEqual(len(self.read(*lines, rehearsal=True).blueprints), 1)

    def test_inherited_sockets(self) -> None:
        """A socket takes the place of the addresses; one too many is a mistake at start."""
        lines = ("accept = 127.0.0.1:1", "connect = 127.0.0.1:2")
        sockets = [InheritedSocket(3), InheritedSocket(4)]
        (blueprint,) = self.read(*lines, sockets=sockets[:1]).blueprints
        self.assertEqual(blueprint.accept, (InheritedSocket(3),))
        self.assertRaises(OperatingError, self.read, *lines, sockets=sockets)
        self.assertEqual(len(self.read(*lines, sockets=sockets, rehearsal=True).blueprints), 1)

    def test_inetd(self) -> None:
        """A file without sections is refused, after what is wrong with its text."""
        path = certificate_file()
        for text, kind in (
            (f"cert = {path}\nconnect = 127.0.0.1:1\n", OperatingError),
            (f"cert = {path}\nconnect = 127.0.0.1:1\nnonsense = 1\n", ConfigurationErrors),
        ):
            source = text_source(os.fsencode(text), "f")
            passphrases = Passphrases(lambda _prompt: None)
            reader = Reader(self.turner.reactor, source, self.log.scope, passphrases)
            self.assertRaises(kind, reader.read)
