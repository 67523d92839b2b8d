"""Tests of loading trusted certificates."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls import trust
from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.facts import leaf_facts
from stunnel_tx.tls.pem import NOT_A_FILE
from stunnel_tx.tls.policy import TrustPolicy
from stunnel_tx.tls.trust import load_trust, recall_trust
from tests.doubles.certificates import PEM, Authority, self_signed


class TrustTests(SynchronousTestCase):
    """Bundles and hashed directories."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.one, self.two = Authority("One"), Authority("Two")

    def bundle(self, *parts: bytes) -> TrustPolicy:
        """A CAfile with *parts*."""
        path = self.directory / "bundle.pem"
        path.write_bytes(b"".join(parts))
        return TrustPolicy(str(path))

    def test_bundle(self) -> None:
        """Every certificate of the bundle is trusted, in its order; a key in it is ignored."""
        one, two = (each.cert.public_bytes(PEM) for each in (self.one, self.two))
        loaded = load_trust(self.bundle(two, self.one.issued.key_pem(), b"# x\n", one))
        self.assertEqual(loaded.certificates, (self.two.cert, self.one.cert))
        self.assertEqual(loaded.pins, {})

    def test_directory(self) -> None:
        """Only files with hashed names count."""
        self.one.pem(self.directory / "0a1b2c3d.0")
        self.two.pem(self.directory / "0a1b2c3d.1")
        for name in ("plain.pem", "0a1b2c3d.r0", "0A1B2C3D.0", "0a1b2c3d.0~"):
            self.one.pem(self.directory / name)
        loaded = load_trust(TrustPolicy(ca_path=str(self.directory)))
        self.assertEqual(loaded.certificates, (self.one.cert, self.two.cert))

    def test_directory_in_a_future_root(self) -> None:
        """Before chroot the directory is looked for below the new root."""
        (self.directory / "certs").mkdir()
        self.one.pem(self.directory / "certs" / "0a1b2c3d.0")
        for root in (str(self.directory), f"{self.directory}/"):
            loaded = load_trust(TrustPolicy(ca_path="/certs", chroot=root))
            self.assertEqual(loaded.certificates, (self.one.cert,))

    def test_both(self) -> None:
        """Bundle and directory add up."""
        bundle = self.bundle(self.one.cert.public_bytes(PEM))
        hashed = self.directory / "hashed"
        hashed.mkdir()
        self.two.pem(hashed / "00000000.0")
        loaded = load_trust(TrustPolicy(bundle.ca_file, str(hashed)))
        self.assertEqual(loaded.certificates, (self.one.cert, self.two.cert))

    def test_pins(self) -> None:
        """Two keys of one subject are both good; another subject's key is not."""
        first, second, other = self_signed("a"), self_signed("a"), self_signed("b")
        loaded = load_trust(
            self.bundle(first.cert_pem(), second.cert_pem(), other.cert_pem()), pins=True
        )
        facts = [leaf_facts(each.cert) for each in (first, second, other)]
        self.assertEqual(loaded.pins[facts[0].subject], {facts[0].spki, facts[1].spki})
        self.assertEqual(loaded.pins[facts[2].subject], {facts[2].spki})

    def test_nothing_found(self) -> None:
        """Sources without a certificate are refused with a remedy."""
        text = str(self.assertRaises(FileUnusable, load_trust, self.bundle(b"no PEM\n")))
        self.assertIn("No trusted certificates found; CAfile needs", text)
        policy = TrustPolicy(ca_path=str(self.directory))
        self.assertIn("openssl rehash", str(self.assertRaises(FileUnusable, load_trust, policy)))

    def test_unreadable(self) -> None:
        """A missing source is named."""
        missing = str(self.directory / "missing")
        for policy in (TrustPolicy(missing), TrustPolicy(ca_path=missing)):
            text = str(self.assertRaises(FileUnusable, load_trust, policy))
            self.assertIn("missing: No such file or directory", text)

    def test_damaged(self) -> None:
        """A damaged certificate is counted, so that it can be found."""
        broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        policy = self.bundle(self.one.cert.public_bytes(PEM), broken)
        text = str(self.assertRaises(FileUnusable, load_trust, policy))
        self.assertIn("certificate number 2 is damaged", text)

    def test_pipe_in_a_directory(self) -> None:
        """A pipe under a hashed name is refused at once: OpenSSL would open it in a handshake."""
        os.mkfifo(self.directory / "0a1b2c3d.0")
        policy = TrustPolicy(ca_path=str(self.directory))
        error = self.assertRaises(FileUnusable, load_trust, policy)
        self.assertEqual(error.path, str(self.directory / "0a1b2c3d.0"))
        self.assertEqual(error.problem, NOT_A_FILE)

    def test_recalled(self) -> None:
        """Equal content is parsed once for two users, with pins and without; other is not."""
        policy, users = self.bundle(), (type(self)(), type(self)())
        one, two = (each.cert.public_bytes(PEM) for each in (self.one, self.two))
        first, second = (recall_trust(user, policy, one) for user in users)
        self.assertIs(first, second)
        pinned = recall_trust(users[0], policy, one, pins=True)
        self.assertEqual((len(first.pins), len(pinned.pins)), (0, 1))
        other = recall_trust(users[0], policy, two)
        self.assertEqual(other.certificates, (self.two.cert,))


class SystemStoreTests(SynchronousTestCase):
    """The operating system's own store."""

    def setUp(self) -> None:
        self.store = Path(self.mktemp())
        self.store.write_bytes(b"")
        unset = ("SSL_CERT_FILE", "SSL_CERT_DIR")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        self.patch(os, "environ", kept)

    def test_found(self) -> None:
        """A store is asked of the library as a whole: its certificates are not listed."""
        self.patch(trust, "SYSTEM_STORES", (str(self.store),))
        loaded = load_trust(TrustPolicy(system=True))
        self.assertEqual(loaded.certificates, ())

    def test_beside_a_bundle(self) -> None:
        """Bundle and system's store add up; pins come from the bundle."""
        self.patch(trust, "SYSTEM_STORES", (str(self.store),))
        own = self_signed("a")
        bundle = own.pem(f"{self.store}.pem")
        loaded = load_trust(TrustPolicy(bundle, system=True), pins=True)
        self.assertEqual(loaded.certificates, (own.cert,))
        self.assertEqual(len(loaded.pins), 1)

    def test_missing(self) -> None:
        """Without a store nothing could be trusted, and that is said at start."""
        self.patch(trust, "SYSTEM_STORES", (f"{self.store}.gone",))
        error = self.assertRaises(FileUnusable, load_trust, TrustPolicy(system=True))
        self.assertIn("install the package ca-certificates", str(error))

    def test_variable(self) -> None:
        """SSL_CERT_FILE replaces the places of the system, also by one that is not there."""
        self.patch(trust, "SYSTEM_STORES", (str(self.store),))
        os.environ["SSL_CERT_FILE"] = f"{self.store}.gone"
        error = self.assertRaises(FileUnusable, load_trust, TrustPolicy(system=True))
        self.assertIn(f"{self.store}.gone", str(error))

    def test_pipe(self) -> None:
        """A pipe in SSL_CERT_FILE is refused: OpenSSL would wait for what comes out of it."""
        path = self.mktemp()
        os.mkfifo(path)
        os.environ["SSL_CERT_FILE"] = path
        error = self.assertRaises(FileUnusable, load_trust, TrustPolicy(system=True))
        self.assertIn(f"{path}: not a regular file", str(error))

    def test_no_local_copies(self) -> None:
        """The system's store has no certificates of peers to compare with."""
        self.patch(trust, "SYSTEM_STORES", (str(self.store),))
        error = self.assertRaises(FileUnusable, load_trust, TrustPolicy(system=True), pins=True)
        self.assertIn("verifyPeer needs local copies", str(error))
