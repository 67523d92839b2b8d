"""curl fetches from and uploads to nginx, over HTTP through client and server mode."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.doubles.real_programs import PATIENCE, find_program
from tests.interop.stage import Stage, port_of
from tests.interop.web import web_server

#: A body of 10 MB.
BODY = 10 * 1000 * 1000


class CurlTests(Stage):
    """curl speaks plain HTTP to client mode, nginx hears plain HTTP from server mode."""

    def setUp(self) -> None:
        super().setUp()
        self.big = os.urandom(BODY)
        pages = {"small.txt": b"small\n", "big.bin": self.big}
        self.near, self.far = self.pair(web_server(self, pages))
        self.base = f"http://127.0.0.1:{port_of(self.near, 'client')}"

    def curl(self, *options: str) -> bytes:
        """The output of curl, which must not complain."""
        command = [find_program("curl"), "-sS", "--fail", "--noproxy", "*", *options]
        done = subprocess.run(
            command, capture_output=True, timeout=PATIENCE, check=False, cwd=self.directory
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_keep_alive(self) -> None:
        """Several requests share one connection."""
        urls = [f"{self.base}/small.txt"] * 5
        answer = self.curl("-w", "%{num_connects} %{http_code}\n", *urls)
        self.assertEqual(answer, b"small\n1 200\n" + b"small\n0 200\n" * 4)
        self.assertEqual(len(self.far.matches("accepted connection from")), 1)

    def test_large_body(self) -> None:
        """10 MB arrive as they are stored, each of two times on one connection."""
        url = f"{self.base}/big.bin"
        answer = self.curl("-o", "one", "-o", "two", "-w", "%{num_connects}", url, url)
        self.assertEqual(answer, b"10")
        for name in ("one", "two"):
            self.assertEqual((self.directory / name).read_bytes(), self.big)

    def test_chunked_upload(self) -> None:
        """10 MB sent in chunks, without a length, arrive whole."""
        source = self.directory / "upload.bin"
        source.write_bytes(self.big)
        kept = self.curl(
            "-H", "Transfer-Encoding: chunked", "-H", "Expect:", "--data-binary", f"@{source}",
            f"{self.base}/upload",
        )  # fmt: skip
        self.assertEqual(Path(os.fsdecode(kept)).read_bytes(), self.big)

    def test_many_at_once(self) -> None:
        """Parallel requests on connections of their own each get their answer."""
        urls = [f"{self.base}/small.txt"] * 40
        answer = self.curl("--parallel", "--parallel-max", "20", "-H", "Connection: close", *urls)
        self.assertEqual(answer, b"small\n" * 40)
