"""Tests of the errors about files and contexts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError
from stunnel_tx.tls.errors import ContextRefused, FileUnusable


class ErrorTests(SynchronousTestCase):
    """One line each, with everything the operator needs."""

    def test_file(self) -> None:
        """The text names file, problem and remedy; the attributes keep them apart."""
        error = FileUnusable("/etc/x.pem", "no certificate found", "expected PEM")
        self.assertIsInstance(error, OperatingError)
        self.assertEqual(str(error), "/etc/x.pem: no certificate found; expected PEM")
        self.assertEqual(str(FileUnusable("x", "gone")), "x: gone")

    def test_context(self) -> None:
        """The text has the words that scripts look for."""
        error = ContextRefused("imap", "no cipher match")
        self.assertIsInstance(error, OperatingError)
        self.assertEqual(
            str(error), "Service [imap]: Failed to initialize TLS context: no cipher match"
        )
