"""``twistd stunnel --config FILE``, in the foreground and as a daemon."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

from tests.doubles.real_programs import RealProgram, alive, eventually
from tests.doubles.wire import dial
from tests.interop.background import Background
from tests.interop.stage import ENVIRONMENT

if TYPE_CHECKING:
    from pathlib import Path

#: twistd of the Twisted that is tested with, wherever its script may be.
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")


class ForegroundTests(Background):
    """``twistd -n``."""

    def start_twistd(self, head: str = "", sections: str = "") -> RealProgram:
        """Run it with the usual service."""
        path = self.write("twistd.conf", sections or self.service(), head or self.head())
        twistd = RealProgram(
            "twistd", [*TWISTD, "-n", "--pidfile=", "stunnel", "--config", str(path)],
            self.directory, environment=ENVIRONMENT,
        )  # fmt: skip
        self.addCleanup(twistd.stop)
        return twistd

    def test_life(self) -> None:
        """It serves, answers signals as our own command does, and ends with status 0."""
        twistd = self.start_twistd()
        eventually(lambda: self.output.exists() and "Accepting" in self.text(), "it accepts")
        self.check_serves()
        self.assertEqual(int(self.pid_file.read_text(encoding="ascii")), twistd.pid)
        for number, line in (
            (signal.SIGHUP, "Configuration successful\n"),
            (signal.SIGUSR1, "Log file reopened\n"),
            (signal.SIGUSR2, "Listed 0 active connection(s)\n"),
        ):
            count = self.text().count(line)

            def more(line: str = line, count: int = count) -> bool:
                return self.text().count(line) > count

            twistd.signal(number)
            eventually(more, line)
        self.check_serves()
        twistd.signal(signal.SIGTERM)
        self.assertEqual(twistd.exit_status(), 0)
        self.assertFalse(self.pid_file.exists())
        self.assertNotIn("Traceback", twistd.log + self.text())
        self.assertRaises(ConnectionRefusedError, dial, self.port)

    def test_bad_configuration(self) -> None:
        """A mistake is shown on the terminal, with status 1 and without a traceback."""
        twistd = self.start_twistd(sections=self.service() + "colour = green\n")
        self.assertEqual(twistd.exit_status(), 1)
        self.assertRegex(twistd.log, r"twistd\.conf:9: .*colour")
        self.assertNotIn("Traceback", twistd.log)

    def test_port_in_use(self) -> None:
        """A port that another program has is shown too, without a traceback."""
        with socket.create_server(("127.0.0.1", self.port)):
            twistd = self.start_twistd()
            self.assertEqual(twistd.exit_status(), 1)
        self.assertIn("Binding service [server] failed", twistd.log)
        self.assertNotIn("Traceback", twistd.log)


class DaemonTests(Background):
    """``twistd`` without ``-n``."""

    def command(self, path: Path) -> list[str]:
        """How the daemon is started."""
        return [
            *TWISTD, "--pidfile", str(self.directory / "twistd.pid"),
            "--logfile", str(self.directory / "twistd.out"), "stunnel", "--config", str(path),
        ]  # fmt: skip

    def test_life(self) -> None:
        """The command comes back with status 0, the daemon serves and ends on SIGTERM."""
        done = self.launch(self.write("daemon.conf", self.service(), self.head()))
        self.assertEqual(done.returncode, 0, done.stderr)
        eventually(lambda: self.output.exists() and "Accepting" in self.text(), "it accepts")
        pid = int((self.directory / "twistd.pid").read_text(encoding="ascii"))
        self.addCleanup(self.finish, pid)
        self.check_serves()
        self.assertEqual(int(self.pid_file.read_text(encoding="ascii")), pid)
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not alive(pid), "the daemon ends")
        self.assertFalse(self.pid_file.exists())
        own = (self.directory / "twistd.out").read_text(encoding="utf-8")
        self.assertNotIn("Traceback", own + self.text())

    def test_port_in_use(self) -> None:
        """A start that fails has status 1."""
        with socket.create_server(("127.0.0.1", self.port)):
            done = self.launch(self.write("daemon.conf", self.service(), self.head()))
        self.assertEqual(done.returncode, 1)
        self.assertFalse(self.pid_file.exists())
