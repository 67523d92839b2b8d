"""Tests of collecting what is wrong with the services of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.loader import examine
from stunnel_tx.configuration.sources import text_source
from stunnel_tx.errors import ConfigurationErrors, OperatingError
from stunnel_tx.service.faults import Faults, blame, without
from stunnel_tx.tls.errors import ContextRefused, FileUnusable
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.configuration.loader import Examination
    from stunnel_tx.configuration.model import Settings
    from stunnel_tx.telemetry.log import Scope


def examined(*lines: str) -> Examination:
    """The text of one service with *lines*, from line 4 on."""
    text = "\n".join(["[x]", "accept = 1", "connect = 2", *lines, ""])
    return examine(text_source(text.encode(), "f"))


def unusable(path: str) -> ContextRefused:
    """An error about a file, as a context reports it."""
    error = ContextRefused("x", f"{path}: bad")
    error.__cause__ = FileUnusable(path, "bad")
    return error


def refusing(**wrong: str) -> Callable[[Settings, Scope], Any]:
    """Stands in for what builds services: refuses the *wrong* values, one at a time."""

    def make(settings: Settings, _scope: Scope) -> Any:
        for option, value in wrong.items():
            if value in (settings[option], *(settings[option] or ())):
                raise unusable(value)
        return "built"

    return make


class CollectingTests(SynchronousTestCase):
    """Rounds of building."""

    def setUp(self) -> None:
        self.scope = Recording().scope

    def lines(self, examination: Examination, make: Callable[[Settings, Scope], Any]) -> list[str]:
        """The lines that an operator gets."""
        faults = Faults(examination)
        for settings in examination.configuration.services:
            self.assertIsNone(faults.build(settings, make, self.scope))
        return [
            str(each) for each in self.assertRaises(ConfigurationErrors, faults.settle).problems
        ]

    def test_nothing_wrong(self) -> None:
        """What can be built is built, and nothing is raised."""
        examination = examined("cert = c")
        faults = Faults(examination)
        (settings,) = examination.configuration.services
        self.assertEqual(faults.build(settings, refusing(), self.scope), "built")
        faults.settle()

    def test_each_line_once(self) -> None:
        """Every file that is bad has its line, in the order of the text."""
        found = self.lines(
            examined("CRLfile = l", "CAfile = a", "cert = c", "key = /nonexistent/k"),
            refusing(cert="c", CAfile="a", CRLfile="l"),
        )
        self.assertEqual([each.partition(":")[2].partition(":")[0] for each in found], list("4567"))
        self.assertIn("f:4: Service [x]: Failed to initialize TLS context: l: bad", found[0])
        self.assertIn("/nonexistent/k: No such file", found[3])

    def test_inherited_line(self) -> None:
        """A global line that is bad for two services is told once."""
        text = b"cert = c\n[a]\naccept = 1\nconnect = 2\n[b]\naccept = 3\nconnect = 4\n"

        def make(settings: Settings, _scope: Scope) -> Any:
            error = ContextRefused(settings.name, "c: bad")
            if settings["cert"]:
                raise error from FileUnusable("c", "bad")
            return "built"

        found = self.lines(examine(text_source(text, "f")), make)
        self.assertEqual(found, ["f:1: Service [a]: Failed to initialize TLS context: c: bad"])

    def test_beside_mistakes_of_the_text(self) -> None:
        """A service with an unknown option is built for the lines that are understood."""
        found = self.lines(examined("cert = c", "nonsense = 1"), refusing(cert="c"))
        self.assertEqual([each[:4] for each in found], ["f:4:", "f:5:"])

        def confused(_settings: Settings, _scope: Scope) -> Any:
            raise KeyError("something that is missing")

        self.assertEqual(len(self.lines(examined("cert = c", "nonsense = 1"), confused)), 1)
        faults = Faults(examined("cert = c"))
        (settings,) = examined("cert = c").configuration.services
        self.assertRaises(KeyError, faults.build, settings, confused, self.scope)

    def test_consequences(self) -> None:
        """What only fails because of a line that has been told is not told."""

        def make(settings: Settings, _scope: Scope) -> Any:
            if settings["CAfile"]:
                raise unusable("a")
            raise ValueError("no CAfile")

        self.assertEqual(len(self.lines(examined("cert = c", "CAfile = a"), make)), 1)

    def test_without_a_place(self) -> None:
        """An error that no line can be blamed for is told as it is."""

        def make(_settings: Settings, _scope: Scope) -> Any:
            raise OperatingError("out of luck")

        self.assertEqual(self.lines(examined("cert = c"), make), ["Service [x]: out of luck"])


class BlameTests(SynchronousTestCase):
    """Which line it was."""

    def test_options(self) -> None:
        """The option whose file or word the error names."""
        (settings,) = examined(
            "cert = c", "local = l", "sslVersion = TLSv1.3"
        ).configuration.services
        for error, options, place in (
            (unusable("c"), {"cert"}, "f:4"),
            (OperatingError("local: what?"), {"local"}, "f:5"),
            (OperatingError("what?"), set(), "None"),
        ):
            found, line = blame(settings, error)
            self.assertEqual((found, str(line)), (options, place))

    def test_without(self) -> None:
        """Key goes with certificate, verification with the last source of trust."""
        (settings,) = examined(
            *("cert = c", "key = k", "CAfile = a", "CApath = p", "verifyChain = yes")
        ).configuration.services
        self.assertIsNone(without(settings, frozenset({"cert"}))["key"])
        partly = without(settings, frozenset({"CAfile"}))
        self.assertTrue(partly["verification"].authenticates)
        self.assertFalse(without(partly, frozenset({"CApath"}))["verification"].authenticates)
        self.assertFalse(partly.is_set("CAfile"))
