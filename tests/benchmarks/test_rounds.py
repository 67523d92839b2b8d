"""Tests of the order of runs, and of what becomes of failures."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.errors import MeasurementFailed, NotMeasurable
from benchmarks.metrics import Metric, parse_metric
from benchmarks.programs import Program, own_program
from benchmarks.rounds import in_turn

_METRIC = parse_metric("start")


def _program(name: str) -> Program:
    own = own_program(None)
    return Program(name, own.command, own.configuration)


_PROGRAMS = [_program("one"), _program("two")]


class InTurnTests(SynchronousTestCase):
    """Rounds over all programs."""

    def test_alternating(self) -> None:
        """Every other round goes backwards, and the values stay with their program."""
        said: list[str] = []
        asked: list[str] = []

        def once(metric: Metric, program: Program) -> dict[str, float]:
            asked.append(program.name)
            return {"time": float(len(asked))}

        one, two = in_turn(_METRIC, _PROGRAMS, 3, once, said.append)
        self.assertEqual(asked, ["one", "two", "two", "one", "one", "two"])
        self.assertEqual([run["time"] for run in one.values], [1.0, 4.0, 5.0])
        self.assertEqual([run["time"] for run in two.values], [2.0, 3.0, 6.0])
        self.assertEqual(said[0], "start, round 1 of 3: one")

    def test_failures(self) -> None:
        """A run that fails is counted, and the others still have their median."""
        results = iter([1.0, None, 3.0])

        def once(metric: Metric, program: Program) -> dict[str, float]:
            value = next(results)
            if value is None:
                raise MeasurementFailed("out of order")
            return {"time": value}

        (outcome,) = in_turn(_METRIC, _PROGRAMS[:1], 3, once, lambda _: None)
        self.assertEqual(outcome.failures, ["out of order"])
        summary = outcome.summary("time")
        assert summary is not None
        self.assertEqual((summary.median, summary.runs), (2.0, 2))

    def test_left_out(self) -> None:
        """What a program cannot do is tried once."""
        asked: list[str] = []

        def once(metric: Metric, program: Program) -> dict[str, float]:
            asked.append(program.name)
            raise NotMeasurable("no such mode")

        (outcome,) = in_turn(_METRIC, _PROGRAMS[:1], 3, once, lambda _: None)
        self.assertEqual(asked, ["one"])
        self.assertEqual(outcome.left_out, "no such mode")
        self.assertIsNone(outcome.summary("time"))
