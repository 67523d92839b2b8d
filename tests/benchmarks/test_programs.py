"""Tests of finding and starting the programs."""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import programs
from benchmarks.configurations import stunnel_configuration
from benchmarks.programs import OURS, Program, find_peer, find_programs, own_program


class OwnProgramTests(SynchronousTestCase):
    """How this program is started."""

    def test_default(self) -> None:
        """It is a module of the Python that runs the measurement."""
        words = own_program(None).words(Path("a.conf"))
        self.assertEqual(words, [sys.executable, "-m", "stunnel_tx", "a.conf"])

    def test_place(self) -> None:
        """The path goes where the command wants it."""
        program = own_program("twistd -n stunnel --config={configuration} --other 'a b'")
        expected = ["twistd", "-n", "stunnel", "--config=a.conf", "--other", "a b"]
        self.assertEqual(program.words(Path("a.conf")), expected)

    def test_no_place(self) -> None:
        """A command that names no place takes the path last."""
        self.assertEqual(own_program("stunnel-tx").words(Path("a.conf")), ["stunnel-tx", "a.conf"])


class PeerTests(SynchronousTestCase):
    """Programs of others."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def _install(self, name: str) -> str:
        path = self.directory / name
        path.write_text("#!/bin/sh\n", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def test_first_name_wins(self) -> None:
        """Of the names that stunnel goes by, the one without a wrapper is taken."""
        self._install("stunnel")
        path = self._install("stunnel4")
        program = find_peer("stunnel", str(self.directory))
        assert program is not None
        self.assertEqual(program.words(Path("a.conf")), [path, "a.conf"])

    def test_not_installed(self) -> None:
        """A program that is not there is none."""
        self.assertIsNone(find_peer("hitch", str(self.directory)))

    def test_order(self) -> None:
        """The reference comes first, then this program; what is missing is named."""
        found = {
            name: Program(name, (name,), stunnel_configuration) for name in ("stunnel", "haproxy")
        }
        self.patch(programs, "find_peer", found.get)
        there, missing = find_programs(["haproxy", "hitch", "stunnel"], None)
        self.assertEqual(there[0], found["stunnel"])
        self.assertEqual(there[1].name, OURS)
        self.assertEqual(there[2], found["haproxy"])
        self.assertEqual(missing, ["hitch"])

    def test_no_reference(self) -> None:
        """Without the reference this program comes first."""
        self.patch(programs, "find_peer", {}.get)
        there, missing = find_programs(["stunnel"], None)
        self.assertEqual([program.name for program in there], [OURS])
        self.assertEqual(missing, ["stunnel"])
