"""Programs on other TLS libraries than OpenSSL: Go's own (rclone) and GnuTLS (gnutls-cli)."""

from __future__ import annotations

import os
import subprocess

from tests.doubles.backends import echo
from tests.doubles.real_programs import PATIENCE, eventually, find_program, free_port
from tests.doubles.wire import dial
from tests.interop.stage import Stage, port_of
from tests.interop.web import web_server

#: Enough for many records.
CONTENT = os.urandom(3_000_000)


class GoTests(Stage):
    """rclone is written in Go and brings Go's TLS along."""

    def rclone(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run it with nothing of this account's configuration."""
        return subprocess.run(
            [find_program("rclone"), "--config", "", "--retries", "1", *arguments],
            capture_output=True,
            timeout=60,
            check=False,
        )

    def test_client(self) -> None:
        """A Go client reads a file through our server mode, verified, on TLS 1.3."""
        server = self.server_mode(web_server(self, {"file": CONTENT}))
        url = f"https://localhost:{port_of(server, 'server')}/file"
        done = self.rclone("copyurl", url, "--stdout", "--ca-cert", self.path("ca.pem"))
        self.assertEqual((done.returncode, done.stdout == CONTENT), (0, True), done.stderr)
        server.said("TLSv1.3 ciphersuite: ")

    def test_client_certificate(self) -> None:
        """A Go client is let in with its certificate, and not without one."""
        more = "verifyChain = yes\nCAfile = @ca.pem\n"
        server = self.server_mode(web_server(self, {"file": b"secret"}), more)
        url = f"https://localhost:{port_of(server, 'server')}/file"
        usual = ("copyurl", url, "--stdout", "--ca-cert", self.path("ca.pem"))
        identity = self.path("client.pem")
        let_in = self.rclone(*usual, "--client-cert", identity, "--client-key", identity)
        self.assertEqual((let_in.returncode, let_in.stdout), (0, b"secret"), let_in.stderr)
        refused = self.rclone(*usual)
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual(refused.stdout, b"")
        self.assertIn(b"certificate required", refused.stderr)

    def test_server(self) -> None:
        """Our client mode reaches a Go server, verified."""
        (self.directory / "files").mkdir()
        (self.directory / "files" / "file").write_bytes(CONTENT)
        port = free_port()
        identity = self.path("server.pem")
        command = ["rclone", "serve", "http", self.path("files"), "--addr", f"127.0.0.1:{port}"]
        self.start("rclone", [*command, "--cert", identity, "--key", identity, "--config", ""])

        def listening() -> bool:
            try:
                dial(port).close()
            except ConnectionRefusedError:
                return False
            return True

        eventually(listening, "rclone listens")
        client = self.client_mode(port)
        with dial(port_of(client, "client")) as sock:
            sock.sendall(b"GET /file HTTP/1.0\r\nHost: localhost\r\n\r\n")
            received = b"".join(iter(lambda: sock.recv(65536), b""))
        self.assertTrue(received.startswith(b"HTTP/1.0 200"), received[:200])
        self.assertEqual(received.partition(b"\r\n\r\n")[2], CONTENT)
        client.said("Certificate accepted at depth=0: CN=localhost")

    def path(self, name: str) -> str:
        """A file of this test's folder."""
        return str(self.directory / name)


class GnuTLSTests(Stage):
    """gnutls-cli, with certificates on both sides."""

    def answered(self, command: list[str], words: bytes) -> subprocess.CompletedProcess[bytes]:
        """Run *command*, which waits for an answer a second at most once its input has ended.

        So its input is *words*, and ends when they have come back.
        """
        printed = self.directory / "answer"
        with (
            printed.open("wb") as output,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE
            ) as process,
        ):
            assert process.stdin is not None
            process.stdin.write(words)
            process.stdin.flush()
            eventually(
                lambda: process.poll() is not None or b"\n" + words in printed.read_bytes(),
                "the answer",
            )
            _, errors = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(
            command, process.returncode, printed.read_bytes(), errors
        )

    def test_client(self) -> None:
        """It verifies our server, shows its own certificate and gets its bytes back."""
        more = "verifyChain = yes\nCAfile = @ca.pem\n"
        server = self.server_mode(self.backend(echo).port, more)
        port = port_of(server, "server")
        identity = str(self.directory / "client.pem")
        for version in ("1.2", "1.3"):
            done = self.answered(
                [
                    *(find_program("gnutls-cli"), "-p", str(port)),
                    *("--x509cafile", str(self.directory / "ca.pem")),
                    *("--x509certfile", identity, "--x509keyfile", identity),
                    *("--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{version}", "localhost"),
                ],
                b"through GnuTLS\n",
            )
            printed = done.stdout + done.stderr
            self.assertEqual(done.returncode, 0, printed)
            self.assertIn(b"The certificate is trusted", printed)
            self.assertIn(b"\nthrough GnuTLS\n", done.stdout)
            server.said(rf"TLSv{version} ciphersuite: ")
        server.said("Certificate accepted at depth=0: CN=client", count=2)
