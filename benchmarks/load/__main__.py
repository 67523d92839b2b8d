"""One process of the load generator."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import Protocol

from benchmarks.limits import raise_open_files
from benchmarks.load.bulk import Bulk
from benchmarks.load.handshakes import Handshakes
from benchmarks.load.idle import Idle
from benchmarks.load.round_trips import RoundTrips
from benchmarks.load.work import READY, Result, Work


class Load(Protocol):
    """What each kind of work does; making one opens its connections."""

    def run(self) -> Result:
        """Do the work."""

    def close(self) -> None:
        """Close what is open."""


def make_load(work: Work) -> Load:
    """The load for *work*, connected."""
    if work.kind in {"upload", "download"}:
        return Bulk(work)
    if work.kind == "handshake":
        return Handshakes(work)
    if work.kind == "roundtrip":
        return RoundTrips(work)
    if work.kind == "idle":
        return Idle(work)
    raise ValueError(f"no such work: {work.kind!r}")


def main(text: str) -> int:
    """Connect, wait for the word, work, report."""
    raise_open_files()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        load = make_load(Work.from_json(text))
    except OSError as error:
        _say(f"not connected: {error}")
        return 1
    _say(READY)
    sys.stdin.readline()
    _say(load.run().to_json())
    load.close()
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1]))
