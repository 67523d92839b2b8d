"""Tests of stunnel_tx.cli."""

from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx import cli
from stunnel_tx.errors import OperatingError
from stunnel_tx.service import lifecycle as lifecycle_module
from stunnel_tx.service.lifecycle import Lifecycle
from stunnel_tx.service.process import INTERRUPTED
from stunnel_tx.telemetry.log import Log
from tests.doubles.certificates import Authority
from tests.doubles.processes import PATIENCE, environment, read_until, run_command, start_command
from tests.doubles.programs import ScriptedProgram
from tests.doubles.reactors import HandTurnedReactor


class InformationTests(SynchronousTestCase):
    """The words that print something and exit."""

    def setUp(self) -> None:
        self.addCleanup(gc.enable)
        self.printed: dict[int, list[str]] = {1: [], 2: []}
        self.patch(cli, "_print", self._print)

    def _print(self, lines: list[str], fd: int) -> int:
        self.printed[fd] += lines
        return 0

    def test_every_word_prints_to_stderr_in_any_case(self) -> None:
        """Stunnel's four words start with the banner, and leave standard output alone."""
        for word in ("-help", "-VERSION", "-sockets", "-Options"):
            self.printed[2].clear()
            self.assertEqual(cli.main([word]), 0)
            self.assertTrue(self.printed[2][0].startswith("stunnel 5."), word)
            self.assertGreater(len(self.printed[2]), 10, word)
        self.assertEqual(self.printed[1], [])

    def test_long_options_print_to_stdout(self) -> None:
        """``--help`` and ``--version`` say the same on standard output."""
        for word in ("-help", "-version"):
            self.printed = {1: [], 2: []}
            cli.main([word])
            cli.main([f"-{word}"])
            self.assertEqual(self.printed[1], self.printed[2])

    def test_contents(self) -> None:
        """Each word prints what it is for."""
        for word, expected in (
            ("-help", "foreground             = yes|quiet|no"),
            ("-version", "TIMEOUTidle            = 43200 seconds"),
            ("-sockets", "    TCP_NODELAY         |    --    |       yes|       yes|        no"),
            ("-options", "options = NO_TICKET"),
        ):
            self.printed[2].clear()
            cli.main([word])
            matching = [line for line in self.printed[2] if line.startswith(expected)]
            self.assertEqual(len(matching), 1, word)

    def test_nothing_after_the_second_argument_is_looked_at(self) -> None:
        """A third argument changes nothing."""
        cli.main(["-options", "x", "-fd"])
        self.assertIn("options = NO_TICKET", self.printed[2])

    def test_closed_output(self) -> None:
        """A closed standard error is an exit status, not a traceback."""
        done = subprocess.run(
            f'exec "{sys.executable}" -m stunnel_tx -options 2>&-',
            shell=True,
            check=False,
            capture_output=True,
            env=environment(),
            timeout=PATIENCE,
        )
        self.assertEqual((done.returncode, done.stdout), (1, b""))

    def test_reactor_is_not_loaded(self) -> None:
        """Asking for help does not wait for the reactor to be imported."""
        script = (
            "import sys; from stunnel_tx.cli import main; main(['-help']);"
            "sys.exit('twisted.internet.reactor' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            check=False,
            capture_output=True,
            env=environment(),
            timeout=PATIENCE,
        )
        self.assertEqual(done.returncode, 0)


class SourceTests(SynchronousTestCase):
    """Which configuration the arguments name."""

    def _refused(self, *arguments: str) -> list[str]:
        log = Log()
        self.assertRaises(cli.UnusableSource, cli.find_source, arguments, log)
        return [text for _, _, text in log.take_pending()]

    def test_file_is_resolved(self) -> None:
        """A file is known by its real path, so that a reload finds it again."""
        path = Path(self.mktemp())
        path.write_text("")
        link = Path(self.mktemp())
        link.symlink_to(path.absolute())
        source = cli.find_source([str(link)], Log())
        self.assertEqual((source.kind, source.name), ("file", str(path.resolve())))

    def test_missing_file(self) -> None:
        """A file that does not exist is named, with stunnel's words."""
        self.assertEqual(
            self._refused("bogus"),
            [
                'Invalid configuration file name "bogus"',
                "realpath: No such file or directory (2)",
            ],
        )

    def test_unusable_name(self) -> None:
        """A name no file can have is refused like a missing one."""
        self.assertIn("Invalid configuration file name", self._refused("a\0b")[0])

    def test_default_file_is_named(self) -> None:
        """Without arguments the log says which file was tried."""
        self.patch(cli, "DEFAULT_CONFIGURATION", "/nonexistent/stunnel.conf")
        self.assertEqual(
            self._refused()[0], "No configuration file given, trying /nonexistent/stunnel.conf"
        )

    def test_descriptor(self) -> None:
        """``-fd N``, in any case, reads an inherited descriptor."""
        source = cli.find_source(["-FD", "0"], Log())
        self.assertEqual((source.kind, source.name), ("descriptor", "0"))

    def test_unusable_descriptors(self) -> None:
        """A missing or non-numeric number is refused, with the syntax of the command."""
        for arguments, reason in (
            (("-fd",), "No file descriptor specified"),
            (("-fd", "x"), "Invalid file descriptor number"),
            (("-fd", "-1"), "Invalid file descriptor number"),
            (("-fd", "²"), "Invalid file descriptor number"),
        ):
            texts = self._refused(*arguments)
            self.assertEqual(texts[0], reason)
            self.assertIn("Syntax:", texts)


class ServeTests(SynchronousTestCase):
    """One run from beginning to end, with an application that only takes notes."""

    def setUp(self) -> None:
        self.patch(lifecycle_module, "raise_descriptor_limit", lambda _scope: None)
        self.patch(gc, "freeze", lambda: None)
        self.shown: list[str] = []
        self.patch(lifecycle_module, "show_failed_start", self._show)
        self.log = Log()
        self.reactor = HandTurnedReactor()
        self.program = ScriptedProgram(self.log)
        self.lifecycle = Lifecycle(self.reactor, self.program, self.log)
        self.addCleanup(self.lifecycle.close)

    def _show(self, log: Log) -> None:
        self.shown += [text for _, _, text in log.take_pending()]

    def test_good_run(self) -> None:
        """Everything happens once and in order; a signal ends it with status 0."""
        self.reactor.script = [lambda: os.kill(os.getpid(), signal.SIGTERM)]
        self.assertEqual(cli.serve(self.reactor, self.lifecycle), 0)
        self.assertEqual(self.program.calls, ["load", "bind", "start", "stop"])
        self.assertEqual(self.reactor.stops, 1)

    def test_failures_at_each_step(self) -> None:
        """Wherever the start fails, the status is 1 and the reason is shown."""
        for step, error, expected in (
            ("load", OperatingError("no key"), "no key"),
            ("bind", OperatingError("in use"), "in use"),
            ("load", KeyError("x"), "Internal error in start: KeyError: 'x'; please report this"),
        ):
            self.program.failures = {step: error}
            self.assertEqual(cli.serve(self.reactor, self.lifecycle), 1)
            self.assertIn(expected, self.shown)

    def test_interrupt(self) -> None:
        """Ctrl-C while starting ends quietly."""

        def interrupt(name: str) -> None:
            if name == "bind":
                raise KeyboardInterrupt

        self.program.on_call = interrupt
        self.assertEqual(cli.serve(self.reactor, self.lifecycle), INTERRUPTED)
        self.assertEqual(self.program.calls, ["load", "bind", "stop"])


class ProcessTests(SynchronousTestCase):
    """The real program in a process of its own: signals, files, exit status."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        issued = Authority("test").issue("localhost", sans=("localhost",))
        self.certificate = issued.pem(self.directory / "server.pem")
        self.pid = self.directory / "pid"
        self.output = self.directory / "log"

    def _configuration(self, foreground: str, *extra: str, service: str = "") -> str:
        path = self.directory / "stunnel.conf"
        lines = [
            f"foreground = {foreground}",
            "debug = debug",
            "syslog = no",
            f"pid = {self.pid}",
            f"output = {self.output}",
            *extra,
            "[web]",
            service or f"accept = 127.0.0.1:0\nconnect = 127.0.0.1:9\ncert = {self.certificate}",
        ]
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    def _foreground(self) -> subprocess.Popen[bytes]:
        process = start_command(self._configuration("yes"))
        self.addCleanup(self._end, process)
        self.addCleanup(process.kill)
        assert process.stderr is not None
        self.stderr = process.stderr
        self.lines = read_until(self.stderr, "Accepting new connections")
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        self.stderr.close()
        process.wait(PATIENCE)

    def test_foreground_run(self) -> None:
        """Banner, one listener, pid file, and after TERM an orderly end with status 0."""
        process = self._foreground()
        self.assertEqual(len([line for line in self.lines if "bound to" in line]), 1)
        self.assertEqual(self.pid.read_text(), f"{process.pid}\n")
        process.send_signal(signal.SIGTERM)
        read_until(self.stderr, "LOG5[ui]: Terminated")
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertFalse(self.pid.exists())

    def test_interrupt(self) -> None:
        """INT is announced by its name, and ends with status 0, too."""
        process = self._foreground()
        process.send_signal(signal.SIGINT)
        read_until(self.stderr, "LOG3[ui]: Received SIGINT; terminating")
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_requests(self) -> None:
        """USR1 follows a rotated log, HUP reloads, USR2 lists; the program goes on."""
        process = self._foreground()
        self.output.rename(self.directory / "log.1")
        process.send_signal(signal.SIGUSR1)
        read_until(self.stderr, "Log file reopened")
        process.send_signal(signal.SIGHUP)
        self.assertNotIn("Accepting", "".join(read_until(self.stderr, "Service [web] (FD=")))
        process.send_signal(signal.SIGUSR2)
        read_until(self.stderr, "Listed 0 active connection(s)")
        text = self.output.read_text()
        self.assertTrue(text.splitlines()[0].endswith("Log file reopened"))
        self.assertIn("Active connections:", text)

    def test_daemon(self) -> None:
        """The command returns once the daemon serves; the daemon is in ``/`` without terminal."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        done = subprocess.run(
            [sys.executable, "-m", "stunnel_tx", self._configuration("no")],
            check=False,
            capture_output=True,
            pass_fds=(writer,),
            env=environment(),
            timeout=PATIENCE,
        )
        os.close(writer)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        daemon = int(self.pid.read_text())
        self.assertIn("LOG6[main]: Accepting new connections", self.output.read_text())
        proc = Path(f"/proc/{daemon}")
        self.assertEqual((proc / "cwd").readlink(), Path("/"))
        self.assertEqual(os.getsid(daemon), daemon)
        for number in range(3):
            self.assertEqual((proc / "fd" / str(number)).readlink(), Path(os.devnull))
        os.kill(daemon, signal.SIGTERM)
        # The pipe we passed on is at its end as soon as the daemon is gone.
        ready, _, _ = select.select([reader], [], [], PATIENCE)
        self.assertEqual((ready, os.read(reader, 1)), ([reader], b""))
        self.assertFalse(self.pid.exists())

    def test_daemon_that_cannot_start(self) -> None:
        """A pid file that cannot be written reaches the terminal and the exit status."""
        path = self._configuration("no", f"pid = {self.directory}/missing/pid")
        done = run_command(path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("[!] Cannot create pid file", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_mistakes_are_listed_at_once(self) -> None:
        """Every mistake of the file is shown with its place, then the verdict; status 1."""
        path = self._configuration("yes", "nonsense = 1", service="accept = 127.0.0.1:0")
        done = run_command(path)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"[!] {path}:6: ", done.stderr)
        self.assertIn("Each service must define two endpoints", done.stderr)
        self.assertTrue(done.stderr.endswith("[!] Configuration failed\n"))

    def test_check_of_a_good_file(self) -> None:
        """``check`` opens neither port nor log, prints to standard output, and exits with 0."""
        done = run_command("check", self._configuration("no"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.endswith("Configuration successful\n"))
        self.assertFalse(self.output.exists() or self.pid.exists())

    def test_check_lists_errors_and_warnings(self) -> None:
        """Errors and security warnings appear once each, with their lines; status 1."""
        client = "client = yes\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:9"
        path = self._configuration("no", "nonsense = 1", service=client)
        done = run_command("check", path)
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertIn(f"error: {path}:6: ", done.stdout)
        warning = "needs authentication to prevent MITM attacks"
        self.assertEqual(done.stdout.count(warning), 1)
        self.assertTrue(done.stdout.endswith("Configuration failed\n"))

    def test_check_builds_the_contexts(self) -> None:
        """A certificate that cannot be read is an error of ``check``, too."""
        self.certificate = str(self.directory / "missing.pem")
        done = run_command("check", self._configuration("no"))
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{self.certificate}: No such file", done.stdout)

    def test_check_of_what_nobody_foresaw(self) -> None:
        """Even a mistake of the program's own is a line, and no traceback."""

        class Broken:
            def load(self) -> None:
                raise KeyError("x")

        printed: list[str] = []

        def record(lines: list[str], _fd: int) -> int:
            printed.extend(lines)
            return 0

        self.patch(cli, "_application", lambda *_arguments, **_options: Broken())
        self.patch(cli, "_print", record)
        self.assertEqual(cli.check([self._configuration("no")]), 1)
        wanted = "error: Internal error: KeyError: 'x'; please report this"
        self.assertEqual([line for line in printed if line.startswith("error")], [wanted])
