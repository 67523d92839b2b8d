"""``python -m benchmarks``: this program beside stunnel, haproxy and hitch, as a table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.certificates import make_certificates
from benchmarks.errors import BenchmarkError, UnknownMetric
from benchmarks.limits import raise_open_files
from benchmarks.measurements import Bench, backends_of, measure
from benchmarks.metrics import DEFAULT, OTHERS, parse_metrics
from benchmarks.processes import ROOT, Process, free_port
from benchmarks.programs import PEERS, PLACE, REFERENCE, find_programs
from benchmarks.rounds import in_turn
from benchmarks.table import as_records, as_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.certificates import Certificates
    from benchmarks.metrics import Metric
    from benchmarks.programs import Program
    from benchmarks.rounds import Outcome


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure this program beside others: CPU time, memory, latency, start-up.",
        epilog=f"Metrics: {', '.join(DEFAULT)} (the default); also {', '.join(OTHERS)}. "
        "upload, download, roundtrip, idle, growth and names take any number.",
    )
    parser.add_argument("--metrics", default=",".join(DEFAULT), help="comma-separated names")
    parser.add_argument("--rounds", type=_positive, default=3, help="runs of each (3)")
    parser.add_argument("--seconds", type=_amount, default=2.0, help="of each timed run (2)")
    parser.add_argument("--gigabytes", type=_amount, default=1.0, help="of each bulk run (1)")
    parser.add_argument(
        "--peers", default=",".join(PEERS), help="programs beside this one (%(default)s)"
    )
    parser.add_argument(
        "--program",
        help=f"the command that starts this program; {PLACE} stands for the file "
        "(the running Python, -m stunnel_tx)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def _amount(text: str) -> float:
    if not 0 < float(text) < float("inf"):
        raise ValueError(text)
    return float(text)


def start_backends(
    metrics: Sequence[Metric], certificates: Certificates, directory: Path, stack: ExitStack
) -> dict[str, int]:
    """Start the backends that *metrics* need, until *stack* ends; their ports by name."""
    ports: dict[str, int] = {}
    for name in sorted({name for metric in metrics for name in backends_of(metric)}):
        ports[name] = free_port()
        words = [sys.executable, "-m", "benchmarks.backend", "--port", str(ports[name])]
        if name == "tls":
            words += ["--certificate", str(certificates.ecdsa)]
        elif name != "plain":
            words += ["--protocol", name]
        backend = stack.enter_context(Process(f"backend-{name}", words, directory, ROOT))
        backend.listening(ports[name])
    return ports


def run(
    options: argparse.Namespace, metrics: Sequence[Metric], programs: Sequence[Program]
) -> tuple[list[list[Outcome]], bool]:
    """Measure everything: the outcomes by metric, and whether all of it was done.

    Ctrl-C ends it early, with what there is by then.
    """
    files = raise_open_files()
    groups: list[list[Outcome]] = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        certificates = make_certificates(directory)
        ports = start_backends(metrics, certificates, directory, stack)
        bench = Bench(directory, certificates, ports, options.seconds, options.gigabytes, files)
        once = partial(measure, bench=bench)
        try:
            for metric in metrics:
                outcomes = in_turn(metric, programs, options.rounds, once, _progress)
                groups.append(outcomes)
        except KeyboardInterrupt:
            return groups, False
    return groups, True


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, measure, print. 0: all done; 1: a program failed; 2: bad usage."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if not Path("/proc/self/smaps_rollup").exists():
        parser.error("CPU time and memory are read from /proc, which needs Linux 5.3 or newer")
    try:
        metrics = parse_metrics(options.metrics)
    except UnknownMetric as error:
        parser.error(str(error))
    peers = [name.strip() for name in options.peers.split(",") if name.strip()]
    for name in peers:
        if name not in PEERS:
            parser.error(f"no peer {name!r}; there are: {', '.join(PEERS)}")
    programs, missing = find_programs(peers, options.program)
    for name in missing:
        _progress(f"{name} is not installed and is left out")
    if not any(program.name == REFERENCE for program in programs):
        _progress(f"without {REFERENCE} there are no ratios")
    try:
        groups, complete = run(options, metrics, programs)
    except BenchmarkError as error:
        _progress(f"error: {error}")
        return 1
    print(_report(options, groups, programs, missing), end="")
    if not complete:
        return 130
    return int(any(outcome.failures for outcomes in groups for outcome in outcomes))


def _report(
    options: argparse.Namespace,
    groups: Sequence[Sequence[Outcome]],
    programs: Sequence[Program],
    missing: Sequence[str],
) -> str:
    if not options.json:
        return as_table(groups, [program.name for program in programs])
    report = {
        "machine": {
            "system": platform.platform(),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
        },
        "programs": {program.name: list(program.command) for program in programs},
        "not_installed": list(missing),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "gigabytes": options.gigabytes,
        "results": as_records(groups),
    }
    return json.dumps(report, indent=2) + "\n"


if __name__ == "__main__":
    # Nothing stays behind when somebody ends this from outside.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
