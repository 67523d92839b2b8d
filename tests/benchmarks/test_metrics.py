"""Tests of the metrics' names and figures."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.errors import UnknownMetric
from benchmarks.measurements import _KINDS
from benchmarks.metrics import DEFAULT, OTHERS, Metric, parse_metric, parse_metrics


class ParseTests(SynchronousTestCase):
    """From a name to a metric."""

    def test_known(self) -> None:
        """Every name that the help shows is a metric, can be measured, and has a shown figure."""
        for name in (*DEFAULT, *OTHERS):
            metric = parse_metric(name)
            self.assertEqual(metric.name, name)
            self.assertIn(metric.kind, _KINDS)
            self.assertTrue(metric.figures[0].shown, name)

    def test_figures_are_told_apart(self) -> None:
        """No two figures of all the metrics have the same title, but for the latency's."""
        titles = [
            figure.title
            for name in (*DEFAULT, *OTHERS)
            for figure in parse_metric(name).figures
            if figure.key != "p99"
        ]
        self.assertEqual(len(titles), len(set(titles)))

    def test_number(self) -> None:
        """The number is how many connections there are."""
        self.assertEqual(parse_metric("upload-7"), Metric("upload-7", "upload", 7))

    def test_client(self) -> None:
        """The prefix is about the side that speaks TLS."""
        metric = parse_metric("client-download-1")
        self.assertEqual((metric.kind, metric.number, metric.client), ("download", 1, True))

    def test_unknown(self) -> None:
        """A wrong name, number or side is refused."""
        for name in (
            "",
            "upload",
            "upload-0",
            "upload--1",
            "upload-1x",
            "handshake-dsa",
            "client-handshake-rsa",
            "client-growth-10",
            "client-names-10",
            "client-start",
            "starttls-ftp",
        ):
            with self.assertRaises(UnknownMetric):
                parse_metric(name)

    def test_list(self) -> None:
        """Blanks and an empty item do no harm; the order is kept."""
        names = [metric.name for metric in parse_metrics(" start, upload-1,")]
        self.assertEqual(names, ["start", "upload-1"])
