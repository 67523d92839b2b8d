"""A network, a few files and processes of their own for one command; all of it ends with it.

What runs there may use any port, any name and the usual paths, and touches nothing of the
machine's. Run as a module this is the first process inside: it makes what the command finds.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.doubles.real_programs import find_program, missing

_ROOT: Final = Path(__file__).resolve().parent.parent.parent

#: Names the mounts, so that they are told from the machine's own.
_MARK: Final = "private-world"

#: Empty folders inside.
_FOLDERS: Final = ("/etc/stunnel", "/run")

#: The network's names, and who is trusted, inside: files that may be written.
HOSTS: Final = Path("/etc/hosts")
AUTHORITIES: Final = Path("/etc/ssl/certs/ca-certificates.crt")

#: Where names are looked up.
_SOURCES: Final = Path("/etc/nsswitch.conf")

#: Networks beside 127.0.0.0/8 whose every address is this machine.
_NETWORKS: Final = ("10.0.0.0/8", "192.0.2.0/24")


def run_inside(*command: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run *command* in a new private world, for so many *seconds* at most.

    Where none can be made the test is skipped, or fails when ``STUNNEL_TX_INTEROP`` is 1.
    """
    options = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        options.append("--map-root-user")
    # Whoever waits for it may be killed: it ends with us.
    ending = [find_program("setpriv"), "--pdeathsig", "KILL"]
    world = [*ending, find_program("unshare"), *options]
    for place in (*_FOLDERS, HOSTS, AUTHORITIES, _SOURCES):
        if not Path(place).exists():
            missing(f"there is no {place} to hide")
    try:
        _run([*world, find_program("true")], 60)
        return _run([*world, sys.executable, "-m", __name__, *command], seconds, check=False)
    except subprocess.CalledProcessError as error:
        missing(f"no namespaces: {error.stdout}")
        raise


def _run(
    command: list[str], seconds: float, *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        cwd=_ROOT, text=True, errors="replace", timeout=seconds, check=check,
    )  # fmt: skip


def require() -> None:
    """Fail unless this process is inside a private world."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    if f" - tmpfs {_MARK} " not in mounts:
        raise AssertionError("this would write into the machine's own /etc; see run_inside")


def _furnish() -> None:
    """Make the mounts and the network; the namespaces are there already."""
    for folder in _FOLDERS:
        _do("mount", "-t", "tmpfs", "-o", "mode=755", _MARK, folder)
    store = Path("/run/private-world")
    store.mkdir()
    # Nobody is asked about a name that the file of hosts does not have.
    sources = re.sub(r"(?m)^hosts:.*$", "hosts: files", _SOURCES.read_text(encoding="utf-8"))
    files = {HOSTS: "127.0.0.1 localhost\n", AUTHORITIES: "", _SOURCES: sources}
    for path, content in files.items():
        ours = store / path.name
        ours.write_text(content, encoding="utf-8")
        _do("mount", "--bind", str(ours), str(path))
    _do("ip", "link", "set", "lo", "up")
    for network in _NETWORKS:
        _do("ip", "route", "add", "local", network, "dev", "lo")


def _do(program: str, *arguments: str) -> None:
    subprocess.run([find_program(program), *arguments], check=True)


if __name__ == "__main__":
    _furnish()
    os.execv(sys.argv[1], sys.argv[1:])
