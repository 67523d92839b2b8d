"""Processes: started and ended with all their children; their CPU time and memory from /proc."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from attrs import frozen

from benchmarks.errors import MeasurementFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

#: Where ``python -m`` finds this package, whatever the current folder is.
ROOT: Final = Path(__file__).resolve().parent.parent

_PROC: Final = Path("/proc")

#: Below the ports the kernel gives to outgoing connections, so that none of those takes one.
_FREE_PORTS: Final = range(20000, 32000)

#: Seconds for a program to listen, and to end when it is asked to.
_START: Final = 20.0
_END: Final = 5.0

#: Seconds between two attempts to connect: the resolution of the start-up time.
_LOOK_AGAIN: Final = 0.002

#: Characters of a program's output that an error shows.
_SHOWN: Final = 400


# ---------------------------------------------------------------------- /proc


@frozen
class Stat:
    """The fields of ``/proc/PID/stat`` that matter here (proc_pid_stat(5))."""

    pid: int
    parent: int
    ticks: int


def parse_stat(text: str) -> Stat:
    """Read one line of ``/proc/PID/stat``; the command may hold blanks and parentheses."""
    before, _, after = text.rpartition(")")
    fields = after.split()
    # After the command: state, parent, ... and utime and stime as fields 14 and 15 of the line.
    return Stat(int(before.split(maxsplit=1)[0]), int(fields[1]), int(fields[11]) + int(fields[12]))


def parse_pss(text: str) -> int:
    """The KiB of ``Pss`` in ``/proc/PID/smaps_rollup``: shared pages count in part."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "Pss":
            return int(value.split()[0])
    raise ValueError("no Pss in smaps_rollup")


def descendants(pid: int, parents: Mapping[int, int]) -> list[int]:
    """*pid* and all its children and children's children, by a table of child to parent."""
    found = [pid]
    for member in found:
        found.extend(child for child, parent in parents.items() if parent == member)
    return found


def process_tree(pid: int) -> list[int]:
    """The processes that descend from *pid*, itself first, as of now."""
    parents: dict[int, int] = {}
    for folder in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = parse_stat((folder / "stat").read_text(encoding="utf-8", errors="replace"))
            parents[stat.pid] = stat.parent
    return descendants(pid, parents)


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of *pids* together, exact to the scheduler's clock where it can be."""
    return sum(_cpu_of(pid) for pid in pids)


def _cpu_of(pid: int) -> float:
    try:
        # The clock of another process is its id, inverted, above three bits that say which clock
        # (clock_getcpuclockid(3)); its figure is not rounded to ticks.
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        try:
            text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return 0.0
        return parse_stat(text).ticks / os.sysconf("SC_CLK_TCK")


def pss_kib(pids: Iterable[int]) -> int:
    """Proportional set size of *pids* together, in KiB."""
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            path = _PROC / str(pid) / "smaps_rollup"
            total += parse_pss(path.read_text(encoding="utf-8"))
    return total


# -------------------------------------------------------------------- programs


def free_port() -> int:
    """A loopback port that nobody listens on."""
    for port in random.sample(_FREE_PORTS, 200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise MeasurementFailed("no free port between 20000 and 32000")


def _opened(pids: Iterable[int]) -> list[int]:
    """Descriptors of processes (pidfd_open(2)): they never mean another one, as ids may."""
    descriptors = []
    for pid in pids:
        with contextlib.suppress(OSError):
            descriptors.append(os.pidfd_open(pid))
    return descriptors


class Process:
    """A program in a session of its own, ended together with whatever it left behind.

    What it prints goes to a file in *directory*. *where* is its folder, if not the current one.
    """

    def __init__(
        self, name: str, words: Sequence[str], directory: Path, where: Path | None = None
    ) -> None:
        self.name = name
        self._log = directory / f"{name}.log"
        self._started = time.monotonic()
        with self._log.open("wb") as output:
            try:
                self._process = subprocess.Popen(
                    words,
                    cwd=where,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise MeasurementFailed(f"{words[0]}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def listening(self, port: int) -> float:
        """Wait until it accepts on *port*; the seconds that took since its start."""
        while True:
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.connect(("127.0.0.1", port))
                return time.monotonic() - self._started
            self.check()
            if time.monotonic() - self._started > _START:
                raise MeasurementFailed(f"does not listen after {_START:g} s{self._said()}")
            time.sleep(_LOOK_AGAIN)

    def check(self) -> None:
        """Raise :class:`~benchmarks.errors.MeasurementFailed` when it has ended."""
        status = self._process.poll()
        if status is not None:
            raise MeasurementFailed(f"ended with status {status}{self._said()}")

    def cpu(self) -> float:
        """CPU seconds so far, with its children."""
        return cpu_seconds(process_tree(self._process.pid))

    def memory(self) -> int:
        """KiB now, with its children."""
        return pss_kib(process_tree(self._process.pid))

    def stop(self) -> None:
        """Ask it to end, wait, and kill what is still there."""
        running = self._process.poll() is None
        children = _opened(process_tree(self._process.pid)[1:]) if running else []
        self._process.terminate()
        try:
            self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_END)
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(child, signal.SIGKILL)
            # A process' descriptor becomes readable when it has ended.
            select.select([child], [], [], _END)
            os.close(child)

    def _said(self) -> str:
        text = self._log.read_text(encoding="utf-8", errors="replace").strip()
        return f": {text[-_SHOWN:]}" if text else ""
