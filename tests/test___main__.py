"""Tests of stunnel_tx.__main__."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.doubles.processes import run_command


class ModuleTests(SynchronousTestCase):
    """``python -m stunnel_tx`` in a process of its own."""

    def test_version(self) -> None:
        """``-version`` exits with 0, prints to standard error only, as stunnel does."""
        done = run_command("-version")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertTrue(done.stderr.startswith("stunnel 5."))
