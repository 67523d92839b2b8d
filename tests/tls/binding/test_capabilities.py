"""Tests of what this installation says it can do."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.binding import capabilities as module
from stunnel_tx.tls.binding.capabilities import capabilities


class CapabilitiesTests(SynchronousTestCase):
    """Facts of the library underneath."""

    def test_texts(self) -> None:
        """Version and directory are OpenSSL's own."""
        found = capabilities()
        self.assertEqual(found.version.encode(), SSL.OpenSSL_version(SSL.OPENSSL_VERSION))
        self.assertTrue(found.version.startswith("OpenSSL "))
        self.assertIn("OPENSSLDIR", found.directory)
        self.assertEqual(found.bundled, "/opt/pyca/" in found.directory)

    def test_asked_once(self) -> None:
        """The answer does not change while the program runs."""
        self.assertIs(capabilities(), capabilities())

    def test_without_the_private_binding(self) -> None:
        """Where the binding has moved, every ability beyond the public API is denied."""
        self.patch(module, "private_library", lambda: None)
        self.patch(module, "direct_available", lambda: False)
        found = capabilities.__wrapped__()
        self.assertFalse(
            found.groups
            or found.signature_algorithms
            or found.psk
            or found.session_reused
            or found.session_text
            or found.session_scope
            or found.certificate_callback
            or found.raw_records
        )
        self.assertEqual(found.version, capabilities().version)
