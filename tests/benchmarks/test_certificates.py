"""Tests of the throw-away certificates."""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.certificates import make_certificates, make_named


class CertificateTests(SynchronousTestCase):
    """Two files."""

    def test_files(self) -> None:
        """Each has a key of its kind and the certificate for it, for the owner's eyes only."""
        directory = Path(self.mktemp())
        directory.mkdir()
        made = make_certificates(directory)
        for path, kind in ((made.ecdsa, ec.EllipticCurvePublicKey), (made.rsa, rsa.RSAPublicKey)):
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            self.assertIsInstance(certificate.public_key(), kind)

    def test_named(self) -> None:
        """Each name has a file of its own, which is made once."""
        directory = Path(self.mktemp())
        directory.mkdir()
        two, three = make_named(directory, 2), make_named(directory, 3)
        self.assertEqual(three[:2], two)
        self.assertEqual(len({path.read_bytes() for _, path in three}), 3)
