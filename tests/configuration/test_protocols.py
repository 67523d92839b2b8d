"""Tests of stunnel_tx.configuration.protocols: the traits are those of the dialogues."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.options_protocol import PROTOCOL_OPTIONS
from stunnel_tx.configuration.protocols import BUILT_IN, OPTIONS_IN_USE, Protocol, built_in
from stunnel_tx.negotiation.registry import BUILT_IN_NAMES, find_built_in
from stunnel_tx.service.protocols import traits_of


class TraitTests(SynchronousTestCase):
    """The table against the protocols themselves."""

    def test_same_names(self) -> None:
        """Every word that can be configured has a dialogue, and the other way round.

        Those that are recognised to be refused have none.
        """
        usable = [name for name, traits in BUILT_IN.items() if not traits.unsupported]
        self.assertEqual(sorted(usable), sorted(BUILT_IN_NAMES))

    def test_same_traits(self) -> None:
        """What the rules go by is what the dialogues do."""
        for name in BUILT_IN_NAMES:
            negotiation = find_built_in(name)
            assert negotiation is not None
            self.assertEqual(traits_of(negotiation), BUILT_IN[name])

    def test_options(self) -> None:
        """The table of options names protocols and options that exist."""
        known = {option.name for option in PROTOCOL_OPTIONS}
        for (name, mode), options in OPTIONS_IN_USE.items():
            self.assertIn(name, BUILT_IN_NAMES)
            self.assertIn(mode, ("client", "server"))
            self.assertLessEqual(set(options), known)

    def test_look_up(self) -> None:
        """A known word leads to its record, another to nothing."""
        self.assertEqual(built_in("imap"), Protocol("imap", connects_first=True))
        self.assertIs(built_in("gopher"), None)
        self.assertEqual(str(BUILT_IN["imap"]), "imap")
