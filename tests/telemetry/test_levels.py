"""Tests of stunnel_tx.telemetry.levels."""

from __future__ import annotations

import syslog

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.telemetry.levels import FACILITIES, LEVEL_MARKS, LEVEL_NAMES


class LevelTests(SynchronousTestCase):
    """Levels and facilities are those of syslog."""

    def test_names_and_marks_cover_all_levels(self) -> None:
        """Each of the eight severities has a name and a start-up mark."""
        self.assertEqual((len(LEVEL_NAMES), len(LEVEL_MARKS)), (8, 8))
        self.assertEqual(LEVEL_NAMES.index("notice"), syslog.LOG_NOTICE)

    def test_facility_codes_are_those_of_the_c_library(self) -> None:
        """A facility's code, shifted by three bits, is the C library's constant."""
        known = {
            name: getattr(syslog, f"LOG_{name.upper()}")
            for name in FACILITIES
            if hasattr(syslog, f"LOG_{name.upper()}")
        }
        self.assertGreaterEqual(len(known), 17)
        self.assertEqual(known, {name: FACILITIES[name] << 3 for name in known})
