"""Outcomes as a table for people, and as a list for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.programs import REFERENCE
from benchmarks.summaries import ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.metrics import Figure
    from benchmarks.rounds import Outcome

#: What stands where there is no value.
_NONE: Final = "-"


def as_table(groups: Iterable[Sequence[Outcome]], programs: Sequence[str]) -> str:
    """A row for each figure of each group (a metric's outcomes); below it, what went wrong.

    Each program but the reference has a second column with the ratio to the reference, empty
    where there is none.
    """
    groups = list(groups)
    rows = [_head(programs)]
    notes: list[str] = []
    for outcomes in groups:
        by_program = {outcome.program: outcome for outcome in outcomes}
        rows.extend(
            _row(figure, by_program, programs)
            for figure in outcomes[0].metric.figures
            if figure.shown
        )
        notes.extend(note for outcome in outcomes for note in _notes(outcome))
    return "\n".join([*_aligned(rows), *([""] if notes else []), *notes]) + "\n"


def as_records(groups: Iterable[Sequence[Outcome]]) -> list[dict[str, Any]]:
    """One record for each figure of each outcome, shown in the table or not."""
    return [
        _record(outcome, figure, {other.program: other for other in outcomes}.get(REFERENCE))
        for outcomes in groups
        for outcome in outcomes
        for figure in outcome.metric.figures
    ]


def _record(outcome: Outcome, figure: Figure, reference: Outcome | None) -> dict[str, Any]:
    summary = outcome.summary(figure.key)
    return {
        "metric": outcome.metric.name,
        "figure": figure.key,
        "title": figure.title,
        "unit": figure.unit,
        "program": outcome.program,
        "median": summary and summary.median,
        "min": summary and summary.least,
        "max": summary and summary.most,
        "ratio": _ratio(figure, outcome, reference),
        "runs": len(outcome.values),
        "failures": outcome.failures,
        "left_out": outcome.left_out,
    }


def _ratio(figure: Figure, outcome: Outcome, reference: Outcome | None) -> float | None:
    if not figure.ratio or reference is None:
        return None
    return ratio(outcome.summary(figure.key), reference.summary(figure.key))


def _head(programs: Sequence[str]) -> list[str]:
    head = ["", "unit"]
    for program in programs:
        head.append(program)
        if program != REFERENCE:
            head.append("ratio")
    return head


def _row(figure: Figure, outcomes: Mapping[str, Outcome], programs: Sequence[str]) -> list[str]:
    row = [figure.title, figure.unit]
    for program in programs:
        outcome = outcomes[program]
        summary = outcome.summary(figure.key)
        row.append(_NONE if summary is None else f"{summary.median:.{figure.decimals}f}")
        if program != REFERENCE:
            value = _ratio(figure, outcome, outcomes.get(REFERENCE))
            row.append("" if value is None else f"{value:.2f}")
    return row


def _notes(outcome: Outcome) -> list[str]:
    where = f"{outcome.program}, {outcome.metric.name}"
    notes = []
    if outcome.left_out:
        notes.append(f"{where}: left out: {outcome.left_out}")
    if outcome.failures:
        runs = len(outcome.failures) + len(outcome.values)
        failed = f"{len(outcome.failures)} of {runs} runs failed"
        notes.append(f"{where}: {failed}: {' '.join(outcome.failures[0].split())}")
    return notes


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell: the first two to the left, figures to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
