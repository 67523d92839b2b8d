"""Tests of the demo's throw-away certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.demo.certificate import make_certificate, write_certificate

_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class MakeCertificateTests(SynchronousTestCase):
    """The certificate's contents."""

    def setUp(self) -> None:
        pem, key = make_certificate(_NOW)
        self.certificate = x509.load_pem_x509_certificate(pem)
        self.key = load_pem_private_key(key, password=None)

    def test_key_belongs_to_certificate(self) -> None:
        """The certificate carries the public half of the key and is signed by it."""
        self.assertEqual(self.certificate.public_key(), self.key.public_key())
        self.certificate.verify_directly_issued_by(self.certificate)

    def test_names(self) -> None:
        """It is good for localhost by name and by both loopback addresses."""
        names = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        self.assertEqual(names.value.get_values_for_type(x509.DNSName), ["localhost"])
        self.assertEqual(
            [str(address) for address in names.value.get_values_for_type(x509.IPAddress)],
            ["127.0.0.1", "::1"],
        )

    def test_short_life(self) -> None:
        """It is valid now, even for a clock a minute slow, and not for long."""
        self.assertLess(self.certificate.not_valid_before_utc, _NOW - timedelta(minutes=1))
        self.assertGreater(self.certificate.not_valid_after_utc, _NOW + timedelta(days=1))
        self.assertLess(self.certificate.not_valid_after_utc, _NOW + timedelta(days=31))

    def test_no_authority(self) -> None:
        """Trusting it by accident gives nobody the power to issue others."""
        constraints = self.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        self.assertFalse(constraints.value.ca)


class WriteCertificateTests(SynchronousTestCase):
    """The files."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def test_openssl_takes_them(self) -> None:
        """OpenSSL loads both files and finds that they belong together."""
        certificate, key = write_certificate(self.directory)
        context = SSL.Context(SSL.TLS_METHOD)
        context.use_certificate_chain_file(str(certificate))
        context.use_privatekey_file(str(key))
        context.check_privatekey()

    def test_private_key_is_private(self) -> None:
        """Only the owner can read the key, even when an open file of that name was there."""
        (self.directory / "key.pem").write_text("old")
        (self.directory / "key.pem").chmod(0o666)
        _, key = write_certificate(self.directory)
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)

    def test_each_start_makes_a_new_one(self) -> None:
        """Two runs do not share a key."""
        first = write_certificate(self.directory)[1].read_bytes()
        self.assertNotEqual(first, write_certificate(self.directory)[1].read_bytes())
