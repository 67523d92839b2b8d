"""Tests of reading files and PEM text."""

from __future__ import annotations

import base64
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls import pem
from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.pem import Block, blocks, certificate_of, is_pem, read_file
from tests.doubles.certificates import DER, self_signed


class ReadFileTests(SynchronousTestCase):
    """Files that can and cannot be had."""

    def test_content(self) -> None:
        """A file is read as bytes."""
        path = self.mktemp()
        Path(path).write_bytes(b"\0\xff")
        self.assertEqual(read_file(path), b"\0\xff")

    def test_missing(self) -> None:
        """A missing file is named with the system's words and a remedy."""
        path = self.mktemp()
        error = self.assertRaises(FileUnusable, read_file, path)
        self.assertEqual(error.path, path)
        self.assertEqual(error.problem, "No such file or directory")
        self.assertIn("check the path", error.remedy)

    def test_directory(self) -> None:
        """A directory in place of a file is refused."""
        path = self.mktemp()
        Path(path).mkdir()
        self.assertEqual(self.assertRaises(FileUnusable, read_file, path).problem, "Is a directory")

    def test_too_large(self) -> None:
        """A file that cannot be a certificate is not read to its end."""
        self.patch(pem, "MAX_FILE", 10)
        path = self.mktemp()
        Path(path).write_bytes(bytes(11))
        self.assertIn("larger than 10", str(self.assertRaises(FileUnusable, read_file, path)))


class BlocksTests(SynchronousTestCase):
    """PEM blocks in text."""

    def test_labels_and_order(self) -> None:
        """Blocks come in their order; comments and damaged blocks between them do not."""
        issued = self_signed("a")
        data = b"Bag Attributes\n" + issued.key_pem() + b"\n# comment\n" + issued.cert_pem()
        data += b"-----BEGIN X-----\nnever ended"
        self.assertEqual([each.label for each in blocks(data)], ["PRIVATE KEY", "CERTIFICATE"])

    def test_kinds(self) -> None:
        """Certificates and keys are told by their labels."""
        for label in ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"):
            self.assertTrue(Block(label, b"").is_certificate)
        for label in ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"):
            self.assertTrue(Block(label, b"").is_key)
        for label in ("X509 CRL", "DH PARAMETERS", "PUBLIC KEY"):
            self.assertFalse(Block(label, b"").is_certificate or Block(label, b"").is_key)

    def test_is_pem(self) -> None:
        """Binary forms are told from text."""
        issued = self_signed("a")
        self.assertTrue(is_pem(issued.cert_pem()))
        self.assertFalse(is_pem(issued.cert.public_bytes(DER)))


class CertificateTests(SynchronousTestCase):
    """Certificates out of blocks."""

    def trusted(self, der: bytes) -> Block:
        """OpenSSL's form with trust settings after the certificate."""
        body = base64.encodebytes(der + b"\x30\x03\x0c\x01a")
        label = b"TRUSTED CERTIFICATE-----\n"
        text = b"-----BEGIN " + label + body + b"-----END " + label
        return next(iter(blocks(text)))

    def test_plain(self) -> None:
        """An ordinary block is parsed."""
        issued = self_signed("a")
        self.assertEqual(certificate_of(next(iter(blocks(issued.cert_pem())))), issued.cert)

    def test_trusted(self) -> None:
        """Trust settings behind the certificate are left out."""
        issued = self_signed("a")
        self.assertEqual(certificate_of(self.trusted(issued.cert.public_bytes(DER))), issued.cert)

    def test_damaged(self) -> None:
        """Rubbish in any form is a ValueError."""
        for text in (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            b"-----BEGIN TRUSTED CERTIFICATE-----\n!!!!\n-----END TRUSTED CERTIFICATE-----",
            b"-----BEGIN TRUSTED CERTIFICATE-----\n-----END TRUSTED CERTIFICATE-----",
            b"-----BEGIN TRUSTED CERTIFICATE-----\nMAAAAA==\n-----END TRUSTED CERTIFICATE-----",
        ):
            self.assertRaises(ValueError, certificate_of, next(iter(blocks(text))))
