"""The same ``stunnel.conf``, started by ``stunnel4`` and by ``stunnel-tx``, looks the same outside.

Both roles are in the one file: each client service leads to a server service of the same file.
"""

from __future__ import annotations

import subprocess

from tests.doubles.backends import AnswersAfterTheEnd, Backend, echo
from tests.doubles.real_programs import PATIENCE, find_program, free_port
from tests.doubles.wire import dial, exchange, read_exactly, read_to_end, refused
from tests.interop.stage import Stage
from tests.interop.web import web_server

#: The services of the file and the options that make each what it is. ``{web}``, ``{echo}`` and
#: ``{late}`` are backends, any other word in braces is the port of that service.
SERVICES = {
    "web": "connect = {web}\ncert = @server.pem\n",
    "plain": "connect = {echo}\ncert = @server.pem\n",
    "late": "connect = {slow}\ncert = @server.pem\n",
    "mutual": "connect = {echo}\ncert = @server.pem\nverifyChain = yes\nCAfile = @ca.pem\n",
    "pinned": "connect = {echo}\ncert = @server.pem\nverifyPeer = yes\nCAfile = @client.pem\n",
    "expired": "connect = {echo}\ncert = @expired.pem\n",
    "dead": "connect = {nobody}\ncert = @server.pem\n",
    "to-web": "client = yes\nconnect = {web-port}\nverifyChain = yes\nCAfile = @ca.pem\n"
    "checkHost = localhost\n",
    "to-plain": "client = yes\nconnect = {plain-port}\nverifyChain = yes\nCAfile = @ca.pem\n"
    "checkIP = 127.0.0.1\n",
    "to-late": "client = yes\nconnect = {late-port}\n",
    "to-dead": "client = yes\nconnect = {dead-port}\n",
    "wrong-ca": "client = yes\nconnect = {plain-port}\nverifyChain = yes\nCAfile = @stranger.pem\n",
    "wrong-host": "client = yes\nconnect = {plain-port}\nverifyChain = yes\nCAfile = @ca.pem\n"
    "checkHost = elsewhere.example\n",
    "to-expired": "client = yes\nconnect = {expired-port}\nverifyChain = yes\nCAfile = @ca.pem\n",
    "no-cert": "client = yes\nconnect = {mutual-port}\n",
    "foreign-cert": "client = yes\nconnect = {mutual-port}\ncert = @foreign.pem\n",
    "good-cert": "client = yes\nconnect = {mutual-port}\ncert = @client.pem\n",
    "pinned-cert": "client = yes\nconnect = {pinned-port}\ncert = @client.pem\n",
    "unpinned-cert": "client = yes\nconnect = {pinned-port}\ncert = @server.pem\n",
}


class Behaviour:
    """What clients and backends see; mixed into one test case for each program."""

    program: str

    def setUp(self) -> None:
        assert isinstance(self, Stage)
        Stage.setUp(self)
        self.page = b"<p>" + bytes(range(256)) * 400
        web = web_server(self, {"page.html": self.page})
        self.echo: Backend[object] = self.backend(echo)  # type: ignore[assignment]
        self.late = AnswersAfterTheEnd(b"x" * 3_000_000, stays=True)
        slow = self.backend(self.late)
        self.ports = {name: free_port() for name in SERVICES}
        places = {
            "web": str(web), "echo": f"127.0.0.1:{self.echo.port}",
            "slow": f"127.0.0.1:{slow.port}", "nobody": f"127.0.0.1:{free_port()}",
            **{f"{name}-port": f"127.0.0.1:{port}" for name, port in self.ports.items()},
        }  # fmt: skip
        sections = "".join(
            f"[{name}]\naccept = 127.0.0.1:{self.ports[name]}\n{options.format(**places)}\n"
            for name, options in SERVICES.items()
        )
        self.running = self.tunnels(sections, program=self.program)

    def fetch(self, *options: str) -> bytes:
        """The page, by curl."""
        command = [find_program("curl"), "-sS", "--noproxy", "*", *options]
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        assert isinstance(self, Stage)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_curl(self) -> None:
        """A page is fetched by curl through server mode, and through both modes in a row."""
        assert isinstance(self, Stage)
        own = ["--cacert", str(self.directory / "ca.pem")]
        https = self.fetch(*own, f"https://localhost:{self.ports['web']}/page.html")
        self.assertEqual(https, self.page)
        http = self.fetch(f"http://127.0.0.1:{self.ports['to-web']}/page.html")
        self.assertEqual(http, self.page)

    def test_bytes(self) -> None:
        """Bytes arrive as they were sent, none for none."""
        assert isinstance(self, Stage)
        for data in (b"", b"\0", bytes(range(256)) * 5000):
            self.assertEqual(exchange(self.ports["to-plain"], data), data)

    def test_half_close(self) -> None:
        """The end of a request reaches the backend, whose late answer comes whole."""
        assert isinstance(self, Stage)
        with dial(self.ports["to-late"]) as sock:
            sock.sendall(b"question")
            sock.shutdown(1)
            self.assertTrue(self.late.heard.wait(PATIENCE))
            self.late.allowed.set()
            self.assertEqual(read_exactly(sock, len(self.late.answer)), self.late.answer)
            self.late.received.set()
            self.assertEqual(read_to_end(sock), b"")

    def test_certificates_accepted(self) -> None:
        """A client with the right certificate is served, by chain and by pin."""
        assert isinstance(self, Stage)
        for service in ("good-cert", "pinned-cert"):
            self.assertEqual(exchange(self.ports[service], b"mine"), b"mine", service)

    def test_refusals(self) -> None:
        """Wrong names, authorities, dates and certificates get no byte, nor does a backend."""
        assert isinstance(self, Stage)
        for service in (
            "wrong-ca", "wrong-host", "to-expired", "no-cert", "foreign-cert", "unpinned-cert",
        ):  # fmt: skip
            self.assertTrue(refused(self.ports[service]), service)
        self.assertEqual(self.echo.accepted, 0)
        # All but the client without a certificate, which has none to be turned down.
        self.running.said("Rejected by CERT at depth=", count=5)

    def test_dead_backend(self) -> None:
        """A backend that refuses costs its client the connection, and nobody else."""
        assert isinstance(self, Stage)
        self.assertTrue(refused(self.ports["to-dead"]))
        self.running.said(r"s_connect: connect 127\.0\.0\.1:\d+: Connection refused \(111\)")
        self.running.said("No more addresses to connect")
        self.assertEqual(exchange(self.ports["to-plain"], b"next"), b"next")


class StunnelTests(Behaviour, Stage):
    """The file under Debian's stunnel4."""

    program = "stunnel4"


class OursTests(Behaviour, Stage):
    """The file under stunnel-tx."""

    program = "stunnel-tx"
