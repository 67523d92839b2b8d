"""``openssl s_client`` talks to a plain server through server mode."""

from __future__ import annotations

import contextlib
import subprocess

from tests.doubles.backends import echo
from tests.doubles.real_programs import PATIENCE, find_program
from tests.interop.stage import Stage, port_of


class SClientTests(Stage):
    """Each TLS version, as OpenSSL's own client speaks it."""

    def s_client(self, port: int, *options: str) -> subprocess.CompletedProcess[bytes]:
        """Send a line and read its echo; without -quiet a ``Q`` at the start would end it."""
        command = [
            find_program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}",
            "-CAfile", str(self.directory / "ca.pem"), "-verify_return_error",
            "-verify_hostname", "localhost", "-servername", "localhost",
            "-ign_eof", *options,
        ]  # fmt: skip
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            # Who was turned away may have left before it was asked to say something.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b"hello through the tunnel\n")
                process.stdin.flush()
            seen = b""
            while b"hello through the tunnel\n" not in seen:
                line = process.stdout.readline()
                if not line:
                    break
                seen += line
            process.terminate()
            rest, errors = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(command, process.returncode, seen + rest, errors)

    def check(self, option: str, version: str) -> None:
        """A conversation in *version*, forced by *option*."""
        backend = self.backend(echo)
        server = self.server_mode(backend.port)
        answer = self.s_client(port_of(server, "server"), option)
        self.assertIn(b"hello through the tunnel\n", answer.stdout, answer.stderr)
        self.assertIn(b"Verification: OK", answer.stdout)
        self.assertIn(version.encode(), answer.stdout)
        server.said(rf"{version} ciphersuite: ")
        server.said("SNI: requested servername: localhost")

    def test_tls_1_2(self) -> None:
        """TLS 1.2 is spoken, verified, and carries bytes both ways."""
        self.check("-tls1_2", "TLSv1.2")

    def test_tls_1_3(self) -> None:
        """TLS 1.3 is spoken, verified, and carries bytes both ways."""
        self.check("-tls1_3", "TLSv1.3")

    def test_refuses_what_is_disabled(self) -> None:
        """A version below sslVersionMin is turned away, and the log says why."""
        backend = self.backend(echo)
        server = self.server_mode(backend.port, "sslVersionMin = TLSv1.3\n")
        answer = self.s_client(port_of(server, "server"), "-tls1_2")
        self.assertNotIn(b"hello through the tunnel\n", answer.stdout)
        self.assertIn(b"alert protocol version", answer.stderr)
        server.said("SSL_accept: .*unsupported protocol.*: client 127.0.0.1:")
        self.assertEqual(backend.accepted, 0)
