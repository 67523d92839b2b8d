"""All programs in turn, several times: what each metric gave, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from benchmarks.errors import MeasurementFailed, NotMeasurable
from benchmarks.summaries import summarize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.metrics import Metric
    from benchmarks.programs import Program
    from benchmarks.summaries import Summary


@define
class Outcome:
    """What one program showed for one metric in all rounds.

    *values* are those of each good run, by figure; *failures* say why the other runs have none;
    *left_out* says why there was no run at all.
    """

    metric: Metric
    program: str
    values: list[dict[str, float]] = field(factory=list)
    failures: list[str] = field(factory=list)
    left_out: str = ""

    def summary(self, figure: str) -> Summary | None:
        """The summary of one figure, if any run was good."""
        return summarize([run[figure] for run in self.values])


def in_turn(
    metric: Metric,
    programs: Sequence[Program],
    rounds: int,
    once: Callable[[Metric, Program], dict[str, float]],
    progress: Callable[[str], None],
) -> list[Outcome]:
    """Measure *metric* of all *programs*, with *once*, in so many *rounds*.

    Every other round goes backwards, so that a machine that becomes faster or slower on the way
    does so for all of them alike. *progress* is told what comes next.
    """
    outcomes = [Outcome(metric, program.name) for program in programs]
    pairs = list(zip(programs, outcomes, strict=True))
    for number in range(rounds):
        for program, outcome in pairs if number % 2 == 0 else reversed(pairs):
            if outcome.left_out:
                continue
            progress(f"{metric.name}, round {number + 1} of {rounds}: {program.name}")
            try:
                outcome.values.append(once(metric, program))
            except NotMeasurable as error:
                outcome.left_out = str(error)
            except MeasurementFailed as error:
                outcome.failures.append(str(error))
    return outcomes
