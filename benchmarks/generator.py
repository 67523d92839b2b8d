"""Starts the processes of the load generator, gives them the word, and adds up their results."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, Self

from attrs import evolve

from benchmarks.errors import MeasurementFailed
from benchmarks.load.work import READY, Result
from benchmarks.processes import ROOT

if TYPE_CHECKING:
    from types import TracebackType

    from benchmarks.load.work import Work

#: Processes that share the load: enough to get around the interpreter's lock, and few enough to
#: leave a small machine's other core to the program under test.
_PROCESSES: Final = 2


#: Seconds to open all connections.
_CONNECTED: Final = 120.0

#: Seconds for a process to end by itself.
_END: Final = 10.0

_READ: Final = 65536


def shares(work: Work, processes: int = _PROCESSES) -> list[Work]:
    """*work* divided among at most so many processes; each has at least one connection."""
    parts = max(1, min(processes, work.connections))
    divided = []
    first = work.first
    for part in range(parts):
        connections = _share(work.connections, parts, part)
        count = _share(work.count, parts, part)
        divided.append(evolve(work, connections=connections, count=count, first=first))
        first += connections
    return divided


def _share(whole: int, parts: int, part: int) -> int:
    return whole // parts + (part < whole % parts)


class Generator:
    """A context in which all connections are open; :meth:`run` does the work, once."""

    def __init__(self, work: Work) -> None:
        self._processes = [_start(part) for part in shares(work)]

    def __enter__(self) -> Self:
        try:
            for process in self._processes:
                _await_ready(process)
        except BaseException:
            self._end(at_once=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(at_once=kind is not None)

    def run(self, seconds: float) -> Result:
        """Give the word and wait, at most so many *seconds*, for all results.

        Raises :class:`~benchmarks.errors.MeasurementFailed` when a connection failed: a figure
        of half the work would look like a figure of all of it.
        """
        for process in self._processes:
            self._go(process)
        lines = [_line(process, seconds) for process in self._processes]
        if not all(lines):
            raise MeasurementFailed(f"the load generator did not end within {seconds:g} s")
        result = Result.together([Result.from_json(line) for line in lines])
        if result.failures:
            of = f"{result.failures} failed, {result.units} succeeded"
            raise MeasurementFailed(f"connections: {of}: {result.reason}")
        return result

    @staticmethod
    def _go(process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.write(b"\n")
            process.stdin.close()

    def _end(self, *, at_once: bool) -> None:
        for process in self._processes:
            if at_once:
                process.kill()
            with contextlib.suppress(OSError):
                if process.stdin is not None:
                    process.stdin.close()
        for process in self._processes:
            try:
                process.wait(_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _start(work: Work) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load", work.to_json()],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )


def _await_ready(process: subprocess.Popen[bytes]) -> None:
    said = _line(process, _CONNECTED)
    if said != READY:
        raise MeasurementFailed(said or "the load generator ended, or never connected")


def _line(process: subprocess.Popen[bytes], seconds: float) -> str:
    """The next line it prints, or nothing when it ends, or says none in time."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    deadline = time.monotonic() + seconds
    data = b""
    while not data.endswith(b"\n"):
        left = max(0.0, deadline - time.monotonic())
        if not select.select([descriptor], [], [], left)[0]:
            return ""
        piece = os.read(descriptor, _READ)
        if not piece:
            return ""
        data += piece
    return data.decode().strip()
