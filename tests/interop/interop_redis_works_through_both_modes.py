"""redis-cli and redis-server do their work through client and server mode."""

from __future__ import annotations

import os
import subprocess

from tests.doubles.real_programs import PATIENCE, find_program
from tests.interop.stage import Stage, port_of


class RedisTests(Stage):
    """The server listens on a UNIX socket, which server mode connects to."""

    def setUp(self) -> None:
        super().setUp()
        place = self.directory / "redis.sock"
        redis = self.start(
            "redis",
            ["redis-server", "--port", "0", "--unixsocket", str(place), "--save", "",
             "--appendonly", "no", "--daemonize", "no", "--dir", str(self.directory)],
        )  # fmt: skip
        redis.said("accept connections|Ready to accept connections")
        near, self.far = self.pair(str(place))
        self.port = port_of(near, "client")

    def cli(self, *words: str, stdin: bytes = b"") -> bytes:
        """The output of redis-cli."""
        command = [find_program("redis-cli"), "-h", "127.0.0.1", "-p", str(self.port), *words]
        done = subprocess.run(
            command, input=stdin, capture_output=True, timeout=PATIENCE, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        return done.stdout

    def test_set_and_get(self) -> None:
        """What one connection sets, another one gets."""
        self.assertEqual(self.cli("SET", "colour", "green"), b"OK\n")
        self.assertEqual(self.cli("GET", "colour"), b"green\n")
        self.assertEqual(len(self.far.matches("accepted connection from")), 2)

    def test_large_value(self) -> None:
        """A binary value of 1 MB comes back as it was."""
        value = os.urandom(1024 * 1024)
        self.assertEqual(self.cli("-x", "SET", "large", stdin=value), b"OK\n")
        self.assertEqual(self.cli("--raw", "GET", "large"), value + b"\n")

    def test_transaction(self) -> None:
        """MULTI and EXEC on one connection take effect together."""
        commands = b"MULTI\nINCR n\nINCR n\nEXEC\nGET n\n"
        answer = self.cli(stdin=commands)
        self.assertEqual(answer.split(), [b"OK", b"QUEUED", b"QUEUED", b"1", b"2", b"2"])

    def test_pipeline(self) -> None:
        """10,000 commands sent without waiting for an answer are all answered."""
        commands = b"".join(
            b"*3\r\n$3\r\nSET\r\n$6\r\nk%05d\r\n$5\r\n%05d\r\n" % (number, number)
            for number in range(10_000)
        )
        answer = self.cli("--pipe", stdin=commands)
        self.assertIn(b"errors: 0, replies: 10000", answer)
        self.assertEqual(self.cli("DBSIZE"), b"10000\n")
        self.assertEqual(self.cli("GET", "k09999"), b"09999\n")
