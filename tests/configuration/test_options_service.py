"""Tests of stunnel_tx.configuration.options_service."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.addresses import EndpointString, HostPort
from stunnel_tx.configuration.option import Context
from stunnel_tx.configuration.options_service import SERVICE_OPTIONS
from stunnel_tx.configuration.values import DebugLevel, InvalidValue
from tests.configuration.table_checks import check_bad_values, check_good_values


class TableTests(SynchronousTestCase):
    """The values of the options of this table."""

    def test_good_values(self) -> None:
        """Every option of the table reads its good samples as the values they stand for."""
        check_good_values(self, SERVICE_OPTIONS)

    def test_bad_values(self) -> None:
        """Every option of the table refuses its bad samples, with a reason and a remedy."""
        check_bad_values(self, SERVICE_OPTIONS)

    def test_section_debug_has_no_facility(self) -> None:
        """In a section, debug is a level alone; a facility belongs to the global part."""
        option = next(option for option in SERVICE_OPTIONS if option.name == "debug")
        in_section = Context(in_section=True)
        self.assertEqual(option.read("info", in_section), DebugLevel(None, 6))
        self.assertRaises(InvalidValue, option.read, "daemon.info", in_section)

    def test_endpoint_kinds_are_an_argument(self) -> None:
        """A first word is an endpoint kind only if the caller says so."""
        option = next(option for option in SERVICE_OPTIONS if option.name == "connect")
        onion = Context(endpoint_kinds=frozenset({"onion"}))
        self.assertEqual(option.read("onion:x", onion), (EndpointString("onion", "onion:x"),))
        self.assertEqual(option.read("tcp:80", onion), (HostPort("tcp", 80, "tcp:80"),))
