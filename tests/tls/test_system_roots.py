"""Tests of the certificates that most clients have."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls import system_roots as subject
from stunnel_tx.tls.system_roots import system_roots
from tests.doubles.certificates import Authority


class SystemRootsTests(SynchronousTestCase):
    """The store of a system, as the variable and the usual places name it."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.bundle = self.directory / "bundle.pem"
        self.patch(subject, "SYSTEM_STORES", (str(self.directory), str(self.bundle)))
        self.environment: dict[str, str] = {}
        self.patch(os, "environ", self.environment)
        self.one, self.two = Authority("One"), Authority("Two")

    def test_usual_places(self) -> None:
        """The first place that is a file counts, a directory of hashed names does not."""
        self.one.pem(self.bundle)
        self.assertEqual(list(system_roots()), [self.one.cert])

    def test_variable(self) -> None:
        """A bundle named by the variable comes first, if there is one."""
        self.one.pem(self.bundle)
        self.environment["SSL_CERT_FILE"] = str(self.directory / "other.pem")
        self.assertEqual(list(system_roots()), [self.one.cert])
        self.two.pem(self.directory / "other.pem")
        self.assertEqual(list(system_roots()), [self.two.cert])

    def test_nothing_there(self) -> None:
        """A system without a store trusts nobody."""
        self.assertEqual(list(system_roots()), [])

    def test_too_large(self) -> None:
        """A store that cannot be read is none."""
        with self.bundle.open("wb") as file:
            file.truncate(1 << 30)
        self.assertEqual(list(system_roots()), [])

    def test_damaged(self) -> None:
        """What is no certificate is left out, the others are not."""
        broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        self.one.pem(self.bundle)
        self.bundle.write_bytes(broken + self.bundle.read_bytes())
        self.assertEqual(list(system_roots()), [self.one.cert])
