"""Medians, ratios, and latencies counted in buckets that several processes can add up."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Buckets grow by this factor, so a percentile is right within 2 %.
_GROWTH: Final = 1.02
_STEP: Final = math.log(_GROWTH)

#: Seconds; anything shorter falls into the first bucket.
_SHORTEST: Final = 1e-7


@frozen
class Summary:
    """The values of one figure over all rounds: median, smallest, largest and how many."""

    median: float
    least: float
    most: float
    runs: int


def summarize(values: Sequence[float]) -> Summary | None:
    """The summary of *values*, or None of none at all."""
    if not values:
        return None
    return Summary(statistics.median(values), min(values), max(values), len(values))


def ratio(value: Summary | None, reference: Summary | None) -> float | None:
    """Median to median, where both exist and the reference is above zero."""
    if value is None or reference is None or reference.median <= 0:
        return None
    return value.median / reference.median


class Latencies:
    """How many operations took how long, in buckets of equal relative width."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts = dict(counts or {})

    def add(self, seconds: float) -> None:
        """Count one operation of *seconds*."""
        bucket = int(math.log(max(seconds, _SHORTEST) / _SHORTEST) / _STEP)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def percentile(self, percent: float) -> float | None:
        """The seconds that *percent* of all operations stayed below; None without operations."""
        total = sum(self.counts.values())
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= total * percent / 100:
                return _SHORTEST * math.exp(_STEP * (bucket + 0.5))
        return None

    @classmethod
    def together(cls, parts: Iterable[Latencies]) -> Latencies:
        """All of *parts* in one."""
        whole = cls()
        for part in parts:
            for bucket, count in part.counts.items():
                whole.counts[bucket] = whole.counts.get(bucket, 0) + count
        return whole
