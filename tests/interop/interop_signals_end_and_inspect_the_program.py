"""TERM, INT and QUIT end it well; USR1 follows a rotated log; USR2 lists the tunnels."""

from __future__ import annotations

import signal
import stat
import sys
from typing import TYPE_CHECKING

from tests.doubles.backends import echo
from tests.doubles.real_programs import RealProgram, eventually
from tests.doubles.wire import dial, exchange
from tests.interop.stage import ENVIRONMENT, STUNNEL_TX, Stage, port_of

if TYPE_CHECKING:
    import socket

LINE = r"^\d{4}\.\d\d\.\d\d \d\d:\d\d:\d\d LOG[0-7]\[\w+\]: "


class SignalTests(Stage):
    """Server and client mode in one process, in the foreground."""

    def setUp(self) -> None:
        super().setUp()
        self.echo = self.backend(echo)

    def established(self, port: int) -> socket.socket:
        """A tunnel through which something has gone."""
        sock = dial(port)
        self.addCleanup(sock.close)
        sock.sendall(b"hello")
        self.assertEqual(sock.recv(100), b"hello")
        return sock

    def check_end(self, number: int, line: str) -> None:
        """Signal *number* ends the program with status 0, its tunnels and its pid file."""
        pid_file = self.directory / "tunnels.pid"
        server = self.server_mode(self.echo.port)
        path = self.write(
            "ending.conf",
            f"pid = {pid_file}\n[client]\nclient = yes\naccept = 127.0.0.1:0\n"
            f"connect = 127.0.0.1:{port_of(server, 'server')}\n",
        )
        ending = RealProgram(
            "ending", [*STUNNEL_TX, str(path)], self.directory, environment=ENVIRONMENT
        )
        self.addCleanup(self.check_clean, ending)
        ending.said("Accepting new connections")
        self.assertEqual(int(pid_file.read_text(encoding="ascii")), ending.pid)
        port = port_of(ending, "client")
        sock = self.established(port)
        ending.signal(number)
        self.assertEqual(ending.exit_status(), 0)
        self.assertEqual(sock.recv(1), b"")
        self.assertFalse(pid_file.exists())
        self.assertRaises(ConnectionRefusedError, dial, port)
        ending.said(line)
        ending.said(r"LOG6\[ui\]: Terminating 1 service thread\(s\)$")
        ending.said(r"LOG6\[ui\]: Service threads terminated$")
        ending.said(r"LOG7\[ui\]: Removed pid file ")
        server.said("Connection (closed|reset)")

    def test_term(self) -> None:
        """SIGTERM is announced at level 5."""
        self.check_end(signal.SIGTERM, r"LOG5\[ui\]: Terminated$")

    def test_int(self) -> None:
        """SIGINT is announced at level 3."""
        self.check_end(signal.SIGINT, r"LOG3\[ui\]: Received SIGINT; terminating$")

    def test_quit(self) -> None:
        """SIGQUIT is announced at level 3."""
        self.check_end(signal.SIGQUIT, r"LOG3\[ui\]: Received SIGQUIT; terminating$")

    def test_pipe(self) -> None:
        """SIGPIPE is nothing to end for."""
        near, _ = self.pair(self.echo.port)
        near.signal(signal.SIGPIPE)
        self.assertEqual(exchange(port_of(near, "client"), b"still there"), b"still there")

    def test_list(self) -> None:
        """SIGUSR2 lists each tunnel with its bytes at level 0, whatever ``debug`` says."""
        far = self.server_mode(self.echo.port)
        quiet = self.tunnels(
            "debug = 6\n[client]\ndebug = 0\nclient = yes\naccept = 127.0.0.1:0\n"
            f"connect = 127.0.0.1:{port_of(far, 'server')}\n",
            "quiet",
        )
        port = port_of(quiet, "client")
        for _ in range(3):
            self.established(port)
        quiet.signal(signal.SIGUSR2)
        quiet.said(r"LOG0\[ui\]: Active connections:$")
        quiet.said(r"LOG0\[ui\]: Listed 3 active connection\(s\)$")
        rows = quiet.matches(
            r"LOG0\[ui\]: Active connection \d+: Service \[client\], "
            r"5 byte\(s\) sent to TLS, 5 byte\(s\) sent to socket$"
        )
        self.assertEqual(len(rows), 3)
        # The second and the third connection have resumed the session of the one before.
        quiet.said(r"LOG0\[ui\]: Since the start: 3 accepted, .*, 2 sessions resumed, ")
        self.assertEqual(quiet.matches("accepted connection from"), [])


class LogFileTests(Stage):
    """``output`` and its file."""

    def logging(self, *, overwrite: bool = False) -> RealProgram:
        """A program that logs to ``tunnels.out`` only."""
        self.output = self.directory / "tunnels.out"
        path = self.write(
            "logging.conf",
            f"foreground = quiet\noutput = {self.output}\nsyslog = no\n"
            f"log = {'overwrite' if overwrite else 'append'}\ndebug = 7\n"
            "[client]\nclient = yes\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:9\n",
            head="",
        )
        program = RealProgram(
            "logging", [*STUNNEL_TX, str(path)], self.directory, environment=ENVIRONMENT
        )
        self.addCleanup(self.check_clean, program)
        eventually(self.output.exists, "the log file is made")
        eventually(lambda: "Accepting new connections" in self.text(), "it says that it accepts")
        return program

    def text(self) -> str:
        """What the log file has now."""
        return self.output.read_text(encoding="utf-8")

    def test_format(self) -> None:
        """Each line has date, level and id; the file is for owner and group; stderr is silent."""
        program = self.logging()
        for line in self.text().splitlines():
            self.assertRegex(line, LINE)
        self.assertEqual(stat.S_IMODE(self.output.stat().st_mode), 0o640)
        self.assertEqual(program.log, "")

    def test_rotation(self) -> None:
        """After a rename and SIGUSR1 a new file is written, and the old one rests."""
        program = self.logging()
        old = self.output.rename(self.directory / "tunnels.out.1")
        before = old.read_text(encoding="utf-8")
        program.signal(signal.SIGUSR2)
        eventually(lambda: "Listed 0 active" in old.read_text(encoding="utf-8"), "old name")
        program.signal(signal.SIGUSR1)
        eventually(self.output.exists, "the new file is made")
        eventually(lambda: "LOG5[ui]: Log file reopened\n" in self.text(), "it says so")
        after = old.read_text(encoding="utf-8")
        self.assertTrue(after.startswith(before))
        program.signal(signal.SIGUSR2)
        eventually(lambda: "Listed 0 active" in self.text(), "the new file is used")
        self.assertEqual(old.read_text(encoding="utf-8"), after)

    def test_append(self) -> None:
        """``log = append`` keeps what an earlier run wrote."""
        self.output = self.directory / "tunnels.out"
        self.output.write_text("earlier\n", encoding="utf-8")
        program = self.logging()
        program.stop()
        self.assertTrue(self.text().startswith("earlier\n"))
        self.assertIn("Terminated\n", self.text())

    def test_overwrite(self) -> None:
        """``log = overwrite`` empties the file at a start and whenever it is opened again."""
        (self.directory / "tunnels.out").write_text("earlier\n", encoding="utf-8")
        program = self.logging(overwrite=True)
        self.assertNotIn("earlier", self.text())
        program.signal(signal.SIGUSR1)
        eventually(lambda: "Log file reopened" in self.text(), "it says so")
        self.assertNotIn("Accepting new connections", self.text())

    def test_unwritable(self) -> None:
        """A log file that cannot be opened ends the start, with the reason and the remedy."""
        path = self.write("bad.conf", "[c]\nclient = yes\naccept = 127.0.0.1:0\nconnect = 9\n")
        text = path.read_text(encoding="utf-8").replace(
            "pid =", f"output = {self.directory}/missing/x.log"
        )
        path.write_text(text, encoding="utf-8")
        program = RealProgram(
            "bad", [sys.executable, "-m", "stunnel_tx", str(path)], self.directory,
            environment=ENVIRONMENT,
        )  # fmt: skip
        self.addCleanup(program.stop)
        self.assertEqual(program.exit_status(), 1)
        self.assertRegex(program.log, r"(?m)^\[!\] .*missing/x\.log: No such file or directory")
        self.assertNotIn("Traceback", program.log)
