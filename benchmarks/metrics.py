"""The metrics: their names, and the figures each of them yields."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attrs import frozen

from benchmarks.errors import UnknownMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What one `make bench` measures when it is not told otherwise.
DEFAULT: Final = (
    "upload-1",
    "download-1",
    "upload-16",
    "download-16",
    "upload-64",
    "download-64",
    "client-upload-1",
    "client-download-1",
    "handshake-ecdsa",
    "handshake-rsa",
    "handshake-resumed",
    "starttls-smtp",
    "starttls-imap",
    "roundtrip-1",
    "roundtrip-64",
    "idle-1000",
    "start",
)

#: Others worth naming; any number may follow upload, download, roundtrip, idle, growth and names.
OTHERS: Final = ("idle-5000", "growth-100000", "names-1000")

_NAME: Final = re.compile(
    r"(?P<client>client-)?(?P<kind>upload|download|roundtrip|idle|growth|names)"
    r"-(?P<number>[1-9][0-9]{0,5})"
    r"|(?P<other_client>client-)?(?P<other>handshake-(?:ecdsa|rsa|resumed)|starttls-(?:smtp|imap)|start)"
)


@frozen
class Figure:
    """One value of a metric: a key, its row in the table, its unit and how many decimals it needs.

    A figure that is not *shown* is in the JSON only: it is bounded by the load generator.
    """

    key: str
    title: str
    unit: str
    decimals: int = 0
    ratio: bool = True
    shown: bool = True


@frozen
class Metric:
    """A kind of work: *kind* (``upload``, ``handshake`` ...), its *number* or *variant*, the side.

    With *client* the program is the TLS client, and the load is plain.
    """

    name: str
    kind: str
    number: int = 0
    variant: str = ""
    client: bool = False

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What there is to know about it, the most important first."""
        side = "client mode: " if self.client else ""
        streams = "1 stream" if self.number == 1 else f"{self.number} streams"
        connections = "1 connection" if self.number == 1 else f"{self.number} connections"
        shapes: dict[str, tuple[Figure, ...]] = {
            "upload": _bulk(f"{side}upload, {streams}"),
            "download": _bulk(f"{side}download, {streams}"),
            "handshake": _handshake(f"{side}handshake, {_HANDSHAKES.get(self.variant, '')}"),
            "starttls": _negotiation(self.variant),
            "roundtrip": (
                Figure("cpu", f"{side}64-byte round trip, {connections}", "µs", 1),
                Figure("p99", f"{side}its latency, 99 % below", "µs"),
                Figure(
                    "rate", f"{side}round trips, {connections}", "1/s", ratio=False, shown=False
                ),
            ),
            "idle": (Figure("memory", f"{side}idle connection, of {self.number}", "KB", 1),),
            "growth": (
                Figure("growth", f"memory growth, {self.number} connections", "%", 1, ratio=False),
            ),
            "names": (
                Figure("time", f"start to listening, {self.number} server names", "ms"),
                Figure("memory", f"memory after start, {self.number} server names", "MB", 1),
            ),
            "start": (
                Figure("time", "start to listening", "ms"),
                Figure("memory", "memory after start", "MB", 1),
            ),
        }
        return shapes[self.kind]


_HANDSHAKES: Final = {"ecdsa": "ECDSA P-256", "rsa": "RSA 2048", "resumed": "resumed"}


def _bulk(title: str) -> tuple[Figure, ...]:
    return (
        Figure("cpu", title, "s/GB", 3),
        Figure("rate", f"{title}: throughput", "MB/s", ratio=False, shown=False),
    )


def _handshake(title: str) -> tuple[Figure, ...]:
    return (
        Figure("cpu", title, "µs"),
        Figure("rate", f"{title}: rate", "1/s", ratio=False, shown=False),
    )


def _negotiation(protocol: str) -> tuple[Figure, ...]:
    title = f"{protocol} STARTTLS alone (own bound: 150)"
    return (
        *_handshake(f"{protocol} STARTTLS and handshake"),
        Figure("extra", title, "µs", ratio=False),
    )


def parse_metric(name: str) -> Metric:
    """The metric called *name*; raises :class:`~benchmarks.errors.UnknownMetric`."""
    match = _NAME.fullmatch(name)
    if match is None:
        known = ", ".join((*DEFAULT, *OTHERS))
        raise UnknownMetric(f"no metric {name!r}; there are: {known} (and other numbers)")
    if match["kind"]:
        metric = Metric(name, match["kind"], int(match["number"]), client=bool(match["client"]))
    else:
        kind, _, variant = match["other"].partition("-")
        metric = Metric(name, kind, variant=variant, client=bool(match["other_client"]))
    if metric.client and (metric.kind not in _CLIENT_KINDS or metric.variant):
        raise UnknownMetric(f"no metric {name!r}: client mode has {', '.join(_CLIENT_KINDS)}")
    return metric


_CLIENT_KINDS: Final = ("upload", "download", "roundtrip", "idle")


def parse_metrics(text: str) -> Sequence[Metric]:
    """The metrics of a comma-separated list; raises :class:`~benchmarks.errors.UnknownMetric`."""
    return [parse_metric(name.strip()) for name in text.split(",") if name.strip()]
