"""A stage with real daemons on loopback addresses, and our program before them or behind."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.doubles.real_programs import PATIENCE, eventually, find_program, missing
from tests.interop.stage import Stage, port_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.doubles.real_programs import RealProgram


class DaemonSite(Stage):
    """A stage with daemons; failures show what each program has said.

    ``site`` is a folder that every user may enter, with ``ca.pem`` and ``server.pem``.
    """

    def setUp(self) -> None:
        super().setUp()
        # Not below TMPDIR, which other users may be unable to enter.
        self.site = Path(tempfile.mkdtemp(prefix="site.", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.site, ignore_errors=True)
        self.site.chmod(0o755)
        for name in ("ca.pem", "server.pem"):
            shutil.copy(self.directory / name, self.site)

    # --- daemons ---------------------------------------------------------------------------

    def folder(self, name: str, owner: str = "root") -> Path:
        """A new folder of the site that belongs to *owner*."""
        made = self.site / name
        made.mkdir()
        give(made, owner)
        return made

    def file(self, name: str, content: str, owner: str = "root") -> Path:
        """A new file of the site that only *owner* may read."""
        path = self.site / name
        path.write_text(content, encoding="utf-8")
        give(path, owner)
        path.chmod(0o600)
        return path

    def identity(self, owner: str) -> Path:
        """The server's certificate and key, in a file that only *owner* may read."""
        both = (self.site / "server.pem").read_text(encoding="ascii")
        return self.file(f"{owner}.pem", both, owner)

    def daemon(self, name: str, command: list[str], address: int | str) -> RealProgram:
        """Start *command*, and wait until it listens at *address*.

        That is a port, HOST:PORT or the path of a UNIX socket.
        """
        started = self.start(name, command)
        self.accepts(started, address)
        return started

    def accepts(self, program: RealProgram, address: int | str) -> None:
        """Wait until *program* listens at *address*."""

        def listens() -> bool:
            if not program.running:
                raise AssertionError(f"{program.name} has ended")
            try:
                dial(address).close()
            except (ConnectionRefusedError, FileNotFoundError):
                return False
            return True

        try:
            eventually(listens, f"{program.name} listens")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{program.log}") from None

    def log_files(self) -> list[Path]:
        return [*super().log_files(), *sorted(self.site.glob("*.out"))]

    # --- our program -----------------------------------------------------------------------

    def before(self, protocol: str, connect: str, more: str = "", **options: str) -> int:
        """Server mode in front of a plain daemon at *connect*; its port."""
        self.ours = self.server_mode(connect, f"protocol = {protocol}\n{more}", **options)
        return port_of(self.ours, "server")

    def behind(self, protocol: str, connect: str, more: str = "") -> int:
        """Client mode that reaches a daemon with TLS at *connect*; its port."""
        self.ours = self.client_mode(connect, f"protocol = {protocol}\n{more}")
        return port_of(self.ours, "client")

    # --- clients ---------------------------------------------------------------------------

    def run_client(
        self,
        *command: str,
        stdin: bytes = b"",
        status: int | Collection[int] = 0,
        **environment: str,
    ) -> str:
        """What *command*, a program with its arguments, says; it must end with (a) *status*."""
        plain = {"LC_ALL": "C.UTF-8", "HOME": str(self.directory)}
        # The proxies of a test are named on the command line.
        kept = {name: value for name, value in os.environ.items() if "_PROXY" not in name.upper()}
        try:
            done = subprocess.run(
                [find_program(command[0]), *command[1:]],
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=PATIENCE,
                check=False,
                cwd=self.directory,
                env={**kept, **plain, **environment},
            )
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{command}\n{error.output}\n{self.logs()}") from None
        said = done.stdout.decode(errors="replace")
        wanted = {status} if isinstance(status, int) else set(status)
        self.assertIn(done.returncode, wanted, f"{command}\n{said}\n{self.logs()}")
        return said

    def s_client(
        self,
        protocol: str,
        address: int | str,
        *options: str,
        stdin: bytes = b"",
        name: str = "localhost",
    ) -> str:
        """What ``openssl s_client`` says to *stdin* after STARTTLS; the server must be *name*."""
        host, port = host_and_port(address)
        return self.run_client(
            "openssl", "s_client", "-starttls", protocol, "-connect", f"{host}:{port}",
            "-CAfile", "ca.pem", "-verify_return_error", "-verify_hostname", name,
            *options, stdin=stdin,
        )  # fmt: skip


def need_users() -> None:
    """Skip the test, or fail it, where programs cannot change their user."""
    # Who has become root by mapping is nobody else.
    users = Path("/proc/self/uid_map").read_text(encoding="ascii").split()[2]
    if os.geteuid() != 0 or int(users) == 1:
        missing("daemons that change their user need root")


def give(path: Path, owner: str) -> None:
    """Let *path* belong to *owner*, unless it is the one who made it."""
    if owner != "root":
        need_users()
        shutil.chown(path, owner)


def host_and_port(address: int | str, default: str = "127.0.0.1") -> tuple[str, int]:
    """The parts of *address*: a port of host *default*, or HOST:PORT."""
    host, _, port = str(address).rpartition(":")
    return host or default, int(port)


def dial(address: int | str) -> socket.socket:
    """A connection to *address*: a loopback port, HOST:PORT or the path of a UNIX socket."""
    if str(address).startswith("/"):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(str(address))
        except BaseException:
            sock.close()
            raise
        return sock
    return socket.create_connection(host_and_port(address), PATIENCE)


def as_user(user: str, program: str, *arguments: str) -> list[str]:
    """The command that runs *program* with the rights of *user*."""
    need_users()
    rights = [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return ["setpriv", *rights, find_program(program), *arguments]
