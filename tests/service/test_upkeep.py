"""Tests of the upkeep: real files, real notices, a whole application."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.relay.loop import make_loop
from stunnel_tx.service import upkeep as subject
from stunnel_tx.service.renewal import POLL_UNWATCHED, STEP
from stunnel_tx.service.upkeep import DAY, Upkeep
from stunnel_tx.tls.passphrases import Passphrases
from tests.doubles.applications import ApplicationRig
from tests.doubles.certificates import NOW, Authority
from tests.doubles.private_reactor import open_descriptors
from tests.doubles.recording import Recording
from tests.doubles.replacing import (
    LinkingDirectory,
    LinkingFiles,
    Overwriting,
    Renaming,
    Replacing,
)

if TYPE_CHECKING:
    from stunnel_tx.service.build import Blueprint
    from tests.doubles.certificates import Issued

#: Steps of the clock after which anything that was noticed has happened.
ENOUGH = 6


class UpkeepTestCase(SynchronousTestCase):
    """An application whose certificates are replaced under it."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        self.authority = Authority("Test CA")
        self.before = open_descriptors()
        self.rig = ApplicationRig()
        self.addCleanup(self.check_nothing_left)
        self.addCleanup(self.rig.close)

    def check_nothing_left(self) -> None:
        """Every descriptor is closed again, that of the notices too."""
        self.assertEqual(open_descriptors(), self.before)

    def issue(self) -> Issued:
        """A certificate unlike all others."""
        return self.authority.issue("test", not_after=NOW + timedelta(days=90))

    def section(self, way: Replacing, name: str = "test", *lines: str) -> str:
        """A service with the files of *way*."""
        return (
            f"[{name}]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:{self.rig.connect}\n"
            f"cert = {way.cert}\nkey = {way.key}\n" + "".join(f"{line}\n" for line in lines)
        )

    def blueprint(self, number: int = 0) -> Blueprint:
        """A service in force."""
        generation = self.rig.application._generation
        assert generation is not None
        return generation.blueprints[number]

    def serves(self, issued: Issued, number: int = 0) -> bool:
        """True when the next connection is shown *issued*."""
        identity = self.blueprint(number).policy.tls.identity
        return identity is not None and identity.leaf == issued.cert

    def settle(self) -> None:
        """Let what has been noticed happen."""
        for _ in range(ENOUGH):
            self.rig.turner.advance(STEP)

    def lines(self, text: str) -> list[str]:
        """What was said with *text* in it."""
        return [each for each in self.rig.log.texts if text in each]


class WaysTests(UpkeepTestCase):
    """Each way of replacing files is noticed at once, by notices alone."""

    def check(self, way: type[Replacing]) -> None:
        """Several replacements in a row are all taken over."""
        used = way(self.directory / "live", self.issue())
        self.rig.run(self.section(used))
        for _ in range(3):
            new = self.issue()
            used.replace(new)
            self.settle()
            self.assertTrue(self.serves(new))
        self.assertEqual(self.lines("not renewed"), [])
        self.assertEqual(len(self.lines("Service [test]: renewed from")), 3)

    def test_renaming(self) -> None:
        """A new file renamed over the old one."""
        self.check(Renaming)

    def test_linking_files(self) -> None:
        """A link that leads to a new file, as with Certbot."""
        self.check(LinkingFiles)

    def test_linking_directory(self) -> None:
        """A link to a directory that leads to a new one, as with Kubernetes."""
        self.check(LinkingDirectory)

    def test_overwriting(self) -> None:
        """The file itself, written anew in several steps."""
        self.check(Overwriting)


class ApplicationTests(UpkeepTestCase):
    """The application from start over reload to stop."""

    def setUp(self) -> None:
        super().setUp()
        self.way = Renaming(self.directory / "live", self.issue())

    def test_half_of_the_services(self) -> None:
        """With renew = no a service keeps what it has, while another one is renewed."""
        first = self.issue()
        self.way.replace(first)
        self.rig.run(self.section(self.way, "one", "renew = no"), self.section(self.way, "two"))
        new = self.issue()
        self.way.replace(new)
        self.settle()
        self.assertTrue(self.serves(first, 0))
        self.assertTrue(self.serves(new, 1))

    def test_switched_off(self) -> None:
        """Where nothing is to be renewed nothing is watched either."""
        self.rig.run("renew = no", self.section(self.way))
        upkeep = self.rig.application._upkeep
        assert upkeep is not None
        self.assertIsNone(upkeep._renewal)

    def test_bad_then_good(self) -> None:
        """A file cut short is refused with a reason, and the rest of it makes it good."""
        self.rig.run(self.section(self.way))
        new = self.issue()
        self.way.key.write_bytes(new.key_pem())
        self.way.cert.write_bytes(new.cert_pem()[:-40])
        self.settle()
        self.assertFalse(self.serves(new))
        self.assertEqual(len(self.lines("a PEM block has no end")), 1)
        self.way.cert.write_bytes(new.cert_pem())
        self.settle()
        self.assertTrue(self.serves(new))

    def test_deleted_and_created_again(self) -> None:
        """A directory may be deleted and made anew; meanwhile the old certificate serves."""
        first = self.issue()
        self.way.replace(first)
        self.rig.run(self.section(self.way))
        for path in (self.way.cert, self.way.key):
            path.unlink()
        self.way.directory.rmdir()
        self.settle()
        self.assertTrue(self.serves(first))
        new = self.issue()
        self.way.directory.mkdir()
        self.way.replace(new)
        self.settle()
        self.assertTrue(self.serves(new))

    def test_after_a_reload(self) -> None:
        """The files of the new configuration are followed, those of the old one are not."""
        other = Renaming(self.directory / "other", self.issue())
        self.rig.run(self.section(self.way))
        self.rig.write(self.section(other))
        self.rig.reload()
        new = self.issue()
        other.replace(new)
        self.way.replace(self.issue())
        self.settle()
        self.assertTrue(self.serves(new))
        self.assertEqual(len(self.lines("renewed from")), 1)

    def test_services_by_name(self) -> None:
        """A service that is reached by a server name is renewed where the primary finds it."""
        other = Renaming(self.directory / "other", self.issue())
        secondary = self.section(other, "two", "sni = one:two.example").replace(
            "accept = 127.0.0.1:0\n", ""
        )
        self.rig.run(self.section(self.way, "one"), secondary)
        new = self.issue()
        other.replace(new)
        self.settle()
        names = self.blueprint(0).policy.names
        assert names is not None
        rule = names.find("two.example")
        assert rule is not None
        identity = rule.policy.tls.identity
        assert identity is not None
        self.assertEqual(identity.leaf, new.cert)

    def test_open_connection(self) -> None:
        """A connection that stands is not disturbed, and the next one sees the new certificate."""
        self.rig.run(self.section(self.way))
        user, backend = self.rig.join()
        new = self.issue()
        self.way.replace(new)
        self.settle()
        self.assertTrue(self.serves(new))
        user.send(b"still here")
        self.rig.until(lambda: backend.received, user, backend)
        self.assertEqual(bytes(backend.received), b"still here")

    def test_without_inotify(self) -> None:
        """Without notices of the kernel files are looked at, and the log says so once."""

        def none_left() -> Any:
            raise OSError(24, "Too many open files")

        self.patch(subject, "open_inotify", none_left)
        self.rig.run(self.section(self.way))
        new = self.issue()
        self.way.replace(new)
        self.rig.turner.advance(POLL_UNWATCHED)
        self.settle()
        self.assertTrue(self.serves(new))
        self.assertEqual(
            self.lines("renew:"),
            ["renew: Too many open files; files are looked at every 10 seconds instead"],
        )


class DailyTests(UpkeepTestCase):
    """Certificates that come to their end are told of every day."""

    def test_every_day(self) -> None:
        """Each certificate is told of once a day, however many services have it."""
        end = NOW + timedelta(days=20)
        way = Renaming(self.directory / "live", self.authority.issue("test", not_after=end))
        self.rig.write(self.section(way))
        self.rig.application.load()
        log, clock, today = Recording(), Clock(), [NOW]
        loop = make_loop(Clock(), lambda _fd, _error: None)
        upkeep = Upkeep(clock, loop, log.scope, Passphrases(lambda _: None), lambda: today[0])
        blueprint = evolve(self.blueprint(), source=None)
        upkeep.follow([blueprint, blueprint])
        clock.advance(DAY)
        self.assertEqual(log.texts, [])
        today[0] = end - timedelta(days=3)
        clock.advance(DAY)
        where = f"service [test], {way.cert}"
        soon = f"Own certificate expires in 3 day(s), at {end}: CN=test ({where})"
        self.assertEqual(log.texts, [soon])
        today[0] = end + timedelta(days=1)
        clock.advance(DAY)
        over = f"Own certificate has expired at {end}: CN=test ({where})"
        self.assertEqual(log.texts[1:], [over])
        upkeep.close()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_several_services(self) -> None:
        """A certificate of several services is told of once, with the names of a few of them."""
        end = NOW + timedelta(days=2)
        way = Renaming(self.directory / "live", self.authority.issue("test", not_after=end))
        self.rig.write(self.section(way))
        self.rig.application.load()
        for count, wanted in (
            (2, "services [s0], [s1]"),
            (5, "services [s0], [s1], [s2], [s3], [s4]"),
            (6, "service [s0] and 5 others"),
        ):
            log, clock = Recording(), Clock()
            loop = make_loop(Clock(), lambda _fd, _error: None)
            upkeep = Upkeep(clock, loop, log.scope, Passphrases(lambda _: None), lambda: NOW)
            one = self.blueprint()
            policies = [evolve(one.policy, name=f"s{number}") for number in range(count)]
            upkeep.follow([evolve(one, policy=each, source=None) for each in policies])
            clock.advance(DAY)
            upkeep.close()
            self.assertEqual(len(log.texts), 1)
            self.assertIn(f"({wanted}, {way.cert})", log.texts[0])

    def test_at_the_start(self) -> None:
        """Loading the configuration, and so checking it, tells of an end that is near."""
        issued = self.authority.issue("test", not_after=NOW + timedelta(days=3, hours=12))
        way = Renaming(self.directory / "live", issued)
        self.rig.write(self.section(way))
        self.rig.application.load()
        found = self.lines("Own certificate expires in 3 day(s)")
        self.assertEqual(len(found), 1)
        self.assertIn(f"(service [test], {way.cert})", found[0])
