"""Tests of reading files and PEM text."""

from __future__ import annotations

import base64
import os
import re
import threading
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls import pem
from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.pem import NOT_A_FILE, Block, blocks, certificate_of, is_pem, read_file
from tests.doubles.certificates import DER, self_signed
from tests.doubles.private_reactor import open_descriptors

_MARKS = [
    b"-----%s %s-----" % (kind, label) for kind in (b"BEGIN", b"END") for label in (b"A", b"B")
]


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

    def test_no_descriptor_is_left(self) -> None:
        """Whatever comes of it, the file is closed again."""
        path = self.mktemp()
        Path(path).mkdir()
        (Path(path) / "pipe").symlink_to("/dev/zero")
        before = open_descriptors()
        self.assertRaises(FileUnusable, read_file, path)
        self.assertRaises(FileUnusable, read_file, f"{path}/pipe", wait=False)
        self.assertEqual(open_descriptors(), before)


class PipeTests(SynchronousTestCase):
    """What is no file, but can be read like one."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        os.mkfifo(self.path)

    def test_to_its_end(self) -> None:
        """All that somebody writes into a pipe is read, in however many parts."""
        parts = [bytes([number]) * 50_000 for number in range(5)]

        def write() -> None:
            with Path(self.path).open("wb", buffering=0) as pipe:
                pipe.writelines(parts)

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        self.addCleanup(writer.join, 10)
        self.assertEqual(read_file(self.path), b"".join(parts))

    def test_open_descriptor(self) -> None:
        """A pipe that was handed over under its number is read, as a shell's ``<(command)`` is."""
        near, far = os.pipe()
        self.addCleanup(os.close, near)
        os.write(far, b"certificate")
        os.close(far)
        self.assertEqual(read_file(f"/dev/fd/{near}"), b"certificate")

    def test_nobody_writes(self) -> None:
        """A pipe that nobody writes into is given up after a while."""
        self.patch(pem, "PIPE_WAIT", 0.01)
        error = self.assertRaises(FileUnusable, read_file, self.path)
        self.assertEqual(error.problem, "not a regular file, and no end of it within 0.01 seconds")

    def test_nobody_waits(self) -> None:
        """Where nobody may wait, a pipe is refused at once, without taking anything out of it."""
        near, far = os.pipe()
        for fd in (near, far):
            self.addCleanup(os.close, fd)
        os.write(far, b"!")
        path = f"/dev/fd/{near}"
        error = self.assertRaises(FileUnusable, read_file, path, wait=False)
        self.assertEqual(error.problem, NOT_A_FILE)
        self.assertEqual(os.read(near, 2), b"!")

    def test_no_end(self) -> None:
        """A device without an end is too large, and not read for ever."""
        self.patch(pem, "MAX_FILE", 1000)
        self.assertIn("larger than", str(self.assertRaises(FileUnusable, read_file, "/dev/zero")))


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

    def test_only_its_own_end(self) -> None:
        """A block goes on to the END line of its label, through lines of any other."""
        inner = b"-----BEGIN B-----\n-----END B-----\n-----BEGIN A-----\n-----END C-----\n"
        whole = b"-----BEGIN A-----\n" + inner + b"-----END A-----"
        self.assertEqual(list(blocks(whole + b"\n-----END A-----")), [Block("A", whole)])

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.sampled_from([*_MARKS, b"\n", b"-", b"x"]), max_size=12).map(b"".join))
    def test_definition(self, data: bytes) -> None:
        """Blocks are those that the definition gives, which would take too long to apply."""
        plainly = re.finditer(rb"-----BEGIN ([A-Z0-9 .]+)-----.*?-----END \1-----", data, re.DOTALL)
        found = [Block(each[1].decode("ascii"), each[0]) for each in plainly]
        self.assertEqual(list(blocks(data)), found)

    def test_effort(self) -> None:
        """A megabyte of beginnings takes no time; looked up one by one, it would take hours."""
        data = b"".join(b"-----BEGIN A%d-----\n" % number for number in range(50_000))
        self.assertEqual(list(blocks(data)), [])
        self.assertEqual(list(blocks(b"-----BEGIN A-----\n" * 50_000)), [])


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
