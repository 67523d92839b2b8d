"""Real programs, started for one test: their log, their descriptors, their end."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import SkipTest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Seconds that anything on this machine may take before a test gives up on it.
PATIENCE = 60.0

#: Seconds between two looks at something that cannot be waited for.
LOOK_AGAIN = 0.02

#: Seconds without a change after which a number counts as settled.
QUIET = 0.3

#: Where daemons live on systems that keep them out of an ordinary user's PATH.
_PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])

#: Below the ports the kernel gives to outgoing connections, so that none of those takes one.
_FREE_PORTS = range(20000, 32000)

#: What :func:`free_port` has given away: some of it may not be in use yet.
_GIVEN: set[int] = set()


def find_program(name: str) -> str:
    """The path of program *name*.

    Where there is none the test is skipped, or fails when ``STUNNEL_TX_INTEROP`` is 1.
    """
    path = shutil.which(name, path=_PLACES)
    if path is None:
        missing(f"the program {name} is not installed")
    return str(path)


def missing(what: str) -> None:
    """Skip the test because of *what*, or fail it when ``STUNNEL_TX_INTEROP`` is 1."""
    if os.environ.get("STUNNEL_TX_INTEROP") == "1":
        raise AssertionError(what)
    raise SkipTest(what)


def free_port() -> int:
    """A loopback port that nobody listens on, never the same one twice."""
    for port in random.sample(_FREE_PORTS, 100):
        if port in _GIVEN:
            continue
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            _GIVEN.add(port)
            return port
    raise AssertionError("no free port")


def eventually(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until *condition* answers with a true value; *what* names it if it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(LOOK_AGAIN)


class RealProgram:
    """A program in a process group of its own; what it prints goes to a file of its own."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        directory: Path,
        *,
        environment: dict[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.directory = directory
        # A second program of the same name does not write into the log of the first.
        taken = len(list(directory.glob(f"{name}*.log")))
        self.log_file = directory / f"{name}{taken or ''}.log"
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """True until the process has ended."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """All it has said so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def matches(self, pattern: str) -> list[re.Match[str]]:
        """The places where the log matches *pattern* now."""
        return list(re.finditer(pattern, self.log, re.MULTILINE))

    def said(self, pattern: str, count: int = 1, seconds: float = PATIENCE) -> re.Match[str]:
        """Wait until *pattern* was said *count* times; the last match."""
        deadline = time.monotonic() + seconds
        while True:
            alive = self.running
            found = self.matches(pattern)
            if len(found) >= count:
                return found[count - 1]
            if not alive or time.monotonic() > deadline:
                state = "still running" if alive else f"ended with {self._process.returncode}"
                raise AssertionError(
                    f"{self.name} ({state}) has not said {pattern!r} {count} time(s):\n{self.log}"
                )
            time.sleep(LOOK_AGAIN)

    def signal(self, number: int) -> None:
        """Send a signal to the process itself."""
        self._process.send_signal(number)

    def exit_status(self, seconds: float = PATIENCE) -> int:
        """Wait for the end; negative for a signal that killed it."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end:\n{self.log}") from None

    def stop(self) -> int:
        """Ask the process to end, and make sure that nothing of its group is left."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()


def descriptors(pid: int) -> int:
    """How many descriptors process *pid* has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def settled_descriptors(pid: int) -> int:
    """How many descriptors process *pid* has open, once it opens and closes no more of them."""
    seen: list[int] = []

    def settled() -> bool:
        seen.append(descriptors(pid))
        time.sleep(QUIET)
        return descriptors(pid) == seen[-1]

    eventually(settled, f"process {pid} keeps its descriptors")
    return seen[-1]


def memory(pid: int, row: str = "VmRSS") -> int:
    """Resident bytes of process *pid* now, or at most so far with ``VmHWM``."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(rf"^{row}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def alive(pid: int) -> bool:
    """True while process *pid* exists and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
