"""Tests of loading certificate, chain and key in every form they come in."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.identity import Identity, load_identity
from stunnel_tx.tls.passphrases import Passphrases
from tests.doubles.certificates import DER, NOW, PEM, PKCS8, Authority, self_signed
from tests.doubles.recording import Recording

PLAIN = serialization.NoEncryption()


class IdentityTestCase(SynchronousTestCase):
    """A place for files, and an operator who knows some passphrases."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.log = Recording()
        self.answers: list[bytes | None] = []
        self.root = Authority("Root")
        self.inner = Authority("Inner", parent=self.root)
        self.issued = self.inner.issue("leaf", ["leaf.example"])

    def file(self, name: str, *parts: bytes) -> str:
        """Write *parts* to a file; its path."""
        path = self.directory / name
        path.write_bytes(b"".join(parts))
        return str(path)

    def load(self, *files: str, key: str | None = None) -> Identity:
        """Load an identity, asking the prepared operator."""
        answers = iter(self.answers)
        return load_identity(files, key, Passphrases(lambda _prompt: next(answers)), self.log.scope)

    def refused(self, *files: str, key: str | None = None) -> str:
        """The error's text when loading fails."""
        return str(self.assertRaises(FileUnusable, self.load, *files, key=key))

    def check(self, identity: Identity, *chain: object) -> None:
        """The identity is that of the issued leaf, with *chain* behind it."""
        self.assertEqual(identity.leaf, self.issued.cert)
        self.assertEqual(identity.chain, chain)
        self.assertEqual(
            identity.key.private_bytes(DER, PKCS8, PLAIN),
            self.issued.key.private_bytes(DER, PKCS8, PLAIN),
        )


class SharedTests(IdentityTestCase):
    """Many services with one file."""

    def test_loaded_once(self) -> None:
        """A key is loaded once as long as its content is in use, and again when it is another."""
        path = self.file("all.pem", self.issued.cert_pem(), self.issued.key_pem())
        user, passphrases = type(self)(), Passphrases(lambda _prompt: None)
        first, second = (
            load_identity([path], None, passphrases, self.log.scope, user) for _ in range(2)
        )
        self.assertIs(first.key, second.key)
        self.assertIs(first.leaf, second.leaf)
        self.assertEqual(len([each for each in self.log.texts if "Private key" in each]), 2)
        other = self.inner.issue("other")
        self.file("all.pem", other.cert_pem(), other.key_pem())
        renewed = load_identity([path], None, passphrases, self.log.scope, user)
        self.assertEqual(renewed.leaf, other.cert)

    def test_encrypted(self) -> None:
        """What a passphrase has opened is not left open for those who do not know it."""
        path = self.file("all.pem", self.issued.cert_pem(), self.issued.key_pem(b"secret"))
        user = type(self)()
        good = Passphrases(lambda _prompt: b"secret")
        load_identity([path], None, good, self.log.scope, user)
        ignorant = Passphrases(lambda _prompt: None)
        error = self.assertRaises(
            FileUnusable, load_identity, [path], None, ignorant, self.log.scope, user
        )
        self.assertIn("no passphrase was given", str(error))


class PEMTests(IdentityTestCase):
    """Text files."""

    def test_all_in_one(self) -> None:
        """Leaf first among the certificates, the key anywhere."""
        certificates = self.issued.cert_pem()
        for parts in (
            (certificates, self.issued.key_pem()),
            (self.issued.key_pem(), certificates),
            (b"text\n", self.issued.key_pem(), b"more text\n", certificates),
        ):
            self.check(self.load(self.file("all.pem", *parts)), self.inner.cert)

    def test_key_apart(self) -> None:
        """The key may lie in a file of its own."""
        certificate = self.file("cert.pem", self.issued.cert_pem())
        key = self.file("key.pem", self.issued.key_pem())
        self.check(self.load(certificate, key=key), self.inner.cert)
        self.assertEqual(
            self.log.texts,
            [f"Certificate loaded from: {certificate}", f"Private key loaded from: {key}"],
        )

    def test_traditional_key(self) -> None:
        """The older wrapping of a key is read as well."""
        old = self.issued.key.private_bytes(
            PEM, serialization.PrivateFormat.TraditionalOpenSSL, PLAIN
        )
        self.check(self.load(self.file("old.pem", old, self.issued.cert.public_bytes(PEM))))

    def test_first_key_counts(self) -> None:
        """Of several keys the first is taken."""
        other = self_signed("other").key_pem()
        path = self.file("two.pem", self.issued.key_pem(), other, self.issued.cert_pem())
        self.check(self.load(path), self.inner.cert)

    def test_uris(self) -> None:
        """A file may be named by a URI; what only a store could open is refused."""
        path = Path(self.file("all.pem", self.issued.cert_pem(), self.issued.key_pem()))
        for start in ("file:", "file://", "file://localhost", "FILE:"):
            self.check(self.load(f"{start}{path.absolute()}"), self.inner.cert)
        self.assertIn("'pkcs11:' cannot be loaded", self.refused("pkcs11:token=x"))
        odd = self.file("odd:name.pem", self.issued.cert_pem(), self.issued.key_pem())
        self.check(self.load(odd), self.inner.cert)

    def test_not_after(self) -> None:
        """The end of validity is told in UTC."""
        identity = self.load(self.file("all.pem", self.issued.cert_pem(), self.issued.key_pem()))
        self.assertGreater(identity.not_after, NOW)
        self.assertNotIn("key", repr(identity))


class SourcesTests(IdentityTestCase):
    """Several certificate files."""

    def test_order(self) -> None:
        """Every certificate behind the first one is chain, in the order of the files."""
        leaf = self.file("leaf.pem", self.issued.cert.public_bytes(PEM), self.issued.key_pem())
        inner = self.inner.pem(self.directory / "inner.pem")
        root = self.root.pem(self.directory / "root.pem")
        self.check(self.load(leaf, inner, root), self.inner.cert, self.root.cert)
        self.assertEqual([each for each in self.log.texts if "Chain" in each], [])

    def test_chain_first(self) -> None:
        """A chain in front of the leaf is reported as what it causes."""
        leaf = self.file("leaf.pem", self.issued.cert.public_bytes(PEM), self.issued.key_pem())
        inner = self.inner.pem(self.directory / "inner.pem")
        text = self.refused(inner, leaf, key=leaf)
        self.assertIn("Private key does not match the certificate: CN=Inner", text)
        self.assertIn("must come first", text)

    def test_key_only_in_the_second(self) -> None:
        """The key is looked for in the first file only."""
        leaf = self.file("leaf.pem", self.issued.cert.public_bytes(PEM))
        other = self.file("other.pem", self.inner.cert.public_bytes(PEM), self.issued.key_pem())
        self.assertIn("leaf.pem: no private key found", self.refused(leaf, other))

    def test_missing_later_file(self) -> None:
        """A later file that is missing or empty is an error, too."""
        leaf = self.file("leaf.pem", self.issued.cert.public_bytes(PEM), self.issued.key_pem())
        missing = str(self.directory / "missing.pem")
        self.assertIn("No such file", self.refused(leaf, missing))
        empty = self.file("empty.pem")
        self.assertIn("empty.pem: no certificate found", self.refused(leaf, empty))

    def test_stranger_in_the_chain(self) -> None:
        """A certificate that issued nothing in the chain is sent, with a warning."""
        leaf = self.file("leaf.pem", self.issued.cert_pem(), self.issued.key_pem())
        stranger = self_signed("stranger")
        other = stranger.pem(self.directory / "stranger.pem", key=False)
        self.check(self.load(leaf, other), self.inner.cert, stranger.cert)
        self.assertIn(
            "Chain certificate has issued no other in the chain: CN=stranger", self.log.texts
        )


class BinaryTests(IdentityTestCase):
    """DER and PKCS#12."""

    def bag(self, password: bytes | None) -> bytes:
        """A PKCS#12 file with the leaf, its chain and its key."""
        encryption: serialization.KeySerializationEncryption = PLAIN
        if password is not None:
            encryption = serialization.BestAvailableEncryption(password)
        return pkcs12.serialize_key_and_certificates(
            b"name", self.issued.key, self.issued.cert, [self.inner.cert], encryption
        )

    def test_der(self) -> None:
        """A certificate and a key in DER, each in its own file."""
        certificate = self.file("cert.der", self.issued.cert.public_bytes(DER))
        key = self.file("key.der", self.issued.key.private_bytes(DER, PKCS8, PLAIN))
        self.check(self.load(certificate, key=key))
        self.assertIn("no private key found", self.refused(certificate))

    def test_cut(self) -> None:
        """A file that tells its length and is shorter is cut, and nobody asks for a passphrase."""
        for whole in (self.bag(None), self.bag(b"secret"), self.issued.cert.public_bytes(DER)):
            for length in (len(whole) // 2, len(whole) - 1):
                path = self.file("cut", whole[:length])
                self.assertEqual(self.refused(path), f"{path}: cut short; is the file complete?")

    def test_pkcs12_without_password(self) -> None:
        """A file without a password opens without a question."""
        self.check(self.load(self.file("a.p12", self.bag(None))), self.inner.cert)

    def test_pkcs12_with_password(self) -> None:
        """A file with a password is asked for, up to three times."""
        self.answers = [b"wrong", b"secret"]
        self.check(self.load(self.file("a.p12", self.bag(b"secret"))), self.inner.cert)
        self.answers = [b"1", b"2", b"3", b"secret"]
        self.assertIn("wrong passphrase", self.refused(self.file("b.p12", self.bag(b"secret"))))

    def test_pkcs12_without_key(self) -> None:
        """A PKCS#12 file may have certificates only."""
        bag = pkcs12.serialize_key_and_certificates(None, None, self.issued.cert, None, PLAIN)
        self.assertIn("no private key found", self.refused(self.file("a.p12", bag)))

    def test_encrypted_key(self) -> None:
        """An encrypted key opens with the operator's answer, in PEM and in DER."""
        certificate = self.file("cert.pem", self.issued.cert_pem())
        encryption = serialization.BestAvailableEncryption(b"secret")
        for encoding in (PEM, DER):
            data = self.issued.key.private_bytes(encoding, PKCS8, encryption)
            self.answers = [b"", b"secret"]
            self.check(self.load(certificate, key=self.file("key", data)), self.inner.cert)
        self.answers = [None]
        self.assertIn(
            "no passphrase was given", self.refused(certificate, key=self.file("k", data))
        )

    def test_rubbish(self) -> None:
        """Files that are nothing of the kind are refused by name, without a question."""
        certificate = self.file("cert.pem", self.issued.cert_pem())
        for data in (b"", b"hello", b"\x30", b"\x30\x03\x02\x01\x00", b"\xff" * 50):
            path = self.file("rubbish", data)
            self.assertIn("rubbish: no certificate found", self.refused(path))
            self.assertIn("rubbish: no private key", self.refused(certificate, key=path))

    def test_damaged(self) -> None:
        """Damaged certificates and keys are named with their file."""
        broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        text = self.refused(self.file("broken.pem", self.issued.cert_pem(), broken))
        self.assertIn("broken.pem: certificate number 3 is damaged", text)
        key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
        text = self.refused(self.file("bad.pem", self.issued.cert_pem(), key))
        self.assertIn("bad.pem: no private key that can be read", text)

    def test_mismatch(self) -> None:
        """A key of another certificate is refused."""
        path = self.file("mixed.pem", self.issued.cert_pem(), self_signed("other").key_pem())
        self.assertIn("Private key does not match the certificate: CN=leaf", self.refused(path))
