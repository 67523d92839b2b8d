"""Tests of what a measurement asks for before it starts anything."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.certificates import Certificates
from benchmarks.errors import NotMeasurable
from benchmarks.measurements import Bench, backends_of, measure, setting_of
from benchmarks.metrics import parse_metric
from benchmarks.programs import own_program

_BENCH = Bench(
    directory=Path("absent"),
    certificates=Certificates(ecdsa=Path("ecdsa.pem"), rsa=Path("rsa.pem")),
    backends={"plain": 1, "tls": 2, "smtp": 3, "imap": 4},
    seconds=1.0,
    gigabytes=1.0,
    files=1000,
)


class SettingTests(SynchronousTestCase):
    """From a metric to a setting."""

    def test_backends(self) -> None:
        """Each metric has the backends that can answer it; STARTTLS is compared with none."""
        expected = {
            "upload-1": ("plain",),
            "client-upload-1": ("tls",),
            "handshake-rsa": ("plain",),
            "starttls-smtp": ("smtp", "plain"),
            "starttls-imap": ("imap", "plain"),
        }
        found = {name: backends_of(parse_metric(name)) for name in expected}
        self.assertEqual(found, expected)

    def test_settings(self) -> None:
        """The backend, the side, the key and the protocol follow from the metric."""
        for name, expected in {
            "upload-1": (1, "ecdsa.pem", False, ""),
            "client-upload-1": (2, "ecdsa.pem", True, ""),
            "handshake-rsa": (1, "rsa.pem", False, ""),
            "handshake-resumed": (1, "ecdsa.pem", False, ""),
            "starttls-smtp": (3, "ecdsa.pem", False, "smtp"),
        }.items():
            setting = setting_of(parse_metric(name), _BENCH, 9)
            found = (
                setting.connect,
                str(setting.certificate),
                setting.client,
                setting.protocol,
            )
            self.assertEqual(found, expected, name)
            self.assertEqual(setting.accept, 9)
            plain = None if setting.beside is None else setting.beside[1]
            self.assertEqual(plain, 1 if setting.protocol else None)

    def test_open_files(self) -> None:
        """More connections than files are not tried."""
        error = self.assertRaises(
            NotMeasurable, measure, parse_metric("idle-401"), own_program(None), _BENCH
        )
        self.assertIn("needs 1002 open files", str(error))
