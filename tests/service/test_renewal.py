"""Tests of renewal: when files are looked at, and what is in use from when on."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from stunnel_tx.service import rebuilding
from stunnel_tx.service import renewal as subject
from stunnel_tx.service.fingerprints import fingerprint
from stunnel_tx.service.rebuilding import renewable
from stunnel_tx.service.renewal import PATIENCE, POLL_UNWATCHED, POLL_WATCHED, STEP, Renewal
from stunnel_tx.tls.context import build_context
from tests.doubles.renewing import ENOUGH, RenewalTestCase


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
            self.patch(rebuilding, "build_context", build_context)
            self.clock.callLater(
                0,
                lambda: renewed_by_then.append(sum(each.tls is not service.tls for each in others)),
            )
            return build_context(*arguments)

        self.patch(rebuilding, "build_context", building)
        self.settle()
        self.assertEqual(renewed_by_then, [subject.BATCH])
        for each in others:
            assert each.tls.identity is not None
            self.assertEqual(each.tls.identity.leaf, new.cert)


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
            self.patch(rebuilding, "build_context", build_context)
            self.put(third)
            return context

        self.patch(rebuilding, "build_context", slow)
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
