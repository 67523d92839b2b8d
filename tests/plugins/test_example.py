"""The example plugin, installed into a folder of its own and run by the real program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from tests.doubles.backends import echo, plain
from tests.doubles.certificates import self_signed
from tests.doubles.processes import ROOT, environment
from tests.doubles.real_programs import RealProgram, free_port
from tests.doubles.tunnels import certificate_file
from tests.doubles.wire import TLSEnd, client_context, dial, server_context

if TYPE_CHECKING:
    import socket

EXAMPLE = ROOT / "examples" / "plugin"

BAD = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from stunnel_tx.interfaces import INegotiation

@implementer(IPlugin, INegotiation)
class Bad:
    name = {name!r}
    client = server = None
    alpn = ()
    {more}

bad = Bad()
"""


class PluginCase(SynchronousTestCase):
    """A folder with plugins, and a configuration beside it."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        shutil.copytree(EXAMPLE / "stunnel_tx", self.folder / "site" / "stunnel_tx")
        self.environment = environment()
        paths = [str(self.folder / "site"), self.environment["PYTHONPATH"]]
        self.environment["PYTHONPATH"] = os.pathsep.join(paths)

    def write(self, text: str) -> str:
        """A configuration file."""
        path = self.folder / "test.conf"
        head = "foreground = yes\ndebug = info\npid =\nsyslog = no\n"
        path.write_text(head + text, encoding="ascii")
        return str(path)

    def add(self, name: str, more: str = "specification = ''") -> None:
        """Another plugin, with a *name* that it gives itself."""
        path = self.folder / "site" / "stunnel_tx" / "plugins" / "another.py"
        path.write_text(BAD.format(name=name, more=more), encoding="ascii")

    def check(self, protocol: str) -> subprocess.CompletedProcess[str]:
        """What ``stunnel-tx check`` says of a service with *protocol*."""
        text = f"[x]\ncert = {certificate_file()}\naccept = 1\nconnect = 2\nprotocol = {protocol}\n"
        return subprocess.run(
            [sys.executable, "-m", "stunnel_tx", "check", self.write(text)],
            check=False,
            capture_output=True,
            text=True,
            env=self.environment,
        )


class ExampleTests(PluginCase):
    """``protocol = nut`` through the real program."""

    def run_program(self, text: str) -> RealProgram:
        """The program with the plugin, ready to serve."""
        command = [sys.executable, "-m", "stunnel_tx", self.write(text)]
        program = RealProgram("plugged", command, self.folder, environment=self.environment)
        self.addCleanup(program.stop)
        program.said("Accepting new connections")
        return program

    def test_server(self) -> None:
        """A client is refused until it asks for TLS, and then talks to the server."""
        backend = plain(echo)
        self.addCleanup(backend.close)
        port = free_port()
        self.run_program(
            f"[ups]\ncert = {certificate_file()}\naccept = 127.0.0.1:{port}\n"
            f"connect = 127.0.0.1:{backend.port}\nprotocol = nut\n"
        )
        sock = dial(port)
        self.addCleanup(sock.close)
        sock.sendall(b"USERNAME joe\n")
        self.assertEqual(_line(sock), b"ERR ACCESS-DENIED\n")
        sock.sendall(b"STARTTLS\n")
        self.assertEqual(_line(sock), b"OK STARTTLS\n")
        end = TLSEnd.start(client_context(), sock)
        end.send(b"LIST UPS\n")
        self.assertEqual(end.receive(), b"LIST UPS\n")

    def test_client(self) -> None:
        """A server is asked for TLS before the client's first byte goes out."""

        def talk(sock: socket.socket) -> None:
            if _line(sock) == b"STARTTLS\n":
                sock.sendall(b"OK STARTTLS\n")
                end = TLSEnd.serve(context, sock)
                end.send(b"heard " + end.receive())

        context = server_context(self_signed("ups.example", ["ups.example"]))
        backend = plain(talk)
        self.addCleanup(backend.close)
        port = free_port()
        self.run_program(
            f"[ups]\nclient = yes\naccept = 127.0.0.1:{port}\n"
            f"connect = 127.0.0.1:{backend.port}\nprotocol = NUT\n"
        )
        sock = dial(port)
        self.addCleanup(sock.close)
        sock.sendall(b"VER\n")
        self.assertEqual(_line(sock), b"heard VER\n")


class CheckTests(PluginCase):
    """Plugins when the configuration is read."""

    def test_known(self) -> None:
        """The word of a plugin is as good as any other."""
        done = self.check("nut")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_unknown(self) -> None:
        """A word that no plugin has either is refused as before."""
        done = self.check("gopher")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Protocol not supported", done.stdout)
        self.assertNotIn("Traceback", done.stdout + done.stderr)

    def test_incomplete(self) -> None:
        """A plugin that lacks something is named, and stops the start."""
        self.add("bad", "pass")
        done = self.check("nut")
        self.assertEqual(done.returncode, 1)
        self.assertIn("a protocol plugin cannot be used", done.stdout)
        self.assertIn("specification", done.stdout)
        self.assertNotIn("Traceback", done.stdout + done.stderr)

    def test_names(self) -> None:
        """Names that could not be told apart, or written, are refused."""
        for name, wanted in (
            ("imap", "two protocols are called imap"),
            ("nut", "two protocols are called nut"),
            ("No Name", "has the name"),
        ):
            self.add(name)
            self.assertIn(wanted, self.check("nut").stdout)


def _line(sock: socket.socket) -> bytes:
    """The next line, and no byte more."""
    line = b""
    while not line.endswith(b"\n") and (byte := sock.recv(1)):
        line += byte
    return line
