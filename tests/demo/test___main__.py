"""Tests of the demo's configuration file."""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.demo.__main__ import configuration_text, look_at_port, main


class ConfigurationTests(SynchronousTestCase):
    """The stunnel.conf of the demo."""

    def test_text(self) -> None:
        """It has one server service on loopback, in the foreground, with the given files."""
        text = configuration_text(8443, 40001, Path("/d/cert.pem"), Path("/d/key.pem"))
        lines = text.splitlines()
        for line in (
            "foreground = yes",
            "[demo]",
            "accept = 127.0.0.1:8443",
            "connect = 127.0.0.1:40001",
            "cert = /d/cert.pem",
            "key = /d/key.pem",
        ):
            self.assertIn(line, lines)


class PortTests(SynchronousTestCase):
    """A demo that cannot listen."""

    def test_certificate_of_a_running_demo(self) -> None:
        """The files of the demo that has the port stay as they are."""
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "cert.pem").write_text("of the one that runs")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen(1)
            port = taken.getsockname()[1]
            self.assertRaises(OSError, look_at_port, port)
            self.assertEqual(main(["--directory", str(directory), "--port", str(port)]), 1)
        self.assertEqual((directory / "cert.pem").read_text(), "of the one that runs")
        self.assertEqual([each.name for each in directory.iterdir()], ["cert.pem"])
