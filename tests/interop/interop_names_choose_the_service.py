"""Names, protocols and sessions as openssl, curl and stunnel4 send them, to name-based services."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from tests.doubles.backends import echo
from tests.doubles.real_programs import PATIENCE, find_program
from tests.doubles.wire import exchange
from tests.interop.stage import Stage, port_of
from tests.interop.web import web_server

WORDS = b"hello through the tunnel\n"


class NamesTests(Stage):
    """A public service and, behind a name, one that wants a certificate."""

    def setUp(self) -> None:
        super().setUp()
        self.papers.authority.issue("q.example", ["q.example"]).pem(self.directory / "q.pem")
        (self.directory / "q.pem").chmod(0o600)

    def serve(self, connect: int | str, primary: str = "", secondary: str = "") -> int:
        """The two services in front of *connect*; where they listen."""
        where = f"127.0.0.1:{connect}" if isinstance(connect, int) else connect
        self.server = self.tunnels(
            f"[server]\naccept = 127.0.0.1:0\nconnect = {where}\ncert = @server.pem\n"
            f"{primary}"
            f"[q]\nsni = server:q.example\nsni = server:*.q.example\nconnect = {where}\n"
            f"cert = @q.pem\n{secondary}"
        )
        return port_of(self.server, "server")

    def s_client(self, port: int, *options: str) -> tuple[bytes, bytes]:
        """What OpenSSL's client prints while a line is echoed, and its errors."""
        command = [
            find_program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}",
            "-CAfile", "ca.pem", "-ign_eof", *options,
        ]  # fmt: skip
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.directory,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            # Who was turned away may have left before it was asked to say something.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(WORDS)
                process.stdin.flush()
            seen = b""
            while WORDS not in seen:
                line = process.stdout.readline()
                if not line:
                    break
                seen += line
            process.terminate()
            rest, errors = process.communicate(timeout=PATIENCE)
        return seen + rest, errors

    def test_s_client_names(self) -> None:
        """-servername leads to the right certificate, none to the first service's."""
        port = self.serve(self.backend(echo).port)
        for options, name in (
            (("-noservername",), b"localhost"),
            (("-servername", "other.example"), b"localhost"),
            (("-servername", "q.example"), b"q.example"),
            (("-servername", "a.b.Q.example"), b"q.example"),
        ):
            seen, errors = self.s_client(port, *options)
            self.assertIn(WORDS, seen, errors)
            self.assertRegex(seen, rb"subject=CN ?= ?" + name + rb"\n")
        self.server.said(r"SNI: switched to service \[q\]", 2)

    def test_s_client_unknown_name(self) -> None:
        """With sniUnknown = refuse s_client is told so by the right alert."""
        port = self.serve(self.backend(echo).port, "sniUnknown = refuse\n")
        for version in ("-tls1_2", "-tls1_3"):
            seen, errors = self.s_client(port, "-servername", "other.example", version)
            self.assertNotIn(WORDS, seen)
            self.assertIn(b"unrecognized name", errors)
        seen, errors = self.s_client(port, "-servername", "localhost")
        self.assertIn(WORDS, seen, errors)

    def test_s_client_alpn(self) -> None:
        """-alpn: the server's choice, or the alert."""
        port = self.serve(self.backend(echo).port, "alpn = h2, http/1.1\n", "alpn = imap\n")
        seen, errors = self.s_client(port, "-alpn", "http/1.1,h2")
        self.assertIn(b"ALPN protocol: h2", seen, errors)
        seen, errors = self.s_client(port, "-servername", "q.example", "-alpn", "h2,imap")
        self.assertIn(b"ALPN protocol: imap", seen, errors)
        seen, errors = self.s_client(port, "-servername", "q.example", "-alpn", "h2")
        self.assertNotIn(WORDS, seen)
        self.assertIn(b"no application protocol", errors)
        seen, errors = self.s_client(port, "-servername", "q.example")
        self.assertIn(WORDS, seen, errors)

    def test_s_client_sessions(self) -> None:
        """-sess_out and -sess_in: resumed under the same name, worth nothing under the other."""
        judged = "verifyChain = yes\nCAfile = @ca.pem\n"
        port = self.serve(self.backend(echo).port, secondary=judged)
        for version in ("-tls1_2", "-tls1_3"):
            seen, errors = self.s_client(port, version, "-noservername", "-sess_out", "session")
            self.assertIn(WORDS, seen, errors)
            seen, _ = self.s_client(port, version, "-noservername", "-sess_in", "session")
            self.assertIn(b"Reused, TLSv1", seen)
            self.assertIn(WORDS, seen)
            seen, _ = self.s_client(
                port, version, "-servername", "q.example", "-sess_in", "session"
            )
            self.assertNotIn(b"Reused, TLSv1", seen)
            self.assertNotIn(WORDS, seen)
        self.server.said("peer did not return a certificate", 2)

    def test_s_client_redirected(self) -> None:
        """Without, or with a strange certificate, new or resumed: led elsewhere; else not."""
        elsewhere = self.backend(echo)
        judged = "verifyChain = yes\nCAfile = @ca.pem\n"
        where = f"redirect = 127.0.0.1:{elsewhere.port}\n"
        port = self.serve(self.backend(echo).port, secondary=f"{judged}{where}")
        name = ("-servername", "q.example")
        led = 0
        for version in ("-tls1_2", "-tls1_3"):
            for identity in ("", "foreign.pem", "client.pem"):
                cert = ("-cert", identity, "-key", identity) if identity else ()
                for session in ("-sess_out", "-sess_in"):
                    seen, errors = self.s_client(port, version, *name, *cert, session, "session")
                    self.assertIn(WORDS, seen, errors)
                    self.assertEqual(b"Reused, TLSv1" in seen, session == "-sess_in")
                    led += identity != "client.pem"
                    self.assertEqual(elsewhere.accepted, led)
        self.assertEqual(len(self.server.matches("Redirecting connection")), 8)

    def test_curl_resolve(self) -> None:
        """Curl --resolve, which also offers ALPN, gets each name's certificate verified."""
        port = self.serve(web_server(self, {"page.txt": b"page\n"}), secondary="alpn = http/1.1\n")
        for name, status in (("q.example", 0), ("a.q.example", 60)):
            command = [
                find_program("curl"), "-sS", "--fail", "--noproxy", "*", "--cacert", "ca.pem",
                "--resolve", f"{name}:{port}:127.0.0.1", f"https://{name}:{port}/page.txt",
            ]  # fmt: skip
            done = subprocess.run(
                command, capture_output=True, timeout=PATIENCE, check=False, cwd=self.directory
            )
            # The certificate is for q.example alone: 60 is a name that does not fit.
            self.assertEqual(done.returncode, status, done.stderr)
        self.server.said("ALPN: negotiated protocol: http/1.1")

    def test_stunnel4_asks(self) -> None:
        """stunnel4 in client mode asks for a name, and resumes under it."""
        port = self.serve(self.backend(echo).port)
        near = self.tunnels(
            f"[client]\nclient = yes\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:{port}\n"
            "sni = q.example\nverifyChain = yes\ncheckHost = q.example\nCAfile = @ca.pem\n",
            name="near",
            program="stunnel4",
        )
        for _ in range(3):
            self.assertEqual(exchange(port_of(near, "client"), WORDS), WORDS)
        self.server.said(r"SNI: switched to service \[q\]", 3)
        self.server.said("TLS accepted: previous session reused", 2)

    def test_the_same_file_under_both(self) -> None:
        """The same name-based configuration means the same to stunnel4."""
        backend = self.backend(echo)
        sections = (
            f"[server]\naccept = 127.0.0.1:%s\nconnect = 127.0.0.1:{backend.port}\n"
            f"cert = @server.pem\n[q]\nsni = server:*.q.example\n"
            f"connect = 127.0.0.1:{backend.port}\ncert = @q.pem\n"
        )
        for program in ("stunnel-tx", "stunnel4"):
            started = self.tunnels(sections % 0, name=program, program=program)
            port = port_of(started, "server")
            for name, subject in (
                ("a.q.example", b"q.example"),
                ("A.B.Q.EXAMPLE", b"q.example"),
                ("q.example", b"localhost"),
                ("x", b"localhost"),
            ):
                seen, errors = self.s_client(port, "-servername", name)
                self.assertIn(WORDS, seen, errors)
                self.assertRegex(seen, rb"subject=CN ?= ?" + subject + rb"\n", (program, name))
            started.said("SNI: no pattern matched servername: x")
            started.said(r"SNI: switched to service \[q\]", 2)
            self.assertTrue(Path(started.log_file).exists())
