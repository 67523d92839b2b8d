"""Tests of one reading of the configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.sources import text_source
from stunnel_tx.errors import ConfigurationErrors, OperatingError
from stunnel_tx.service.inherited import InheritedSocket
from stunnel_tx.service.reading import Reader
from stunnel_tx.tls import pem
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

    def test_ports_and_interfaces(self) -> None:
        """A port or interface that cannot be is a mistake of its line, with the remedy."""
        found = self.problems(
            *("accept = tcp:99999", "accept = tcp:8443:interface=300.300.300.300"),
            *("connect = tcp:host=127.0.0.1:port=0", "accept = 127.0.0.1:1"),
        )
        self.assertEqual([each[:4] for each in found], ["f:4:", "f:5:", "f:6:"])
        self.assertIn("'99999' is not a number from 0 to 65535; write tcp:PORT:", found[0])
        self.assertIn("interface: Cannot resolve '300.300.300.300'", found[1])
        self.assertIn("'0' is not a number from 1 to 65535; write tcp:HOST:PORT", found[2])

    def test_no_files(self) -> None:
        """A silent pipe or a directory in the place of a file is a mistake of its line."""
        self.patch(pem, "PIPE_WAIT", 0.01)
        pipe, directory = self.mktemp(), self.mktemp()
        os.mkfifo(pipe)
        os.mkdir(directory)  # noqa: PTH102 - a string is at hand
        lines = ("accept = 127.0.0.1:1", "connect = 127.0.0.1:2", "verifyChain = yes")
        for path, problem in ((pipe, "not a regular file"), (directory, "Is a directory")):
            for option in (
                f"CAfile = {path}",
                f"CAfile = {certificate_file()}\nCRLfile = {path}",
                f"CAfile = {certificate_file()}\nconfig = DHParameters:{path}",
            ):
                (found,) = self.problems(*lines, option)
                self.assertEqual(found[:4], f"f:{7 + option.count(chr(10))}:", found)
                self.assertIn(f"{path}: {problem}", found)

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
