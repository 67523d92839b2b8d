"""Tests of the demo's configuration file."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.demo.__main__ import configuration_text


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
