"""Tests of what all tunnels share."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.telemetry.levels import CRIT, DEBUG, INFO
from tests.doubles.tunnels import TunnelRig


class FaultTests(SynchronousTestCase):
    """A bug in the program itself."""

    def report(self, threshold: int) -> list[tuple[int, str, str]]:
        """The lines that a fault leaves at *threshold*."""
        rig = TunnelRig()
        self.addCleanup(rig.close)
        rig.log.log.threshold = threshold
        try:
            raise ZeroDivisionError("of all things")  # noqa: TRY301 - it needs a traceback
        except ZeroDivisionError as error:
            rig.runtime.fault(rig.log.scope, "a test", error)
        return rig.log.lines

    def test_one_line_for_everybody(self) -> None:
        """An operator gets one line that names the place and the error."""
        wanted = "Internal error in a test: ZeroDivisionError: of all things; please report this"
        self.assertEqual(self.report(INFO), [(CRIT, "0", wanted)])

    def test_traceback_for_those_who_debug(self) -> None:
        """With ``debug = 7`` the traceback follows, each of its lines a line of the log."""
        lines = self.report(DEBUG)
        self.assertIn("Traceback (most recent call last):", [text for _, _, text in lines])
        self.assertEqual({level for level, _, _ in lines[1:]}, {DEBUG})
        self.assertEqual(lines[-1][2], "ZeroDivisionError: of all things")
