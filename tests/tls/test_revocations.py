"""Tests of revocation lists as they are loaded and asked."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.pem import NOT_A_FILE
from stunnel_tx.tls.policy import RevocationPolicy
from stunnel_tx.tls.revocations import Revocations, load_revocations, recall_revocations
from tests.doubles.certificates import DAY, NOW, Authority, Issued


class RevocationsTests(SynchronousTestCase):
    """What speaks against a certificate."""

    def setUp(self) -> None:
        self.one, self.two = Authority("One"), Authority("Two")
        self.bad, self.good = self.one.issue("bad"), self.one.issue("good")

    def problem(self, lists: Revocations, issued: Issued, days: float = 0) -> str:
        """What is found about a certificate, some days from now."""
        issuer = issued.cert.issuer.public_bytes()
        return lists.problem(issuer, issued.cert.serial_number, NOW + days * DAY)

    def lists(self, *pem: bytes, final: bool = True) -> Revocations:
        """Lists from a file, or from a directory."""
        loaded = tuple(x509.load_pem_x509_crl(each) for each in pem)
        return Revocations(loaded) if final else Revocations((), loaded, final=False)

    def test_revoked(self) -> None:
        """A serial number in the issuer's list is revoked; in another's it means nothing."""
        lists = self.lists(self.one.crl(self.bad), self.two.crl(self.good))
        self.assertEqual(self.problem(lists, self.bad), "certificate revoked")
        self.assertEqual(self.problem(lists, self.good), "")

    def test_newest_list(self) -> None:
        """Of several lists of an issuer the newest counts, in either order."""
        old, new = self.one.crl(last=NOW - 2 * DAY), self.one.crl(self.bad)
        for pair in ((old, new), (new, old)):
            self.assertEqual(self.problem(self.lists(*pair), self.bad), "certificate revoked")

    def test_expired(self) -> None:
        """An outdated list from a file is a problem, one from a directory may have a successor."""
        for final, text in ((True, "CRL has expired"), (False, "")):
            lists = self.lists(self.one.crl(self.bad), final=final)
            self.assertEqual(self.problem(lists, self.good, 1.5), text)
            self.assertEqual(self.problem(lists, self.bad, 1.5), "certificate revoked")

    def test_no_list(self) -> None:
        """Nothing is known of an issuer without a list."""
        self.assertEqual(self.problem(self.lists(self.two.crl()), self.good), "")


class LoadTests(SynchronousTestCase):
    """Files and directories."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.one, self.two = Authority("One"), Authority("Two")

    def test_none(self) -> None:
        """Without a source there is nothing to ask."""
        self.assertIsNone(load_revocations(RevocationPolicy()))

    def test_file(self) -> None:
        """A file may hold many lists, with certificates and text between them."""
        path = self.directory / "lists.pem"
        path.write_bytes(self.one.crl() + self.one.issued.cert_pem() + b"x\n" + self.two.crl())
        loaded = load_revocations(RevocationPolicy(str(path)))
        assert loaded is not None
        self.assertEqual(
            [each.issuer for each in loaded.lists], [self.one.cert.subject, self.two.cert.subject]
        )

    def test_directory(self) -> None:
        """Only hashed names count; the directory is looked for below the root to be."""
        (self.directory / "crl").mkdir()
        bad = self.one.issue("bad")
        (self.directory / "crl" / "0a1b2c3d.r0").write_bytes(self.one.crl(bad))
        (self.directory / "crl" / "0a1b2c3d.0").write_bytes(b"damaged")
        policy = RevocationPolicy(crl_path="/crl")
        loaded = load_revocations(policy, str(self.directory))
        assert loaded is not None
        issuer = self.one.cert.subject.public_bytes()
        serial = bad.cert.serial_number
        self.assertEqual(loaded.problem(issuer, serial, NOW), "certificate revoked")

    def test_recalled(self) -> None:
        """Equal content is parsed once; a directory is looked at every time."""
        policy, user = RevocationPolicy(str(self.directory / "lists.pem")), type(self)()
        first = recall_revocations(user, policy, self.one.crl())
        assert first is not None
        pem = self.one.crl()
        found = [recall_revocations(user, policy, pem) for _ in range(2)]
        self.assertIs(found[0], found[1])
        self.assertIsNot(found[0], recall_revocations(user, policy, self.two.crl()))
        both = RevocationPolicy(policy.crl_file, str(self.directory))
        found = [recall_revocations(user, both, pem) for _ in range(2)]
        self.assertIsNot(found[0], found[1])

    def test_pipe_in_a_directory(self) -> None:
        """A pipe under a hashed name is refused at once: OpenSSL would open it in a handshake."""
        os.mkfifo(self.directory / "0a1b2c3d.r0")
        policy = RevocationPolicy(crl_path=str(self.directory))
        error = self.assertRaises(FileUnusable, load_revocations, policy)
        self.assertEqual(error.path, str(self.directory / "0a1b2c3d.r0"))
        self.assertEqual(error.problem, NOT_A_FILE)

    def test_damaged(self) -> None:
        """A damaged list is counted, so that it can be found."""
        path = self.directory / "lists.pem"
        path.write_bytes(self.one.crl() + b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----")
        error = self.assertRaises(FileUnusable, load_revocations, RevocationPolicy(str(path)))
        self.assertIn("revocation list number 2 is damaged", str(error))
