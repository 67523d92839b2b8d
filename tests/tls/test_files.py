"""Tests of the list of files that a context is made from."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.files import files_of, with_absolute_paths
from stunnel_tx.tls.policy import (
    RevocationPolicy,
    Role,
    TLSPolicy,
    TrustPolicy,
    VerificationPolicy,
)

EVERYTHING = TLSPolicy(
    service="test",
    role=Role.SERVER,
    certificate_files=("cert.pem", "chain.pem"),
    key_file="key.pem",
    trust=TrustPolicy("ca.pem", "ca.d", chroot="/jail"),
    verification=VerificationPolicy(request=True, chain=True),
    revocation=RevocationPolicy("crl.pem", "crl.d"),
    psk_file="psk.txt",
    dh_file="dh.pem",
    key_log="keys.log",
)
READ = (
    *("cert.pem", "chain.pem", "key.pem", "ca.pem", "ca.d", "crl.pem", "crl.d"),
    *("psk.txt", "dh.pem"),
)


class FilesTests(SynchronousTestCase):
    """What is read, and from where."""

    def test_all_sources(self) -> None:
        """Every file and directory that is read is listed; the key log is written."""
        self.assertEqual(files_of(EVERYTHING), READ)

    def test_identities_of_a_client(self) -> None:
        """Certificates that a client can choose from are listed as well."""
        policy = TLSPolicy("test", Role.CLIENT, identity_files=("one.pem", "two.pem"))
        self.assertEqual(files_of(policy), ("one.pem", "two.pem"))

    def test_one_file_for_all(self) -> None:
        """A file that serves several purposes is listed once."""
        policy = TLSPolicy("test", Role.SERVER, ("all.pem",), "all.pem", TrustPolicy("all.pem"))
        self.assertEqual(files_of(policy), ("all.pem",))

    def test_uri(self) -> None:
        """A file: URI is listed by its path, any other names no file."""
        policy = TLSPolicy("test", Role.SERVER, ("file:///a/cert.pem",), "pkcs11:token=x")
        self.assertEqual(files_of(policy), ("/a/cert.pem",))

    def test_absolute(self) -> None:
        """Each path gets the directory in front, for whoever has changed it meanwhile."""
        fixed = with_absolute_paths(EVERYTHING, "/etc/tls")
        self.assertEqual(files_of(fixed), tuple(f"/etc/tls/{name}" for name in READ))
        self.assertEqual(fixed.key_log, "/etc/tls/keys.log")
        self.assertIsNone(fixed.trust.chroot)

    def test_absolute_already(self) -> None:
        """Absolute paths, URIs and what is not set stay as they are."""
        policy = TLSPolicy("test", Role.SERVER, ("/a/cert.pem",), "file:/a/key.pem")
        fixed = with_absolute_paths(policy, "/etc")
        self.assertEqual(fixed.certificate_files, ("/a/cert.pem",))
        self.assertEqual(fixed.key_file, "file:/a/key.pem")
        self.assertIsNone(fixed.psk_file)

    def test_name_with_a_colon(self) -> None:
        """A file whose name looks like a URI is a file when it is there."""
        directory = Path(self.mktemp()).resolve()
        directory.mkdir()
        path = directory / "odd:name.pem"
        path.touch()
        policy = TLSPolicy("test", Role.SERVER, (str(path),))
        self.assertEqual(files_of(policy), (str(path),))
