"""Running the command in a process of its own."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

#: Longest wait for one expected line or exit, in seconds; reached only by a failing test.
PATIENCE = 60.0

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """Our own environment, with this source tree to be imported."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``stunnel-tx`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "stunnel_tx", *arguments],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=environment(),
        timeout=PATIENCE,
    )


def start_command(*arguments: str) -> subprocess.Popen[bytes]:
    """Start ``stunnel-tx``; its standard error is a pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "stunnel_tx", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
        bufsize=0,
    )


def read_until(stream: IO[bytes], expected: str) -> list[str]:
    """Lines of *stream* up to the one that contains *expected*; raises AssertionError."""
    seen = bytearray()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        ready, _, _ = select.select([stream], [], [], end - time.monotonic())
        data = os.read(stream.fileno(), 1) if ready else b""
        if not data:
            break
        seen += data
        if data == b"\n" and expected.encode() in seen.splitlines()[-1]:
            return seen.decode().splitlines()
    raise AssertionError(f"no {expected!r} in {seen.decode()!r}")
