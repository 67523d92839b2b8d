"""What the interop tests share: certificates on disk, configurations, and tunnels to run."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from tests.doubles.backends import Backend, plain
from tests.doubles.certificates import DAY, NOW, Authority, Issued
from tests.doubles.real_programs import RealProgram, find_program
from tests.doubles.wire import tls_backend

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from OpenSSL import SSL

    from tests.doubles.wire import TLSEnd

ROOT = Path(__file__).resolve().parent.parent.parent

#: How our program is started.
STUNNEL_TX = (sys.executable, "-m", "stunnel_tx")

#: What it needs to be found from another folder.
ENVIRONMENT = {"PYTHONPATH": str(ROOT)}

#: The head of every configuration.
HEAD = "foreground = yes\ndebug = 7\nsyslog = no\npid =\n"

#: How much of each log a failing test shows, in characters.
_TAIL: Final = 6000

#: Signs of a bug of ours in the log.
_BUGS = re.compile(r"Traceback|Internal error|Unhandled|LOG[012]\[\w+\]: (?!Active|Listed|Since)")


@frozen
class Papers:
    """Certificates and keys for everybody."""

    authority: Authority
    stranger: Authority
    server: Issued
    client: Issued
    expired: Issued
    foreign: Issued


@cache
def papers() -> Papers:
    """Made once per run of the tests."""
    authority, stranger = Authority("Interop CA"), Authority("Another CA")
    names = ["localhost", "127.0.0.1"]
    # Far enough away not to be warned about.
    later = NOW + 90 * DAY
    return Papers(
        authority=authority,
        stranger=stranger,
        server=authority.issue("localhost", names, not_after=later),
        client=authority.issue("client", ["client.example"], not_after=later),
        expired=authority.issue("localhost", names, NOW - 2 * DAY, NOW - DAY),
        foreign=stranger.issue("localhost", names, not_after=later),
    )


class Stage(SynchronousTestCase):
    """A folder of its own, with the files ``ca.pem``, ``stranger.pem`` and one per identity."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="interop."))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.papers = papers()
        self.papers.authority.pem(self.directory / "ca.pem")
        self.papers.stranger.pem(self.directory / "stranger.pem")
        for name in ("server", "client", "expired", "foreign"):
            issued: Issued = getattr(self.papers, name)
            path = Path(issued.pem(self.directory / f"{name}.pem"))
            path.chmod(0o600)

    # --- what is started -------------------------------------------------------------------

    def start(self, name: str, command: Sequence[str], **options: dict[str, str]) -> RealProgram:
        """Start *command*, whose first word is a program to be found; it ends with the test."""
        found = [find_program(command[0]), *command[1:]]
        started = RealProgram(name, found, self.directory, **options)  # type: ignore[arg-type]
        self.addCleanup(started.stop)
        return started

    def write(self, name: str, sections: str, head: str = HEAD) -> Path:
        """A configuration file; ``@`` in its values stands for the folder of this test."""
        path = self.directory / name
        text = head + re.sub(r"(?<== )@", f"{self.directory}/", sections)
        path.write_text(text, encoding="utf-8")
        return path

    def tunnels(
        self, sections: str, name: str = "stunnel-tx", *, program: str = "stunnel-tx"
    ) -> RealProgram:
        """Run *sections* with our program, or with *program* ``stunnel4``, until it accepts.

        Ours has to end in good order and without a sign of a bug.
        """
        path = self.write(f"{name}.conf", sections)
        if program == "stunnel4":
            started = self.start(name, ["stunnel4", str(path)])
        else:
            started = self.start_ours(path, name)
        started.said("Accepting new connections")
        return started

    def start_ours(self, path: Path, name: str = "stunnel-tx") -> RealProgram:
        """Start our program with the configuration file at *path*; see :meth:`tunnels`."""
        started = RealProgram(
            name, [*STUNNEL_TX, str(path)], self.directory, environment=ENVIRONMENT
        )
        self.addCleanup(self.check_clean, started)
        return started

    def check_clean(self, ours: RealProgram) -> None:
        """Stop *ours*; it must have done nothing that a bug would do."""
        status = ours.stop()
        found = _BUGS.search(ours.log)
        self.assertIsNone(found, ours.log)
        self.assertEqual(status, 0, ours.log)

    def backend(
        self, talk: Callable[[socket.socket], None], port: int = 0
    ) -> Backend[socket.socket]:
        """A plain backend that ends with the test, on *port* or a free one."""
        made = plain(talk, port)
        self.addCleanup(made.close)
        return made

    def tls_backend(self, talk: Callable[[TLSEnd], None], context: SSL.Context) -> Backend[TLSEnd]:
        """A TLS backend that ends with the test."""
        made = tls_backend(talk, context)
        self.addCleanup(made.close)
        return made

    def log_files(self) -> list[Path]:
        """Where programs have said what they did."""
        return sorted(self.directory.glob("*.log"))

    def logs(self) -> str:
        """What every program has said last, for the message of a failing test."""
        tails = {
            path.name: path.read_text(encoding="utf-8", errors="replace")[-_TAIL:]
            for path in self.log_files()
        }
        return "\n".join(f"--- {name}\n{tail}" for name, tail in tails.items())

    # --- usual configurations --------------------------------------------------------------

    def server_mode(self, connect: int | str, more: str = "", **options: str) -> RealProgram:
        """A service ``[server]`` in front of *connect*."""
        where = f"127.0.0.1:{connect}" if isinstance(connect, int) else connect
        return self.tunnels(
            f"[server]\naccept = 127.0.0.1:0\nconnect = {where}\ncert = @server.pem\n{more}",
            **{"name": "server", **options},
        )

    def client_mode(self, connect: int | str, more: str = "", **options: str) -> RealProgram:
        """A service ``[client]`` that verifies what it reaches at *connect*."""
        where = f"127.0.0.1:{connect}" if isinstance(connect, int) else connect
        return self.tunnels(
            "[client]\nclient = yes\naccept = 127.0.0.1:0\n"
            f"connect = {where}\nsni = localhost\n"
            f"verifyChain = yes\ncheckHost = localhost\nCAfile = @ca.pem\n{more}",
            **{"name": "client", **options},
        )

    def pair(
        self, connect: int | str, more: str = "", client: str = "stunnel-tx", server: str = ""
    ) -> tuple[RealProgram, RealProgram]:
        """Client mode in front of server mode in front of *connect*; (client, server)."""
        far = self.server_mode(connect, more, program=server or "stunnel-tx")
        near = self.client_mode(port_of(far, "server"), more, program=client)
        return near, far


def port_of(tunnels: RealProgram, service: str) -> int:
    """The port *service* listens on."""
    return int(tunnels.said(rf"Service \[{service}\] .*bound to .*:(\d+)$")[1])


def complaints(log: str, ident: str = "0", level: int = 6) -> list[str]:
    """What the log says about connection *ident* beyond its usual lines.

    Lines above *level* are left out: those for debugging, or with 5 all that are not seen at
    the default level.
    """
    usual = re.compile(
        r"accepted connection from|Connection (closed|reset)\S*: \d|SNI: "
        r"|Peer certificate (not )?required|TLS (accepted|connected)|ciphersuite|group: "
        r"|s_connect: connect(ing|ed) "
        r"|connected remote server|Certificate accepted|CERT: (Host name|No subject)|TLS closed"
        r"|Read socket closed"
    )
    lines = re.findall(rf"^\S+ \S+ LOG[0-{level}]\[{ident}\]: (.*)$", log, re.MULTILINE)
    return [line for line in lines if not usual.search(line)]
