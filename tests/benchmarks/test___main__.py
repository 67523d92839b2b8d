"""Tests of the command line."""

from __future__ import annotations

import contextlib
import io
import json

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.__main__ import main, make_parser
from benchmarks.metrics import DEFAULT


class CommandLineTests(SynchronousTestCase):
    """Options, and a run that measures nothing."""

    def _called(self, *arguments: str) -> tuple[object, str, str]:
        """Exit status, standard output and standard error."""
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            try:
                status: object = main(arguments)
            except SystemExit as end:
                status = end.code
        return status, output.getvalue(), errors.getvalue()

    def test_defaults(self) -> None:
        """Without an option all default metrics are measured three times."""
        options = make_parser().parse_args([])
        self.assertEqual(options.metrics.split(","), list(DEFAULT))
        self.assertEqual((options.rounds, options.seconds, options.gigabytes), (3, 2.0, 1.0))
        self.assertFalse(options.json)

    def test_bad_usage(self) -> None:
        """What makes no sense is refused before anything is started."""
        for arguments in (
            ("--metrics", "upload"),
            ("--peers", "apache"),
            ("--rounds", "0"),
            ("--seconds", "-1"),
            ("--gigabytes", "inf"),
        ):
            status, output, errors = self._called(*arguments)
            self.assertEqual((status, output), (2, ""))
            self.assertIn(arguments[1], errors)

    def test_failing_program(self) -> None:
        """A program that does not start is an honest row, and the status says so."""
        arguments = ("--peers", "", "--program", "false", "--rounds", "1", "--metrics", "start")
        status, output, errors = self._called(*arguments)
        self.assertEqual(status, 1)
        self.assertIn("stunnel_tx, start: 1 of 1 runs failed: ended with status 1", output)
        self.assertIn("without stunnel there are no ratios", errors)

    def test_json(self) -> None:
        """With --json there is one document, and nothing else, on standard output."""
        arguments = ("--peers", "", "--program", "false", "--rounds", "1", "--metrics", "start")
        status, output, _ = self._called(*arguments, "--json")
        report = json.loads(output)
        self.assertEqual(status, 1)
        self.assertEqual(report["programs"], {"stunnel_tx": ["false", "{configuration}"]})
        self.assertEqual({record["median"] for record in report["results"]}, {None})
