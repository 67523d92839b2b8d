"""Daemon mode, pid file, exit status, root's rights given up, configuration by descriptor."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
from pathlib import Path

from tests.doubles.backends import echo
from tests.doubles.real_programs import (
    PATIENCE,
    RealProgram,
    alive,
    eventually,
    free_port,
    missing,
)
from tests.doubles.wire import TLSEnd, client_context, dial, exchange, is_over
from tests.interop.background import Background
from tests.interop.stage import ENVIRONMENT, STUNNEL_TX, Stage, port_of


class DaemonTests(Background):
    """``foreground = no``, which is the default."""

    def test_life(self) -> None:
        """When the command comes back the daemon serves; SIGTERM ends it and its pid file."""
        done = self.launch(self.write("daemon.conf", self.service(), self.head()))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        pid = int(self.pid_file.read_text(encoding="ascii"))
        self.check_serves()
        self.assertEqual(os.getsid(pid), pid)
        self.assertEqual(Path(f"/proc/{pid}/cwd").readlink(), Path("/"))
        for stream in (0, 1, 2):
            self.assertEqual(Path(f"/proc/{pid}/fd/{stream}").readlink(), Path("/dev/null"))
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not alive(pid), "the daemon ends")
        self.assertFalse(self.pid_file.exists())
        self.assertIn("LOG5[main]: Terminated\n", self.text())
        self.assertNotIn("Traceback", self.text())
        self.assertRaises(ConnectionRefusedError, dial, self.port)

    def test_reload(self) -> None:
        """SIGHUP is answered although the daemon's working directory is another one."""
        path = self.write("daemon.conf", self.service(), self.head())
        self.launch(Path(path.name))
        pid = int(self.pid_file.read_text(encoding="ascii"))
        os.kill(pid, signal.SIGHUP)
        eventually(lambda: self.text().count("Configuration successful") == 2, "the reload")
        self.check_serves()

    def test_closed_streams(self) -> None:
        """Started without standard streams it serves, and ends when it is told to."""
        path = self.write("daemon.conf", self.service(), self.head())
        command = " ".join(self.command(path))
        closed = ["sh", "-c", f"exec {command} <&- >&- 2>&-"]
        self.patch(self, "command", lambda _path: closed)
        self.assertEqual(self.launch(path).returncode, 0)
        pid = int(self.pid_file.read_text(encoding="ascii"))
        self.check_serves()
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not alive(pid), "the daemon ends")
        self.assertIn("LOG5[main]: Terminated\n", self.text())

    def check_fails(self, sections: str, head: str, reason: str) -> None:
        """The command has exit status 1 and says *reason*; nothing is left behind."""
        done = self.launch(self.write("daemon.conf", sections, head))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, rf"(?m)^\[!\] .*{reason}")
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertFalse(self.pid_file.exists())

    def test_port_in_use(self) -> None:
        """A port that another program has."""
        with socket.create_server(("127.0.0.1", self.port)):
            self.check_fails(self.service(), self.head(), r"Binding service \[server\] failed")

    def test_bad_configuration(self) -> None:
        """A mistake in the file."""
        self.check_fails(
            self.service() + "colour = green\n", self.head(), r"daemon\.conf:9: .*colour"
        )

    def test_bad_pid_file(self) -> None:
        """A pid file that cannot be made."""
        head = self.head().replace("daemon.pid", "missing/daemon.pid")
        self.check_fails(self.service(), head, "Cannot create pid file .*missing/daemon.pid")

    def test_bad_account(self) -> None:
        """An account that does not exist."""
        head = self.head() + "setuid = nobody-of-this-name\n"
        self.check_fails(self.service(), head, "nobody-of-this-name")

    def test_bad_jail(self) -> None:
        """A chroot directory that does not exist."""
        if os.geteuid():
            missing("chroot needs root's rights")
        head = self.head() + f"chroot = {self.directory}/missing\n"
        self.check_fails(self.service(), head, "chroot to .*missing: No such file or directory")


class PrivilegesTests(Background):
    """``setuid``, ``setgid`` and ``chroot``, started by root."""

    def setUp(self) -> None:
        super().setUp()
        if os.geteuid():
            missing("giving up root's rights needs root's rights")
        self.account = pwd.getpwnam("nobody")
        self.directory.chmod(0o755)
        self.jail = self.directory / "jail"
        self.jail.mkdir()
        shutil.chown(self.jail, self.account.pw_uid, self.account.pw_gid)
        self.pid_file = self.jail / "daemon.pid"
        self.output = self.jail / "daemon.out"

    def identity(self, pid: int) -> tuple[set[int], set[int], set[int]]:
        """User, group and supplementary group ids of the process."""
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        rows = [
            re.search(rf"^{row}:(.*)$", status, re.MULTILINE) for row in ("Uid", "Gid", "Groups")
        ]
        uids, gids, groups = (set(map(int, row[1].split())) for row in rows if row is not None)
        return uids, gids, groups

    def account_options(self) -> str:
        """The options that change the account."""
        return f"setuid = nobody\nsetgid = {self.account.pw_gid}\n"

    def test_account(self) -> None:
        """The daemon has the account's ids only, and owns its pid and log file."""
        head = self.head() + self.account_options()
        done = self.launch(self.write("daemon.conf", self.service(), head))
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.returncode, 0)
        pid = int(self.pid_file.read_text(encoding="ascii"))
        uid, gid = self.account.pw_uid, self.account.pw_gid
        self.assertEqual(self.identity(pid), ({uid}, {gid}, {gid}))
        for path in (self.pid_file, self.output):
            self.assertEqual(path.stat().st_uid, uid, path)
        self.check_serves()
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not alive(pid), "the daemon ends")
        self.assertFalse(self.pid_file.exists())

    def check_jailed(self, more: str = "") -> int:
        """The daemon serves from inside the jail; its pid."""
        head = (
            "syslog = no\ndebug = 7\npid = /daemon.pid\noutput = /daemon.out\n"
            f"chroot = {self.jail}\n{self.account_options()}"
        )
        done = self.launch(self.write("daemon.conf", self.service() + more, head))
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.returncode, 0)
        pid = int(self.pid_file.read_text(encoding="ascii"))
        self.assertEqual(Path(f"/proc/{pid}/root").readlink(), self.jail)
        self.assertEqual(self.identity(pid)[0], {self.account.pw_uid})
        self.check_serves()
        return pid

    def test_jail(self) -> None:
        """All that a tunnel may need is there although nothing can be loaded any more."""
        client, later = free_port(), free_port()
        pid = self.check_jailed(
            f"[client]\nclient = yes\naccept = 127.0.0.1:{client}\n"
            f"connect = 127.0.0.1:{self.port}\n"
            "verifyChain = yes\nCAfile = @ca.pem\ncheckHost = localhost\n"
            f"[later]\nclient = yes\naccept = 127.0.0.1:{later}\ndelay = yes\n"
            f"connect = localhost:{self.port}\nfailover = rr\n"
        )
        self.assertEqual(exchange(client, b"verified"), b"verified")
        # A jail without /etc/hosts may not know the name; whatever it knows, it stays polite.
        with contextlib.suppress(ConnectionError):
            self.assertIn(exchange(later, b"by name"), (b"by name", b""))
        with dial(self.port) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            self.assertTrue(is_over(sock, PATIENCE))
        os.kill(pid, signal.SIGUSR2)
        eventually(lambda: "Listed " in self.text(), "the list")
        os.kill(pid, signal.SIGUSR1)
        eventually(lambda: "Log file reopened" in self.text(), "the reopened log")
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not alive(pid), "the daemon ends")
        self.assertFalse(self.pid_file.exists())
        self.assertNotIn("Traceback", self.text())
        self.assertNotIn("Internal error", self.text())

    def test_reload_without_file(self) -> None:
        """Where the jail has no configuration a reload fails politely."""
        pid = self.check_jailed()
        os.kill(pid, signal.SIGHUP)
        eventually(lambda: "Failed to reload the configuration file" in self.text(), "the refusal")
        self.check_serves()
        self.assertNotIn("Traceback", self.text())

    def test_reload_inside(self) -> None:
        """Where the jail has the files at the same path a reload works."""
        pid = self.check_jailed()
        self.furnish()
        os.kill(pid, signal.SIGHUP)
        eventually(lambda: self.text().count("Configuration successful") == 2, self.text())
        self.check_serves()
        self.assertNotIn("Traceback", self.text())

    def furnish(self) -> None:
        """Put the configuration and its certificate into the jail, at their path outside."""
        inside = self.jail / str(self.directory).lstrip("/")
        inside.mkdir(parents=True)
        for name in ("daemon.conf", "server.pem"):
            shutil.copy(self.directory / name, inside / name)
            shutil.chown(inside / name, self.account.pw_uid)

    def test_reload_brings_something_new(self) -> None:
        """Protocols and endpoint strings that nobody has used before can be loaded no more."""
        pid = self.check_jailed()
        path = self.directory / "daemon.conf"
        head, _, _ = path.read_text(encoding="utf-8").partition("[server]")
        through = self.service().replace("connect = ", "connect = tcp:")
        mail = f"[mail]\nclient = yes\nprotocol = smtp\naccept = 127.0.0.1:{free_port()}\n"
        self.write("daemon.conf", f"{through}{mail}connect = 127.0.0.1:{self.port}\n", head)
        self.furnish()
        os.kill(pid, signal.SIGHUP)
        eventually(lambda: "Service [mail] (FD=" in self.text(), self.text())
        self.check_serves()
        self.assertNotIn("Internal error", self.text())


class DescriptorTests(Stage):
    """``-fd N``."""

    def test_inherited(self) -> None:
        """The configuration is read from the inherited descriptor, and the program serves."""
        backend = self.backend(echo)
        path = self.write(
            "any.conf",
            f"[server]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:{backend.port}\n"
            "cert = @server.pem\n",
        )
        with path.open("rb") as stream:
            number = stream.fileno()
            program = RealProgram(
                "fd", [*STUNNEL_TX, "-fd", str(number)], self.directory,
                environment=ENVIRONMENT, pass_fds=[number],
            )  # fmt: skip
            self.addCleanup(self.check_clean, program)
            program.said(rf"Reading configuration from descriptor {number}$")
        with TLSEnd.dial(port_of(program, "server"), client_context()) as end:
            end.send(b"hello")
            self.assertEqual(end.receive(), b"hello")
