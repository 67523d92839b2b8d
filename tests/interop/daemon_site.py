"""A stage with one real daemon on a loopback port, and our program before it or behind it."""

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
    from tests.doubles.real_programs import RealProgram

#: How much of a log a failure shows, in characters.
TAIL = 6000


class DaemonSite(Stage):
    """A stage with daemons that change their user; failures show what each program has said.

    ``site`` is a folder that every user may enter, with ``ca.pem`` and ``server.pem``.
    """

    def setUp(self) -> None:
        super().setUp()
        if os.geteuid() != 0:
            missing("daemons that change their user need root")
        # Not below TMPDIR, which other users may be unable to enter.
        self.site = Path(tempfile.mkdtemp(prefix="site.", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.site, ignore_errors=True)
        self.site.chmod(0o755)
        for name in ("ca.pem", "server.pem"):
            shutil.copy(self.directory / name, self.site)
        self.running: list[RealProgram] = []

    # --- daemons ---------------------------------------------------------------------------

    def folder(self, name: str, owner: str = "root") -> Path:
        """A new folder of the site that belongs to *owner*."""
        made = self.site / name
        made.mkdir()
        shutil.chown(made, owner)
        return made

    def file(self, name: str, content: str, owner: str = "root") -> Path:
        """A new file of the site that only *owner* may read."""
        path = self.site / name
        path.write_text(content, encoding="utf-8")
        shutil.chown(path, owner)
        path.chmod(0o600)
        return path

    def identity(self, owner: str) -> Path:
        """The server's certificate and key, in a file that only *owner* may read."""
        both = (self.site / "server.pem").read_text(encoding="ascii")
        return self.file(f"{owner}.pem", both, owner)

    def daemon(self, name: str, command: list[str], port: int) -> RealProgram:
        """Start *command*, and wait until it listens on *port*."""
        started = self.start(name, command)
        self.running.append(started)

        def accepts() -> bool:
            if not started.running:
                raise AssertionError(f"{name} has ended")
            try:
                socket.create_connection(("127.0.0.1", port), PATIENCE).close()
            except ConnectionRefusedError:
                return False
            return True

        try:
            eventually(accepts, f"{name} listens")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{started.log[-TAIL:]}") from None
        return started

    def logs(self) -> str:
        """The ends of all logs."""
        return "\n".join(f"--- {each.name}\n{each.log[-TAIL:]}" for each in self.running)

    # --- our program -----------------------------------------------------------------------

    def before(self, protocol: str, connect: str, more: str = "") -> int:
        """Server mode in front of a plain daemon at *connect*; its port."""
        self.ours = self.server_mode(connect, f"protocol = {protocol}\n{more}")
        self.running.append(self.ours)
        return port_of(self.ours, "server")

    def behind(self, protocol: str, connect: str, more: str = "") -> int:
        """Client mode that reaches a daemon with TLS at *connect*; its port."""
        self.ours = self.client_mode(
            int(connect.rpartition(":")[2]), f"protocol = {protocol}\n{more}"
        )
        self.running.append(self.ours)
        return port_of(self.ours, "client")

    # --- clients ---------------------------------------------------------------------------

    def run_client(
        self, *command: str, stdin: bytes = b"", status: int = 0, **environment: str
    ) -> str:
        """What *command*, a program with its arguments, says; it must end with *status*."""
        plain = {"LC_ALL": "C.UTF-8", "HOME": str(self.directory)}
        try:
            done = subprocess.run(
                [find_program(command[0]), *command[1:]],
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=PATIENCE,
                check=False,
                cwd=self.directory,
                env={**os.environ, **plain, **environment},
            )
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{command}\n{error.output}\n{self.logs()}") from None
        said = done.stdout.decode(errors="replace")
        self.assertEqual(done.returncode, status, f"{command}\n{said}\n{self.logs()}")
        return said

    def s_client(self, protocol: str, port: int, *options: str, stdin: bytes = b"") -> str:
        """What ``openssl s_client`` says to *stdin* after STARTTLS; it checks who is there."""
        return self.run_client(
            "openssl", "s_client", "-starttls", protocol, "-connect", f"127.0.0.1:{port}",
            "-CAfile", "ca.pem", "-verify_return_error", "-verify_hostname", "localhost",
            *options, stdin=stdin,
        )  # fmt: skip


def as_user(user: str, program: str, *arguments: str) -> list[str]:
    """The command that runs *program* with the rights of *user*."""
    rights = [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return ["setpriv", *rights, find_program(program), *arguments]
