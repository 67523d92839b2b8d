"""What can go wrong with one value; none of it ends the measurement of the others.

``BenchmarkError``
    ``MeasurementFailed`` (this run has no value: the program or its load ended badly)
    ``NotMeasurable`` (this program, or this machine, cannot do this kind of work)
    ``UnknownMetric`` (the user asked for something there is not)
"""

from __future__ import annotations


class BenchmarkError(Exception):
    """The root of all errors raised here; its text is fit for the user."""


class MeasurementFailed(BenchmarkError):
    """A run without a value, and why."""


class NotMeasurable(BenchmarkError):
    """A metric that makes no sense for a program, or does not fit the machine."""


class UnknownMetric(BenchmarkError):
    """A name that is no metric."""
