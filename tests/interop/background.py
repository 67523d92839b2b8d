"""A daemon with one service, its pid file and its log file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

from tests.doubles.backends import echo
from tests.doubles.real_programs import PATIENCE, alive, eventually, free_port
from tests.doubles.wire import TLSEnd, client_context
from tests.interop.stage import ENVIRONMENT, STUNNEL_TX, Stage

if TYPE_CHECKING:
    from pathlib import Path


class Background(Stage):
    """A daemon and its pid file ``daemon.pid`` and log file ``daemon.out``."""

    def setUp(self) -> None:
        super().setUp()
        self.echo = self.backend(echo)
        self.pid_file = self.directory / "daemon.pid"
        self.output = self.directory / "daemon.out"
        self.port = free_port()

    def head(self) -> str:
        """The global options."""
        return f"syslog = no\ndebug = 7\npid = {self.pid_file}\noutput = {self.output}\n"

    def service(self) -> str:
        """The one service."""
        return (
            f"[server]\naccept = 127.0.0.1:{self.port}\n"
            f"connect = 127.0.0.1:{self.echo.port}\ncert = @server.pem\n"
        )

    def command(self, path: Path) -> list[str]:
        """How the daemon is started."""
        return [*STUNNEL_TX, str(path)]

    def launch(self, path: Path) -> subprocess.CompletedProcess[str]:
        """Start it and wait until the command has come back."""
        done = subprocess.run(
            self.command(path), cwd=self.directory, env={**os.environ, **ENVIRONMENT}, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        with contextlib.suppress(OSError, ValueError):
            self.addCleanup(self.finish, int(self.pid_file.read_text(encoding="ascii")))
        return done

    def finish(self, pid: int) -> None:
        """End the daemon, if it still runs."""
        if alive(pid):
            os.kill(pid, signal.SIGTERM)
        try:
            eventually(lambda: not alive(pid), "the daemon ends")
        except AssertionError:
            os.kill(pid, signal.SIGKILL)
            raise

    def text(self) -> str:
        """The log file's content."""
        return self.output.read_text(encoding="utf-8")

    def check_serves(self) -> None:
        """A client gets its echo."""
        with TLSEnd.dial(self.port, client_context()) as end:
            end.send(b"hello")
            self.assertEqual(end.receive(), b"hello")
