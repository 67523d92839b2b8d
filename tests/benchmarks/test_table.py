"""Tests of the table and of the records."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.metrics import parse_metric
from benchmarks.rounds import Outcome
from benchmarks.table import as_records, as_table

_UPLOAD = parse_metric("upload-1")


def _outcome(program: str, *seconds: float) -> Outcome:
    values = [{"cpu": value, "rate": 800.0} for value in seconds]
    return Outcome(_UPLOAD, program, values)


class TableTests(SynchronousTestCase):
    """The table for people."""

    def test_medians_and_ratios(self) -> None:
        """Each program shows its median, and all but the reference its ratio."""
        group = [_outcome("stunnel", 1.0, 3.0, 2.0), _outcome("stunnel_tx", 1.0)]
        self.assertEqual(
            as_table([group], ["stunnel", "stunnel_tx"]).splitlines(),
            [
                "                  unit  stunnel  stunnel_tx  ratio",
                "upload, 1 stream  s/GB    2.000       1.000   0.50",
            ],
        )

    def test_no_reference(self) -> None:
        """Without the reference the column of ratios is there and empty."""
        table = as_table([[_outcome("stunnel_tx", 1.0)]], ["stunnel_tx"])
        self.assertEqual(table.splitlines()[0].split(), ["unit", "stunnel_tx", "ratio"])
        self.assertTrue(table.splitlines()[1].endswith(" 1.000"))

    def test_ratio_makes_no_sense(self) -> None:
        """A figure that may be zero or below has no ratio."""
        growth = parse_metric("growth-100")
        group = [Outcome(growth, name, [{"growth": 1.0}]) for name in ("stunnel", "stunnel_tx")]
        table = as_table([group], ["stunnel", "stunnel_tx"])
        self.assertEqual(table.splitlines()[1].split()[-3:], ["%", "1.0", "1.0"])

    def test_failures(self) -> None:
        """What failed has no value, and the reason, on one line, below the table."""
        failed = Outcome(_UPLOAD, "stunnel_tx", [], ["ended with status 1:\nno such option"] * 3)
        group = [_outcome("stunnel", 1.0), failed]
        lines = as_table([group], ["stunnel", "stunnel_tx"]).splitlines()
        self.assertEqual(lines[1].split()[-2:], ["1.000", "-"])
        self.assertEqual(
            lines[-1],
            "stunnel_tx, upload-1: 3 of 3 runs failed: ended with status 1: no such option",
        )

    def test_left_out(self) -> None:
        """What a program cannot do is said below the table."""
        outcome = Outcome(_UPLOAD, "hitch", left_out="no client mode")
        lines = as_table([[outcome]], ["hitch"]).splitlines()
        self.assertEqual(lines[-1], "hitch, upload-1: left out: no client mode")


class RecordTests(SynchronousTestCase):
    """The list for programs."""

    def test_records(self) -> None:
        """Each figure has its record, also one that the table does not show."""
        group = [_outcome("stunnel", 2.0), _outcome("stunnel_tx", 1.0, 3.0, 1.0)]
        records = json.loads(json.dumps(as_records([group])))
        self.assertEqual([record["figure"] for record in records], ["cpu", "rate"] * 2)
        ours = records[2]
        self.assertEqual(
            {key: ours[key] for key in ("median", "min", "max", "ratio", "runs", "unit")},
            {"median": 1.0, "min": 1.0, "max": 3.0, "ratio": 0.5, "runs": 3, "unit": "s/GB"},
        )
        self.assertIsNone(records[3]["ratio"])

    def test_failure(self) -> None:
        """A figure without a value is null, with the reason beside it."""
        (record, _) = as_records([[Outcome(_UPLOAD, "stunnel_tx", [], ["gone"])]])
        self.assertIsNone(record["median"])
        self.assertEqual(record["failures"], ["gone"])
