"""Tests of the backend together with every kind of load, without a program in between."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.certificates import make_certificates
from benchmarks.errors import MeasurementFailed
from benchmarks.exchanges import REQUEST_SIZE
from benchmarks.generator import Generator
from benchmarks.load.__main__ import make_load
from benchmarks.load.work import Result, Work
from benchmarks.processes import ROOT, Process, free_port

_SECONDS = 20.0


class BackendTests(SynchronousTestCase):
    """A backend in a process of its own, with TLS or without."""

    def _backend(self, *, tls: bool = True, protocol: str = "") -> Work:
        """Start one; the work to fill in."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        port = free_port()
        words = [sys.executable, "-m", "benchmarks.backend", "--port", str(port)]
        if tls:
            words += ["--certificate", str(make_certificates(directory).ecdsa)]
        if protocol:
            words += ["--protocol", protocol]
        backend = Process("backend", words, directory, ROOT)
        self.addCleanup(backend.stop)
        backend.listening(port)
        return Work("", port, tls=tls)

    def _done(self, work: Work) -> Result:
        load = make_load(work)
        try:
            return load.run()
        finally:
            load.close()

    def test_bulk(self) -> None:
        """Every byte of uploads and downloads arrives, over TLS and plain, also odd sizes."""
        for tls in (False, True):
            work = evolve(self._backend(tls=tls), connections=3, size=700_001)
            for kind in ("upload", "download"):
                result = self._done(evolve(work, kind=kind))
                self.assertEqual((result.units, result.failures), (3 * 700_001, 0), kind)

    def test_handshakes(self) -> None:
        """As many connections are made as were asked for; none is resumed unasked."""
        work = evolve(self._backend(), kind="handshake", connections=2, count=10)
        result = self._done(work)
        self.assertEqual((result.units, result.failures, result.resumed), (10, 0, 0))
        self.assertEqual(sum(result.latencies.counts.values()), 10)

    def test_resumed(self) -> None:
        """Every handshake is resumed, the first of each thread left out of the count."""
        work = evolve(self._backend(), kind="handshake", connections=2, count=10, resumed=True)
        result = self._done(work)
        self.assertEqual((result.units, result.failures, result.resumed), (10, 0, 10))

    def test_round_trips(self) -> None:
        """Messages come back on every connection, each with its latency."""
        for tls in (False, True):
            work = evolve(self._backend(tls=tls), kind="roundtrip", connections=3, seconds=0.5)
            result = self._done(work)
            self.assertEqual((result.failures, result.reason), (0, ""))
            self.assertGreaterEqual(result.units, 3)
            self.assertEqual(sum(result.latencies.counts.values()), result.units)

    def test_generator(self) -> None:
        """Two processes open their connections, hold them, and add up."""
        work = evolve(self._backend(tls=False), kind="idle", connections=5)
        with Generator(work) as generator:
            self.assertEqual(generator.run(_SECONDS).units, 5)

    def test_greeting(self) -> None:
        """A mail server speaks first, and then waits for a request."""
        work = self._backend(tls=False, protocol="smtp")
        with socket.create_connection(("127.0.0.1", work.port), _SECONDS) as sock:
            self.assertEqual(sock.recv(100), b"220 localhost ESMTP\r\n")

    def test_not_a_request(self) -> None:
        """Other bytes are no request, and end that connection only."""
        work = self._backend(tls=False)
        with socket.create_connection(("127.0.0.1", work.port), _SECONDS) as sock:
            sock.sendall(b"?" * REQUEST_SIZE)
            self.assertEqual(sock.recv(1), b"")
        result = self._done(evolve(work, kind="handshake", count=1))
        self.assertEqual(result.units, 1)


class FailureTests(SynchronousTestCase):
    """Loads that cannot succeed."""

    def test_nobody_listens(self) -> None:
        """A generator that cannot connect says why."""
        generator = Generator(Work("upload", free_port(), size=1))
        error = self.assertRaises(MeasurementFailed, generator.__enter__)
        self.assertIn("refused", str(error))

    def test_broken_connection(self) -> None:
        """A connection that the program closes fails the run, whatever the others did."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        listener.settimeout(_SECONDS)

        def close_first() -> None:
            with contextlib.suppress(TimeoutError):
                listener.accept()[0].close()

        thread = threading.Thread(target=close_first, daemon=True)
        thread.start()
        self.addCleanup(thread.join, _SECONDS)
        work = Work("download", listener.getsockname()[1], tls=False, size=10)
        with Generator(work) as generator:
            error = self.assertRaises(MeasurementFailed, generator.run, _SECONDS)
        self.assertIn("1 failed, 0 succeeded", str(error))
