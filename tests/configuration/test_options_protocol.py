"""Tests of stunnel_tx.configuration.options_protocol."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.options_protocol import PROTOCOL_OPTIONS
from tests.configuration.table_checks import check_bad_values, check_good_values


class TableTests(SynchronousTestCase):
    """The values of the options of this table."""

    def test_good_values(self) -> None:
        """Every option of the table reads its good samples as the values they stand for."""
        check_good_values(self, PROTOCOL_OPTIONS)

    def test_bad_values(self) -> None:
        """Every option of the table refuses its bad samples, with a reason and a remedy."""
        check_bad_values(self, PROTOCOL_OPTIONS)
