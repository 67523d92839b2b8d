"""Tests of the words of ``protocol``: ours first, then those of plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from stunnel_tx import plugins
from stunnel_tx.configuration.protocols import Protocol
from stunnel_tx.errors import OperatingError
from stunnel_tx.interfaces import INegotiation
from stunnel_tx.negotiation.stages import Negotiation, Stages
from stunnel_tx.service import protocols
from stunnel_tx.service.protocols import find_negotiation, find_protocol, traits_of
from twisted import plugin

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation


async def silence(_conversation: Conversation) -> None:
    """Say nothing."""


@implementer(INegotiation)
class Gopher:
    """A protocol of somebody else; *values* change what it says of itself."""

    def __init__(self, **values: Any) -> None:
        self.name: Any = "gopher"
        self.client: Stages | None = None
        self.server: Stages | None = Stages(early=silence)
        self.specification = "RFC 1436"
        self.alpn: Any = [b"gopher"]
        vars(self).update(values)


class PluginCase(SynchronousTestCase):
    """Plugins as if they were installed, looked for anew by each test."""

    def setUp(self) -> None:
        protocols._plugins.cache_clear()
        self.addCleanup(protocols._plugins.cache_clear)
        self.looked = 0

    def install(self, *found: object) -> None:
        """Let the search for plugins end with *found*."""

        def search(interface: object, package: object) -> tuple[object, ...]:
            self.assertIs(interface, INegotiation)
            self.assertIs(package, plugins)
            self.looked += 1
            return found

        self.patch(plugin, "getPlugins", search)


class BuiltInTests(PluginCase):
    """Our own protocols."""

    def test_no_search(self) -> None:
        """For a word of ours nobody looks for plugins: that takes longer than a start."""
        self.install()
        self.assertEqual(find_protocol("imap"), Protocol("imap", connects_first=True))
        self.assertEqual(find_negotiation("imap").name, "imap")
        self.assertEqual(self.looked, 0)

    def test_nobody_knows(self) -> None:
        """A word that nobody knows is no protocol; to talk it is the operator's error."""
        self.install()
        self.assertIs(find_protocol("gopher"), None)
        error = self.assertRaises(OperatingError, find_negotiation, "gopher")
        self.assertIn("protocol = gopher", str(error))


class ThirdPartyTests(PluginCase):
    """Protocols of plugins."""

    def test_found(self) -> None:
        """A plugin's word is a protocol with what the plugin says of itself."""
        gopher = Gopher()
        self.install(gopher)
        self.assertEqual(
            find_protocol("gopher"), Protocol("gopher", client=False, server=True, before_tls=True)
        )
        found = find_negotiation("gopher")
        self.assertEqual(
            found, Negotiation("gopher", None, gopher.server, "RFC 1436", (b"gopher",))
        )

    def test_searched_once(self) -> None:
        """The search is made once: the process may change its root afterwards."""
        self.install(Gopher())
        for _ in range(3):
            find_protocol("gopher")
            find_protocol("finger")
            find_negotiation("gopher")
        self.assertEqual(self.looked, 1)

    def test_same_word_twice(self) -> None:
        """Two plugins of one name, or one with a name of ours, are an error, not a choice."""
        for names in (("gopher", "gopher"), ("imap",)):
            protocols._plugins.cache_clear()
            self.install(*(Gopher(name=name) for name in names))
            error = self.assertRaises(OperatingError, find_protocol, "x")
            self.assertIn(f"two protocols are called {names[0]}", str(error))

    def test_incomplete(self) -> None:
        """A plugin without what the interface asks for is named as unusable."""
        incomplete = Gopher()
        del incomplete.specification
        self.install(incomplete)
        error = self.assertRaises(OperatingError, find_protocol, "gopher")
        self.assertIn("a protocol plugin cannot be used: ", str(error))
        self.assertIn("specification", str(error))

    def test_names(self) -> None:
        """A name is what can stand behind ``protocol =`` in lower case, and not endless."""
        for name in ("Gopher", "go pher", "", "-gopher", "g" * 65, "gopher\n", b"gopher", None):
            protocols._plugins.cache_clear()
            self.install(Gopher(name=name))
            error = self.assertRaises(OperatingError, find_protocol, "x")
            self.assertIn("a protocol plugin has the name ", str(error), repr(name))
            self.assertLess(len(str(error)), 120)


class TraitTests(SynchronousTestCase):
    """What the configuration has to know, from what a protocol does."""

    def traits(self, server: Stages | None, client: Stages | None = None) -> Protocol:
        """The traits of a protocol with these stages."""
        return traits_of(Negotiation("x", client, server, ""))

    def test_modes(self) -> None:
        """A protocol is there in the modes in which it has stages, empty ones included."""
        for server, client in ((Stages(), None), (None, Stages()), (None, None)):
            found = self.traits(server, client)
            self.assertEqual((found.server, found.client), (server is not None, client is not None))

    def test_before_tls(self) -> None:
        """It is spoken before TLS where a server has an early stage, or connects first."""
        for stages, before in (
            (Stages(), False),
            (Stages(middle=silence, late=silence), False),
            (Stages(early=silence), True),
            (Stages(connects_first=True), True),
        ):
            self.assertEqual(self.traits(stages).before_tls, before, stages)
        self.assertFalse(self.traits(None, Stages(early=silence)).before_tls)

    def test_order_and_choice(self) -> None:
        """What a server does first, and who says where to go, are taken from its stages."""
        found = self.traits(Stages(connects_first=True, chooses_destination=True))
        self.assertTrue(found.connects_first)
        self.assertTrue(found.chooses_destination)
        found = self.traits(Stages(), Stages(connects_first=True, chooses_destination=True))
        self.assertFalse(found.connects_first)
        self.assertFalse(found.chooses_destination)
