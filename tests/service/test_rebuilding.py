"""Tests of rebuilding: what new files come to, and what is refused."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from stunnel_tx.service.fingerprints import Fingerprint, fingerprint
from stunnel_tx.service.rebuilding import (
    Content,
    Follower,
    Rebuilder,
    identities_of,
    renewable,
)
from stunnel_tx.service.renewal import POLL_WATCHED
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.files import files_of
from stunnel_tx.tls.policy import Role, TLSPolicy, TrustPolicy, VerificationPolicy
from tests.doubles.certificates import DAY, NOW, Authority, Issued
from tests.doubles.renewing import RenewalTestCase


class SourceTests(RenewalTestCase):
    """What a service is rebuilt from."""

    def test_absolute(self) -> None:
        """Paths stay true when the working directory changes; each file was looked at once."""
        looked: list[str] = []

        def look(path: str) -> Fingerprint:
            looked.append(path)
            return fingerprint(path)

        relative = self.cert.relative_to(Path.cwd())
        policy = self.policy(certificate_files=(str(relative),))
        source = renewable(policy, look, None)
        self.assertEqual(source.policy.certificate_files, (str(self.cert),))
        self.assertEqual(sorted(looked), sorted([str(self.cert), str(self.key)]))
        self.assertEqual(dict(source.seen), {path: fingerprint(path) for path in looked})

    def test_before_a_new_root(self) -> None:
        """What lies outside of a jail to come says nothing about what lies in it."""

        def look(_path: str) -> Fingerprint:
            raise AssertionError("nobody is to look")

        source = renewable(self.policy(certificate_files=("cert.pem",)), look, "/jail")
        self.assertEqual(source.policy.certificate_files, ("/cert.pem",))
        self.assertEqual(source.seen, {})

    def test_identities(self) -> None:
        """The certificate of a service comes first, then those a client chooses from."""
        own, red = self.put(self.issue()), self.issue()
        path = red.pem(self.directory / "red.pem")
        policy = TLSPolicy(
            "test", Role.CLIENT, (str(self.cert),), str(self.key), identity_files=(path,)
        )
        found = identities_of(build_context(policy, self.log.scope, self.passphrases))
        self.assertEqual(
            [(file, each.leaf) for file, each in found],
            [(str(self.cert), own.cert), (path, red.cert)],
        )
        nobody = build_context(TLSPolicy("x", Role.CLIENT), self.log.scope, self.passphrases)
        self.assertEqual(identities_of(nobody), [])


class DueTests(RenewalTestCase):
    """Whether there is something to try."""

    OLD: Content = (Fingerprint(),)

    def follower(self, **values: Any) -> Follower:
        """A follower of one file that was empty when it was built."""
        nothing: Any = None
        return Follower(nothing, nothing, ("x",), self.OLD, **values)

    def test_new(self) -> None:
        """New content is tried, but not again once it was refused."""
        new: Content = (fingerprint(str(self.cert)),)
        follower = self.follower()
        self.assertTrue(follower.would_change(new))
        self.assertTrue(follower.due(new))
        follower.refused = new
        self.assertFalse(follower.would_change(new))
        self.assertFalse(follower.due(new))

    def test_put_back(self) -> None:
        """When the old content is back, what was refused may be tried anew."""
        new: Content = (fingerprint(str(self.cert)),)
        follower = self.follower(refused=new, retry=NOW)
        self.assertFalse(follower.due(self.OLD))
        self.assertEqual((follower.refused, follower.retry), (None, None))
        self.assertTrue(follower.due(new))


class RebuilderTests(RenewalTestCase):
    """One try, without anybody who watches."""

    def setUp(self) -> None:
        super().setUp()
        self.follow()
        self.rebuilder = Rebuilder(
            self.log.scope, self.passphrases.unattended(), lambda: self.today
        )
        policy = self.source.policy
        self.follower = Follower(self.service, policy, files_of(policy), self.content())
        self.log.lines.clear()

    def content(self) -> Content:
        """What the files hold now."""
        return tuple(fingerprint(path) for path in files_of(self.source.policy))

    def test_good(self) -> None:
        """Good files are in use afterwards, and known as what the service was built from."""
        new = self.put(self.issue())
        content = self.content()
        self.assertTrue(self.rebuilder.rebuild(self.follower, content))
        self.assertTrue(self.serves(new))
        self.assertEqual(self.follower.built_from, content)
        self.assertEqual(len(self.log.texts), 1)

    def test_bad(self) -> None:
        """Bad files are remembered as refused, with a line; the old context stays."""
        before = self.service.tls
        self.cert.write_bytes(b"rubbish")
        content = self.content()
        self.assertTrue(self.rebuilder.rebuild(self.follower, content))
        self.assertIs(self.service.tls, before)
        self.assertEqual((self.follower.refused, self.follower.retry), (content, None))
        self.assertEqual(len(self.log.texts), 1)

    def test_too_early(self) -> None:
        """A certificate of the future is refused until its day, which is noted."""
        start = NOW + timedelta(hours=1)
        self.put(self.issue(not_before=start))
        self.assertTrue(self.rebuilder.rebuild(self.follower, self.content()))
        self.assertEqual(self.follower.retry, start)

    def test_changed_meanwhile(self) -> None:
        """When the files hold something else by now nothing is used, refused or said."""
        before = self.service.tls
        content = self.content()
        self.put(self.issue())
        self.assertFalse(self.rebuilder.rebuild(self.follower, content))
        self.assertIs(self.service.tls, before)
        self.assertIs(self.follower.refused, None)
        self.assertEqual(self.log.texts, [])


class TakenOverTests(RenewalTestCase):
    """New files of every kind."""

    def test_authorities(self) -> None:
        """New trusted certificates alone make a new context, too."""
        bundle = self.directory / "ca.pem"
        self.root.pem(bundle)
        self.follow(
            self.policy(
                trust=TrustPolicy(str(bundle)),
                verification=VerificationPolicy(request=True, require=True, pin=True, chain=True),
            )
        )
        self.assertEqual(len(self.service.tls.pins), 1)
        bundle.write_bytes(bundle.read_bytes() + Authority("New").issued.cert_pem())
        self.tell(bundle)
        self.assertIn(f"renewed from {bundle};", self.settle()[0])
        self.assertEqual(len(self.service.tls.pins), 2)

    def test_shared_keys(self) -> None:
        """A service without certificate is renewed from its secrets."""
        secrets = self.directory / "psk.txt"
        secrets.write_text(f"one:{'00' * 16}\n")
        before = self.follow(TLSPolicy("test", Role.SERVER, psk_file=str(secrets))).tls
        secrets.write_text(f"two:{'11' * 16}\n")
        self.tell(secrets)
        self.assertEqual(self.settle(), [f"Service [test]: renewed from {secrets}"])
        self.assertIsNot(self.service.tls, before)

    def test_known_passphrase(self) -> None:
        """The passphrase given at the start opens the new key as well."""
        self.put(self.issue(), b"secret")
        self.answers = [b"secret"]
        self.follow()
        new = self.put(self.issue(), b"secret")
        self.tell()
        self.settle()
        self.assertTrue(self.serves(new))


class RefusedTests(RenewalTestCase):
    """What cannot be used leaves everything as it is."""

    def setUp(self) -> None:
        super().setUp()
        self.follow()

    def test_empty(self) -> None:
        """An empty file is no certificate."""
        self.cert.write_bytes(b"")
        self.check_refused("cert.pem: no certificate found")

    def test_half_written(self) -> None:
        """A chain that breaks off in its second certificate is not taken for a shorter one."""
        issued = self.issue()
        whole = issued.cert_pem()
        self.put(issued)
        self.cert.write_bytes(whole[: len(whole) - 100])
        self.check_refused("cert.pem: a PEM block has no end")
        self.cert.write_bytes(whole)
        self.tell()
        self.settle()
        self.assertTrue(self.serves(issued))

    def test_missing(self) -> None:
        """A file that is gone does not end the service; when it comes back, all is well."""
        content = self.cert.read_bytes()
        self.cert.unlink()
        self.check_refused("cert.pem: No such file or directory")
        self.cert.write_bytes(content)
        self.tell()
        self.assertEqual(self.settle(), [])
        self.cert.unlink()
        self.check_refused("cert.pem: No such file or directory")

    def test_certificate_before_its_key(self) -> None:
        """A certificate whose key is still the old one waits for its key."""
        issued = self.issue()
        self.cert.write_bytes(issued.cert_pem())
        self.check_refused("key.pem: Private key does not match the certificate: CN=test")
        self.key.write_bytes(issued.key_pem())
        self.tell(self.key)
        self.assertIn(f"renewed from {self.cert}, {self.key};", self.settle()[0])
        self.assertTrue(self.serves(issued))

    def test_expired(self) -> None:
        """An expired certificate is no renewal."""
        self.put(self.issue(not_before=NOW - 2 * DAY, not_after=NOW - DAY))
        self.tell()
        said = self.settle()
        self.assertIn(f"{self.cert}: the certificate has expired at", said[-1])

    def test_not_yet_valid(self) -> None:
        """A certificate of the future comes into use when its time has come."""
        new = self.put(self.issue(not_before=NOW + timedelta(hours=1)))
        self.tell()
        self.assertIn("the certificate is not valid before", self.settle()[-1])
        self.clock.advance(POLL_WATCHED)
        self.assertEqual(self.settle(), [])
        self.today = NOW + timedelta(hours=2)
        self.clock.advance(POLL_WATCHED)
        self.settle()
        self.assertTrue(self.serves(new))

    def test_chain_forgotten(self) -> None:
        """A leaf without the chain that was always sent would lock clients out."""
        issued = self.issue()
        self.put(Issued(issued.cert, issued.key))
        self.check_refused("the chain is incomplete: the issuer is missing: CN=Inner")

    def test_chain_cut_between_blocks(self) -> None:
        """Nor is one that ends with a whole certificate taken for a complete chain."""
        deep = Authority("Deep", parent=self.inner)
        issued = deep.issue("test", not_after=NOW + 90 * DAY)
        self.put(issued)
        self.tell()
        self.assertIn("renewed from", self.settle()[-1])
        successor = deep.issue("test", not_after=NOW + 90 * DAY)
        self.put(Issued(successor.cert, successor.key, successor.chain[:1]))
        self.check_refused("cert.pem: the chain is incomplete: the issuer is missing: CN=Inner")
        self.put(successor)
        self.tell()
        self.settle()
        self.assertTrue(self.serves(successor))

    def test_expired_intermediate(self) -> None:
        """A chain with an expired certificate is refused, and the log names it."""
        over = self.root.issue("Inner", not_after=NOW - DAY / 2, ca=True, key=self.inner.key)
        issued = self.issue()
        self.put(Issued(issued.cert, issued.key, (over.cert,)))
        self.tell()
        said = self.settle()
        self.assertIn(f"{self.cert}: the chain certificate CN=Inner has expired at", said[-1])

    def test_pipe(self) -> None:
        """A pipe in place of a file is refused at once: reading it could take for ever."""
        self.key.unlink()
        os.mkfifo(self.key)
        self.check_refused("key.pem: not a regular file")
        self.cert.write_bytes(self.issue().cert_pem())
        self.check_refused("key.pem: not a regular file")

    def test_unknown_passphrase(self) -> None:
        """Nobody is asked for the passphrase of a new key: nobody is there."""
        self.put(self.issue(), b"secret")
        self.check_refused("key.pem: encrypted, and no passphrase was given")

    def test_authorities_without_certificates(self) -> None:
        """An empty bundle would turn every peer away."""
        bundle = self.directory / "ca.pem"
        self.root.pem(bundle)
        verification = VerificationPolicy(request=True, require=True, chain=True)
        self.follow(self.policy(trust=TrustPolicy(str(bundle)), verification=verification))
        bundle.write_bytes(b"")
        self.tell(bundle)
        self.assertIn("ca.pem: No trusted certificates found", self.settle()[0])

    def test_each_reason_once(self) -> None:
        """Another broken content is told again, and the first one, too, when it returns."""
        for content in (b"", b"rubbish", b""):
            self.cert.write_bytes(content)
            self.check_refused("cert.pem: ")
