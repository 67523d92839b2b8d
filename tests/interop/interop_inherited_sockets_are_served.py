"""systemd's socket activation, with systemd's part played by a launcher.

One file has a server section and a client section that leads to it, so that an answer from the
second socket says that both went to the right section.
"""

from __future__ import annotations

import signal
import socket
import sys

from tests.doubles.backends import echo
from tests.doubles.real_programs import RealProgram, find_program, free_port
from tests.doubles.wire import dial, exchange
from tests.interop.stage import ENVIRONMENT, STUNNEL_TX, Stage

#: Moves the descriptors of its first argument to 3, 4, ... and becomes the rest.
LAUNCHER = """
import os, sys
given = [os.dup2(int(fd), 100 + n) for n, fd in enumerate(sys.argv[1].split(","))]
for number, fd in enumerate(given):
    os.dup2(fd, 3 + number)
    os.close(fd)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(given))}
os.execvp(sys.argv[2], sys.argv[2:])
"""

TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")


class SocketTests(Stage):
    """Two listening sockets, and a program that is started with them."""

    def setUp(self) -> None:
        super().setUp()
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        for sock in self.sockets:
            self.addCleanup(sock.close)
        self.server, self.client = (sock.getsockname()[1] for sock in self.sockets)
        self.unused = free_port()

    def sections(self, server: str = "", client: str = "") -> str:
        """Both sections; their own addresses are not to be bound."""
        back = self.backend(echo).port
        return (
            f"[server]\naccept = {server or f'127.0.0.1:{self.unused}'}\ncert = @server.pem\n"
            f"connect = 127.0.0.1:{back}\n"
            f"[client]\naccept = {client or f'127.0.0.1:{self.unused}'}\nclient = yes\n"
            f"connect = 127.0.0.1:{self.server}\nverifyChain = yes\nCAfile = @ca.pem\n"
        )

    def activate(self, name: str, *command: str) -> RealProgram:
        """Start *command* with the sockets, as systemd would."""
        numbers = [sock.fileno() for sock in self.sockets]
        started = RealProgram(
            name,
            [sys.executable, "-c", LAUNCHER, ",".join(map(str, numbers)), *command],
            self.directory,
            environment=ENVIRONMENT,
            pass_fds=numbers,
        )
        self.addCleanup(started.stop)
        return started

    def check_serves(self) -> None:
        """An echo arrives through both, and nobody listens at the addresses of the file."""
        self.assertEqual(exchange(self.client, b"through both"), b"through both")
        self.assertRaises(ConnectionRefusedError, dial, self.unused)

    def test_both_programs(self) -> None:
        """stunnel4 and ours take the sockets in the order of the sections, over a reload too."""
        path = str(self.write("both.conf", self.sections()))
        for name, command in (
            ("stunnel4", (find_program("stunnel4"), path)),
            ("stunnel-tx", (*STUNNEL_TX, path)),
        ):
            program = self.activate(name, *command)
            program.said("Accepting new connections")
            self.check_serves()
            program.signal(signal.SIGHUP)
            program.said("Configuration successful", 2)
            self.check_serves()
            program.stop()

    def test_sockets_named_by_strings(self) -> None:
        """``systemd:`` strings say themselves which socket they mean."""
        sections = self.sections("systemd:domain=INET:index=0", "systemd:domain=INET:index=1")
        path = str(self.write("strings.conf", sections))
        self.activate("stunnel-tx", *STUNNEL_TX, path).said("Accepting new connections")
        self.check_serves()

    def test_one_too_many(self) -> None:
        """More sockets than sections is an error that names both numbers."""
        sections = self.sections().partition("[client]")[0]
        program = self.activate("stunnel-tx", *STUNNEL_TX, str(self.write("one.conf", sections)))
        program.said(r"systemd has passed 2 sockets, and 1 sections have an 'accept' line")
        self.assertEqual(program.exit_status(), 1)

    def test_twistd(self) -> None:
        """The service of twistd takes them as well."""
        path = str(self.write("twistd.conf", self.sections()))
        self.activate("twistd", *TWISTD, "-n", "--pidfile=", "stunnel", "--config", path)
        # Whoever comes before it accepts waits in the queue of the socket.
        self.check_serves()
