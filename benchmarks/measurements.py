"""One metric of one program, once: start it, load it, read its CPU time or memory, end it."""

from __future__ import annotations

import os
import time
from statistics import mean
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from benchmarks.certificates import make_named
from benchmarks.configurations import Setting
from benchmarks.errors import MeasurementFailed, NotMeasurable
from benchmarks.generator import Generator
from benchmarks.limits import SPARE, most_connections
from benchmarks.load.work import Work
from benchmarks.processes import Process, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.certificates import Certificates
    from benchmarks.load.work import Result
    from benchmarks.metrics import Metric
    from benchmarks.programs import Program

#: Seconds after which a program has nothing left to do, after its start and after a load.
_SETTLED: Final = 0.3

#: Seconds beyond those that a load is meant to take.
_LEEWAY: Final = 60.0

#: Seconds that a gigabyte may take, on a machine that others use too.
_PER_GIGABYTE: Final = 60.0

#: Connections that bring memory and code paths of a program to where they stay.
_WARM_UP: Final = 100

#: Bytes that do it for bulk transfers.
_WARM_UP_SIZE: Final = 16 * 1024 * 1024

#: Simultaneous handshakes, and those with STARTTLS: there a program waits so many seconds to see
#: whether the client starts TLS unasked.
_HANDSHAKES: Final = 8
_NEGOTIATIONS: Final = 64
_NEGOTIATION_WAIT: Final = 0.2

#: The part of handshakes that must have been resumed for a figure to be one of resumption.
_RESUMED: Final = 0.95

_MILLION: Final = 1e6
_GIGABYTE: Final = 1e9


@frozen
class Bench:
    """What all measurements share: files, backends by name, the size of a load, open files."""

    directory: Path
    certificates: Certificates
    backends: Mapping[str, int]
    seconds: float
    gigabytes: float
    files: int


def backends_of(metric: Metric) -> tuple[str, ...]:
    """The names of the backends that *metric* needs, the most important first.

    They are ``plain``, ``tls`` or a protocol.
    """
    if metric.client:
        return ("tls",)
    return (metric.variant, "plain") if metric.kind == "starttls" else ("plain",)


def measure(metric: Metric, program: Program, bench: Bench) -> dict[str, float]:
    """The value of each figure of *metric*.

    Raises :class:`~benchmarks.errors.NotMeasurable` where it makes no sense, and
    :class:`~benchmarks.errors.MeasurementFailed` when something went wrong.
    """
    if metric.kind == "idle" and 2 * metric.number + SPARE > bench.files:
        needed = 2 * metric.number + SPARE
        raise NotMeasurable(f"needs {needed} open files (ulimit -n), there are {bench.files}")
    setting = setting_of(metric, bench, free_port())
    path = bench.directory / f"{program.name}.conf"
    path.write_text(program.configuration(setting), encoding="utf-8")
    with Process(program.name, program.words(path), bench.directory) as process:
        started = process.listening(setting.accept)
        time.sleep(_SETTLED)
        run = Run(metric, bench, process, setting, started)
        figures = _KINDS[metric.kind](run)
        process.check()
    return figures


def setting_of(metric: Metric, bench: Bench, accept: int) -> Setting:
    """What a program is to do for *metric* on port *accept*."""
    certificates = bench.certificates
    return Setting(
        accept=accept,
        connect=bench.backends[backends_of(metric)[0]],
        certificate=certificates.rsa if metric.variant == "rsa" else certificates.ecdsa,
        client=metric.client,
        protocol=metric.variant if metric.kind == "starttls" else "",
        most_connections=min(10000, most_connections(bench.files)),
        user="nobody" if os.geteuid() == 0 else "",
        names=make_named(bench.directory, metric.number) if metric.kind == "names" else (),
        beside=(free_port(), bench.backends["plain"]) if metric.kind == "starttls" else None,
    )


@frozen
class Run:
    """A program that does what *setting* says since *started* seconds after its start."""

    metric: Metric
    bench: Bench
    process: Process
    setting: Setting
    started: float

    def work(self, kind: str) -> Work:
        """Work of *kind*, to be filled in."""
        return Work(kind, self.setting.accept, tls=not self.metric.client)

    def loaded(self, work: Work, seconds: float) -> tuple[float, Result]:
        """Do *work*: the CPU seconds of the program meanwhile, connections opened before."""
        with Generator(work) as generator:
            before = self.process.cpu()
            result = generator.run(seconds + _LEEWAY)
            if work.kind == "handshake":
                # The last connections are still being closed.
                time.sleep(_SETTLED)
            used = self.process.cpu() - before
        self.process.check()
        if used <= 0 or not result.units:
            raise MeasurementFailed(f"{result.units} units of work in {used} s of CPU time")
        return used, result

    def warm_up(self, count: int = _WARM_UP) -> None:
        """Open and close so many connections."""
        work = evolve(self.work("handshake"), connections=_HANDSHAKES, count=count)
        self.loaded(work, _LEEWAY)


def _bulk(run: Run) -> dict[str, float]:
    metric, bench = run.metric, run.bench
    one = run.work(metric.kind)
    run.loaded(evolve(one, size=_WARM_UP_SIZE), _LEEWAY)
    size = max(1, int(bench.gigabytes * _GIGABYTE / metric.number))
    work = evolve(one, size=size, connections=metric.number)
    used, result = run.loaded(work, bench.gigabytes * _PER_GIGABYTE)
    return {
        "cpu": used / (result.units / _GIGABYTE),
        "rate": result.units / _MILLION / result.seconds,
    }


def _handshakes(run: Run) -> dict[str, float]:
    metric, bench = run.metric, run.bench
    resumed = metric.variant == "resumed"
    work = evolve(run.work("handshake"), connections=_HANDSHAKES, resumed=resumed)
    run.loaded(evolve(work, count=_WARM_UP), _LEEWAY)
    used, result = run.loaded(evolve(work, seconds=bench.seconds), bench.seconds)
    if work.resumed and result.resumed < _RESUMED * result.units:
        raise MeasurementFailed(f"only {result.resumed} of {result.units} sessions were resumed")
    return {"cpu": used / result.units * _MILLION, "rate": result.units / result.seconds}


def _negotiations(run: Run) -> dict[str, float]:
    """With STARTTLS, and without it: as many at a time, and at the same pace.

    A program that is woken less often per connection looks cheaper than it is, so that what a
    dialogue costs shows only if both kinds of connection come equally often.
    """
    bench, setting = run.bench, run.setting
    if setting.beside is None:
        raise MeasurementFailed("no service beside the one with STARTTLS")
    bare = evolve(run.work("handshake"), connections=_NEGOTIATIONS, pause=_NEGOTIATION_WAIT)
    bare = evolve(bare, port=setting.beside[0])
    whole = evolve(bare, port=setting.accept, protocol=setting.protocol, pause=0.0)
    used: dict[Work, list[float]] = {bare: [], whole: []}
    rate = 0.0
    for work in (bare, whole):
        run.loaded(evolve(work, count=_WARM_UP), _LEEWAY)
    # In this order a machine that becomes faster or slower does so for both.
    for work in (bare, whole, whole, bare):
        seconds, result = run.loaded(evolve(work, seconds=bench.seconds), bench.seconds)
        used[work].append(seconds / result.units * _MILLION)
        rate = result.units / result.seconds if work is whole else rate
    cpu = mean(used[whole])
    return {"cpu": cpu, "rate": rate, "extra": cpu - mean(used[bare])}


def _round_trips(run: Run) -> dict[str, float]:
    seconds = run.bench.seconds
    work = evolve(run.work("roundtrip"), connections=run.metric.number, seconds=seconds)
    used, result = run.loaded(work, seconds)
    return {
        "cpu": used / result.units * _MILLION,
        "p99": (result.latencies.percentile(99) or 0.0) * _MILLION,
        "rate": result.units / result.seconds,
    }


def _idle(run: Run) -> dict[str, float]:
    run.warm_up()
    before = run.process.memory()
    with Generator(evolve(run.work("idle"), connections=run.metric.number)) as generator:
        time.sleep(_SETTLED)
        used = run.process.memory() - before
        # Had the program dropped any of them meanwhile, closing them would not tell.
        generator.run(_LEEWAY)
    return {"memory": used / run.metric.number}


def _growth(run: Run) -> dict[str, float]:
    number = run.metric.number
    run.warm_up(max(_WARM_UP, number // 10))
    before = run.process.memory()
    work = evolve(run.work("handshake"), connections=_HANDSHAKES, count=number)
    # No program here takes 20 ms for one.
    run.loaded(work, number * 0.02)
    return {"growth": (run.process.memory() - before) / before * 100}


def _start(run: Run) -> dict[str, float]:
    return {"time": run.started * 1000, "memory": run.process.memory() / 1024}


_KINDS: Final[Mapping[str, Callable[[Run], dict[str, float]]]] = {
    "upload": _bulk,
    "download": _bulk,
    "handshake": _handshakes,
    "starttls": _negotiations,
    "roundtrip": _round_trips,
    "idle": _idle,
    "growth": _growth,
    "names": _start,
    "start": _start,
}
