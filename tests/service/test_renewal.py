"""Tests of renewal: when files are looked at, what is taken over, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.service import renewal as subject
from stunnel_tx.service.fingerprints import fingerprint
from stunnel_tx.service.renewal import (
    PATIENCE,
    POLL_UNWATCHED,
    POLL_WATCHED,
    STEP,
    Renewal,
    renewable,
)
from stunnel_tx.telemetry.levels import NOTICE
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.passphrases import Passphrases
from stunnel_tx.tls.policy import Role, TLSPolicy, TrustPolicy, VerificationPolicy
from stunnel_tx.tunnel.runtime import ServicePolicy
from tests.doubles.certificates import DAY, NOW, Authority, Issued
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Turns of the clock that any renewal is through after.
ENOUGH = 20


class ToldWatch:
    """A watch that tells only what a test says."""

    def __init__(self) -> None:
        self.followed: set[str] = set()
        self.refreshed: list[set[str]] = []
        self.unwatched: dict[str, str] = {}
        self.closed = False
        self.tell: Callable[[Iterable[str]], None] = lambda _paths: None

    def __call__(self, tell: Callable[[Iterable[str]], None]) -> ToldWatch:
        """Take the function to tell changes to."""
        self.tell = tell
        return self

    def follow(self, paths: Iterable[str]) -> None:
        """Note what is wanted."""
        self.followed = set(paths)

    def refresh(self, paths: Iterable[str]) -> None:
        """Note the call."""
        self.refreshed.append(set(paths))

    def close(self) -> None:
        """Note the call."""
        self.closed = True


class RenewalTestCase(SynchronousTestCase):
    """A service with ``cert.pem`` and ``key.pem``, in the hands of a renewal."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        self.cert, self.key = self.directory / "cert.pem", self.directory / "key.pem"
        self.root = Authority("Root")
        self.inner = Authority("Inner", parent=self.root)
        self.log = Recording(NOTICE)
        self.clock = Clock()
        self.watch = ToldWatch()
        self.answers: list[bytes | None] = []
        self.passphrases = Passphrases(lambda _: self.answers.pop(0))
        self.today = NOW
        self.renewal = Renewal(
            self.clock, self.watch, self.log.scope, self.passphrases, lambda: self.today
        )
        self.put(self.issue())

    def issue(self, **options: Any) -> Issued:
        """A certificate that is good for a while."""
        return self.inner.issue("test", **{"not_after": NOW + 90 * DAY, **options})

    def put(self, issued: Issued, password: bytes | None = None) -> Issued:
        """Write both files."""
        self.cert.write_bytes(issued.cert_pem())
        self.key.write_bytes(issued.key_pem(password))
        return issued

    def policy(self, **options: Any) -> TLSPolicy:
        """What the service wants."""
        files = {"certificate_files": (str(self.cert),), "key_file": str(self.key)}
        return TLSPolicy("test", Role.SERVER, **{**files, **options})

    def follow(self, policy: TLSPolicy | None = None, chroot: str | None = None) -> ServicePolicy:
        """Build the service, and follow its files from now on."""
        wanted = policy or self.policy()
        source = renewable(wanted, fingerprint, chroot)
        nothing: Any = None
        self.service = ServicePolicy(
            name="test",
            client=False,
            tls=build_context(wanted, self.log.scope, self.passphrases),
            destination=nothing,
            busy=1.0,
            relay=nothing,
            threshold=None,
            identify=lambda: "0",
            local_options=(),
        )
        self.source = source
        self.log.lines.clear()
        self.renewal.follow([(self.service, source)])
        return self.service

    def tell(self, *paths: Path) -> None:
        """Say that *paths* (both files, unless others are given) may have changed."""
        self.watch.tell(str(path) for path in paths or (self.cert, self.key))

    def settle(self) -> list[str]:
        """Let everything happen that is going to; what was said."""
        for _ in range(ENOUGH):
            self.clock.advance(STEP)
        said, self.log.lines[:] = self.log.texts, []
        return said

    def serves(self, issued: Issued) -> bool:
        """True when the next connection is shown *issued*."""
        identity = self.service.tls.identity
        return identity is not None and identity.leaf == issued.cert

    def check_refused(self, reason: str) -> None:
        """What is there now is refused for *reason*, told once, and nothing has changed."""
        before = self.service.tls
        for _ in range(2):
            self.tell()
        said = self.settle()
        self.assertEqual(len(said), 1, said)
        self.assertIn("Service [test]: not renewed, what was loaded before stays in use", said[0])
        self.assertIn(reason, said[0])
        self.assertIs(self.service.tls, before)
        self.tell()
        self.assertEqual(self.settle(), [])


class TakenOverTests(RenewalTestCase):
    """New files come into use."""

    def test_both_files(self) -> None:
        """A new pair is served, and the log says from where and how long it is valid."""
        self.follow()
        new = self.put(self.issue())
        self.tell()
        said = self.settle()
        self.assertTrue(self.serves(new))
        source = f"{self.cert}, {self.key}"
        until = f"certificate valid until {new.cert.not_valid_after_utc}: CN=test"
        self.assertEqual(said, [f"Service [test]: renewed from {source}; {until}"])

    def test_promptly(self) -> None:
        """Two looks after the last change the new certificate is in use."""
        self.follow()
        new = self.put(self.issue())
        self.tell()
        self.clock.advance(STEP)
        self.assertFalse(self.serves(new))
        self.clock.advance(STEP)
        self.assertTrue(self.serves(new))

    def test_copies_of_the_policy(self) -> None:
        """A copy of the policy, as tables of names may hold one, is renewed with it."""
        copy = evolve(self.follow(), name="copy")
        self.put(self.issue())
        self.tell()
        self.settle()
        self.assertIs(copy.tls, self.service.tls)

    def test_same_content(self) -> None:
        """Files that were written again without a change cost nothing and say nothing."""
        before = self.follow().tls
        self.cert.write_bytes(self.cert.read_bytes())
        self.tell()
        self.assertEqual(self.settle(), [])
        self.assertIs(self.service.tls, before)

    def test_changed_before_it_was_followed(self) -> None:
        """A change between the first reading and the first watching is noticed."""
        self.follow()
        new = self.put(self.issue())
        self.renewal.follow([(self.service, self.source)])
        self.settle()
        self.assertTrue(self.serves(new))

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

    def test_many_services(self) -> None:
        """Services that share a file are all renewed; others get their turn in between."""
        service = self.follow()
        others = [evolve(service, tls=service.tls) for _ in range(3 * subject.BATCH)]
        self.renewal.follow([(each, self.source) for each in others])
        new = self.put(self.issue())
        self.tell()
        self.clock.advance(STEP)
        renewed_by_then: list[int] = []

        def building(*arguments: Any) -> object:
            self.patch(subject, "build_context", build_context)
            self.clock.callLater(
                0,
                lambda: renewed_by_then.append(sum(each.tls is not service.tls for each in others)),
            )
            return build_context(*arguments)

        self.patch(subject, "build_context", building)
        self.settle()
        self.assertEqual(renewed_by_then, [subject.BATCH])
        for each in others:
            assert each.tls.identity is not None
            self.assertEqual(each.tls.identity.leaf, new.cert)


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


class SettlingTests(RenewalTestCase):
    """Files are not read in the middle of a change."""

    def setUp(self) -> None:
        super().setUp()
        self.follow()
        self.new = self.issue()

    def test_content_still_changing(self) -> None:
        """As long as two looks differ, nothing is taken over and nothing is said."""
        self.key.write_bytes(self.new.key_pem())
        self.tell()
        for number in range(ENOUGH):
            self.cert.write_bytes(self.new.cert_pem() + b"#" * number)
            self.clock.advance(STEP)
        self.assertEqual(self.log.texts, [])
        self.settle()
        self.assertTrue(self.serves(self.new))

    def test_notices_without_end(self) -> None:
        """Settled content counts although something keeps stirring the directory."""
        self.put(self.new)
        waited = 0.0
        while not self.serves(self.new):
            self.tell()
            self.clock.advance(STEP)
            waited += STEP
            self.assertLess(waited, PATIENCE + 2 * STEP)
        self.assertGreaterEqual(waited, PATIENCE)

    def test_changed_while_it_is_read(self) -> None:
        """When a file changes while the context is made, that context is not used."""
        third = self.issue()

        def slow(*arguments: Any) -> object:
            context = build_context(*arguments)
            self.patch(subject, "build_context", build_context)
            self.put(third)
            return context

        self.patch(subject, "build_context", slow)
        self.put(self.new)
        self.tell()
        self.clock.advance(STEP)
        self.clock.advance(STEP)
        self.assertFalse(self.serves(self.new))
        self.settle()
        self.assertTrue(self.serves(third))

    def test_watched_before_it_is_looked_at(self) -> None:
        """The way to a file is looked up again before its content, or a change is lost."""
        self.put(self.new)
        self.tell(self.cert)
        self.clock.advance(STEP)
        self.assertEqual(self.watch.refreshed, [{str(self.cert)}])

    def test_paths_of_others(self) -> None:
        """A path that no service uses sets nothing in motion."""
        calls = len(self.clock.getDelayedCalls())
        self.tell(self.directory / "other")
        self.assertEqual(len(self.clock.getDelayedCalls()), calls)


class BeginningTests(RenewalTestCase):
    """What is followed, and from which state on."""

    def test_followed_paths(self) -> None:
        """The watch gets every file of every service; following again replaces them."""
        self.follow()
        self.assertEqual(self.watch.followed, {str(self.cert), str(self.key)})
        self.renewal.follow([])
        self.assertEqual(self.watch.followed, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_readable_any_more(self) -> None:
        """A file the process may no longer read is told at once, once, and keeps serving."""
        self.follow()
        before = self.service.tls
        content = self.key.read_bytes()
        self.key.unlink()
        self.key.symlink_to("key.pem")
        self.renewal.follow([(self.service, self.source), (self.service, self.source)])
        said = self.settle()
        self.assertEqual(len(said), 1, said)
        self.assertIn(
            f"Service [test]: cannot be renewed while {self.key} is not readable", said[0]
        )
        self.assertIs(self.service.tls, before)
        self.key.unlink()
        self.key.write_bytes(content)
        self.tell()
        self.assertEqual(self.settle(), [])

    def test_jail(self) -> None:
        """After a chroot what lies in the jail counts, from its first change on."""
        self.follow(chroot="/jail")
        self.assertEqual(self.source.seen, {})
        before = self.service.tls
        self.assertEqual(self.settle(), [])
        self.assertIs(self.service.tls, before)
        new = self.put(self.issue())
        self.tell()
        self.settle()
        self.assertTrue(self.serves(new))

    def test_nothing_in_the_jail(self) -> None:
        """Where the jail has no such files that is told once, and all goes on."""
        content = self.cert.read_bytes()
        self.follow(chroot="/jail")
        self.cert.unlink()
        self.renewal.follow([(self.service, self.source)])
        said = self.settle()
        self.assertEqual(len(said), 1, said)
        self.assertIn("is not readable from here: No such file or directory", said[0])
        self.cert.write_bytes(content)
        self.tell()
        self.assertIn("renewed from", self.settle()[0])

    def test_close(self) -> None:
        """Afterwards no timer is left, and the watch is closed."""
        self.follow()
        self.tell()
        self.renewal.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(self.watch.closed)
        self.tell()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PollingTests(RenewalTestCase):
    """Where nothing tells of changes, files are looked at."""

    def test_safety_net(self) -> None:
        """A change that nothing told of is found after a while."""
        self.follow()
        new = self.put(self.issue())
        self.clock.advance(POLL_WATCHED)
        self.settle()
        self.assertTrue(self.serves(new))

    def test_unwatched(self) -> None:
        """What cannot be watched is looked at often; the reason is told once."""
        self.watch.unwatched = {str(self.cert): "no space", str(self.key): "no space"}
        self.follow()
        self.assertEqual(
            self.log.texts, ["renew: no space; files are looked at every 10 seconds instead"]
        )
        for _ in range(3):
            new = self.put(self.issue())
            self.clock.advance(POLL_UNWATCHED)
            self.settle()
            self.assertTrue(self.serves(new))

    def test_without_any_watch(self) -> None:
        """On a system without notices everything is looked at."""
        self.renewal = Renewal(
            self.clock, lambda _tell: None, self.log.scope, self.passphrases, lambda: self.today
        )
        self.follow()
        new = self.put(self.issue())
        self.clock.advance(POLL_UNWATCHED)
        self.settle()
        self.assertTrue(self.serves(new))
        self.renewal.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_many_files(self) -> None:
        """Very many files are looked at in slices, with room for others in between."""
        service = self.follow()
        followed = []
        for number in range(3 * subject.SLICE):
            path = self.directory / f"{number}.txt"
            path.write_text(f"one:{'00' * 16}\n")
            source = renewable(self.policy(psk_file=str(path)), fingerprint, None)
            followed.append((service, source))
        self.renewal.follow(followed)
        self.watch.refreshed.clear()
        self.clock.advance(POLL_WATCHED)
        for _ in range(10 * ENOUGH):
            self.clock.advance(STEP)
        self.assertLessEqual(max(len(each) for each in self.watch.refreshed), subject.SLICE)
        seen: set[str] = set().union(*self.watch.refreshed)
        self.assertEqual(seen, self.watch.followed)
