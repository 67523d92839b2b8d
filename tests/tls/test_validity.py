"""Tests of how long certificates last, and of what may replace them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.telemetry.levels import WARNING
from stunnel_tx.tls.identity import Identity
from stunnel_tx.tls.validity import EXPIRY_NOTICE, objection, report_validity
from tests.doubles.certificates import DAY, NOW, Authority, Issued, self_signed
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def identity_of(issued: Issued, *chain: Certificate) -> Identity:
    """*issued* as a service has it, with its own chain unless another is given."""
    return Identity(issued.cert, chain or issued.chain, issued.key)


PLACE = "service [web], cert.pem"


class ReportTests(SynchronousTestCase):
    """Warnings before and after the end."""

    def said(self, until: timedelta, since: timedelta = -DAY) -> list[str]:
        """The warnings for a certificate with these bounds, as seen from now."""
        log = Recording()
        issued = self_signed("test", not_before=NOW + since, not_after=NOW + until)
        report_validity(identity_of(issued), PLACE, log.scope, NOW)
        self.assertTrue(all(level == WARNING for level, _, _ in log.lines))
        return log.texts

    def test_fresh(self) -> None:
        """Two weeks before the end nothing is said yet."""
        self.assertEqual(self.said(EXPIRY_NOTICE), [])

    def test_soon(self) -> None:
        """From then on the days that are left are told, and the moment of the end."""
        end = NOW + EXPIRY_NOTICE - timedelta(seconds=1)
        self.assertEqual(
            self.said(end - NOW),
            [f"Own certificate expires in 13 day(s), at {end}: CN=test ({PLACE})"],
        )

    def test_last_day(self) -> None:
        """On the last day it is not over yet."""
        end = NOW + timedelta(hours=1)
        self.assertEqual(
            self.said(end - NOW),
            [f"Own certificate expires in 0 day(s), at {end}: CN=test ({PLACE})"],
        )

    def test_over(self) -> None:
        """An expired one is told as such, and not as one that expires soon."""
        end = NOW - timedelta(seconds=1)
        self.assertEqual(
            self.said(end - NOW), [f"Own certificate has expired at {end}: CN=test ({PLACE})"]
        )

    def test_not_yet(self) -> None:
        """One that is not valid yet is told."""
        begin = NOW + DAY
        self.assertEqual(
            self.said(90 * DAY, DAY),
            [f"Own certificate is not valid before {begin}: CN=test ({PLACE})"],
        )

    def test_chain(self) -> None:
        """Each certificate of the chain is told of, once and with its own dates."""
        root, log = Authority("Root"), Recording()
        over = root.issue("Over", not_after=NOW - timedelta(hours=1), ca=True).cert
        soon = root.issue("Soon", not_after=NOW + DAY, ca=True).cert
        early = root.issue("Early", (), NOW + DAY, NOW + 90 * DAY, ca=True).cert
        leaf = root.issue("leaf", not_after=NOW + 90 * DAY)
        report_validity(identity_of(leaf, over, soon, early, soon), PLACE, log.scope, NOW)
        self.assertEqual(
            log.texts,
            [
                f"Chain certificate has expired at {NOW - timedelta(hours=1)}: CN=Over ({PLACE})",
                f"Chain certificate expires in 1 day(s), at {NOW + DAY}: CN=Soon ({PLACE})",
                f"Chain certificate is not valid before {NOW + DAY}: CN=Early ({PLACE})",
            ],
        )


class ObjectionTestCase(SynchronousTestCase):
    """An authority below a root, and what it has issued."""

    def setUp(self) -> None:
        self.root = Authority("Root")
        self.inner = Authority("Inner", parent=self.root)
        self.old = identity_of(self.inner.issue("test"))

    def reason(self, new: Identity, old: Identity | None, *roots: Certificate) -> str:
        """Why *new* may not replace *old*, empty when it may."""
        found = objection(new, old, NOW, lambda: roots)
        return "" if found is None else found.reason


class ValidityTests(ObjectionTestCase):
    """Nothing is put into service that is not valid."""

    def test_expired(self) -> None:
        """An expired certificate replaces nothing, not even an expired one."""
        new = identity_of(self.inner.issue("test", not_after=NOW - timedelta(seconds=1)))
        self.assertIn("the certificate has expired", self.reason(new, self.old))
        self.assertIn("the certificate has expired", self.reason(new, new))
        self.assertIn("the certificate has expired", self.reason(new, None))

    def test_not_yet_valid(self) -> None:
        """One that is not valid yet says when to try again."""
        begins = NOW + timedelta(hours=1)
        new = identity_of(self.inner.issue("test", not_before=begins))
        found = objection(new, self.old, NOW)
        assert found is not None
        self.assertEqual(found.until, begins)

    def test_expired_intermediate(self) -> None:
        """The chain has to be valid too: clients refuse a leaf below an expired intermediate."""
        end = NOW - timedelta(hours=1)
        over = self.root.issue("Inner", not_after=end, ca=True, key=self.inner.key)
        new = identity_of(self.inner.issue("test"), over.cert)
        wanted = f"the chain certificate CN=Inner has expired at {end}"
        self.assertEqual(self.reason(new, self.old), wanted)
        self.assertEqual(self.reason(new, None), wanted)

    def test_intermediate_not_yet_valid(self) -> None:
        """An intermediate of the future says when to try again."""
        begins = NOW + timedelta(hours=1)
        early = self.root.issue("Inner", (), begins, NOW + DAY, ca=True, key=self.inner.key)
        found = objection(identity_of(self.inner.issue("test"), early.cert), self.old, NOW)
        assert found is not None
        self.assertEqual(found.until, begins)

    def test_served_already(self) -> None:
        """An expired certificate that is sent today is no reason to keep the older leaf."""
        over = self.root.issue("Cross", not_after=NOW - timedelta(hours=1), ca=True).cert
        old = Identity(self.old.leaf, (*self.old.chain, over), self.old.key)
        new = identity_of(self.inner.issue("test"), *old.chain)
        self.assertEqual(self.reason(new, old), "")


class ChainTests(ObjectionTestCase):
    """The new chain leads as far up as it has to."""

    def setUp(self) -> None:
        super().setUp()
        self.deep = Authority("Deep", parent=self.inner)
        self.long = identity_of(self.deep.issue("test"))

    def test_same_kind(self) -> None:
        """A successor with the same chain is welcome."""
        self.assertEqual(self.reason(identity_of(self.inner.issue("test")), self.old), "")
        self.assertEqual(self.reason(identity_of(self.deep.issue("test")), self.long), "")

    def test_first(self) -> None:
        """Where there was none before, there is nothing to compare with."""
        self.assertEqual(self.reason(identity_of(self.root.issue("test")), None), "")

    def test_cut_between_any_two_certificates(self) -> None:
        """However many certificates of the chain are left, all but the whole is refused."""
        issued = self.deep.issue("test")
        for count, missing in enumerate(("Deep", "Inner")):
            new = Identity(issued.cert, issued.chain[:count], issued.key)
            self.assertEqual(
                self.reason(new, self.long),
                f"the chain is incomplete: the issuer is missing: CN={missing}",
            )

    def test_any_order(self) -> None:
        """The order in the file does not matter, clients sort it out."""
        issued = self.deep.issue("test")
        new = Identity(issued.cert, issued.chain[::-1], issued.key)
        self.assertEqual(self.reason(new, self.long), "")

    def test_root_sent_along(self) -> None:
        """A root may come and go: who does not have it does not trust it."""
        issued = self.deep.issue("test")
        whole = Identity(issued.cert, (*issued.chain, self.root.cert), issued.key)
        self.assertEqual(self.reason(whole, self.long), "")
        self.assertEqual(self.reason(identity_of(self.deep.issue("test")), whole), "")
        cut = Identity(issued.cert, issued.chain[:1], issued.key)
        self.assertIn("CN=Inner", self.reason(cut, whole))

    def test_chain_of_another(self) -> None:
        """An intermediate of the same name with another key is not the issuer."""
        stranger = Authority("Inner", parent=self.root)
        new = identity_of(self.inner.issue("test"), stranger.cert)
        self.assertIn("incomplete", self.reason(new, self.old))

    def test_other_intermediate(self) -> None:
        """The authority may use another intermediate, as long as it is sent."""
        other = Authority("Other", parent=self.root)
        self.assertEqual(self.reason(identity_of(other.issue("test")), self.old), "")
        issued = other.issue("test")
        self.assertIn("CN=Other", self.reason(Identity(issued.cert, (), issued.key), self.old))

    def test_straight_from_the_root(self) -> None:
        """Issued by the root itself, a certificate needs no chain: clients know the root."""
        self.assertEqual(self.reason(identity_of(self.root.issue("test")), self.old), "")

    def test_self_signed(self) -> None:
        """A self-signed certificate has no issuer that could be missing."""
        self.assertEqual(self.reason(identity_of(self_signed("test")), self.old), "")

    def test_chain_was_never_sent(self) -> None:
        """Where clients have done without the chain so far, they can go on to do so."""
        first, second = self.inner.issue("test"), self.inner.issue("test")
        old = Identity(first.cert, (), first.key)
        self.assertEqual(self.reason(Identity(second.cert, (), second.key), old), "")


class OtherAuthorityTests(ObjectionTestCase):
    """A new chain that ends where nobody knows whether it has to go on."""

    def setUp(self) -> None:
        super().setUp()
        self.world = Authority("World")
        self.region = Authority("Region", parent=self.world)

    def test_as_long_as_before(self) -> None:
        """From another authority, as many certificates as before are taken for the whole."""
        self.assertEqual(self.reason(identity_of(self.region.issue("test")), self.old), "")

    def test_shorter(self) -> None:
        """Fewer than before are taken for a chain that was cut."""
        issued = self.region.issue("test")
        self.assertIn("CN=Region", self.reason(Identity(issued.cert, (), issued.key), self.old))

    def test_known_root(self) -> None:
        """Fewer are enough when they lead to a root that the system trusts."""
        issued = self.world.issue("test")
        new = Identity(issued.cert, (), issued.key)
        self.assertEqual(self.reason(new, self.old, self.root.cert, self.world.cert), "")
        namesake = Authority("World").cert
        self.assertIn("CN=World", self.reason(new, self.old, namesake))

    def test_after_a_self_signed_one(self) -> None:
        """The first certificate of an authority needs its issuer, or nobody knows what it needs."""
        old = identity_of(self_signed("test"))
        issued = self.region.issue("test")
        self.assertEqual(self.reason(identity_of(issued), old), "")
        self.assertIn("CN=Region", self.reason(Identity(issued.cert, (), issued.key), old))

    def test_signed_by_two(self) -> None:
        """A cross-signed intermediate no longer sent is not missed where its root is trusted."""
        cross = self.world.issue("Root", ca=True, key=self.root.key).cert
        old = Identity(self.old.leaf, (*self.old.chain, cross), self.old.key)
        new = identity_of(self.inner.issue("test"))
        self.assertIn("CN=Root", self.reason(new, old))
        self.assertEqual(self.reason(new, old, self.root.cert), "")
        both = identity_of(self.inner.issue("test"), self.inner.cert, cross, self.root.cert)
        self.assertEqual(self.reason(both, old), "")
