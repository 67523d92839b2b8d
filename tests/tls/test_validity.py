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


class ReportTests(SynchronousTestCase):
    """Warnings before and after the end."""

    def said(self, until: timedelta, since: timedelta = -DAY) -> list[str]:
        """The warnings for a certificate with these bounds, as seen from now."""
        log = Recording()
        issued = self_signed("test", not_before=NOW + since, not_after=NOW + until)
        report_validity(identity_of(issued), log.scope, NOW)
        self.assertTrue(all(level == WARNING for level, _, _ in log.lines))
        return log.texts

    def test_fresh(self) -> None:
        """Two weeks before the end nothing is said yet."""
        self.assertEqual(self.said(EXPIRY_NOTICE), [])

    def test_soon(self) -> None:
        """From then on the days that are left are told, and the moment of the end."""
        end = NOW + EXPIRY_NOTICE - timedelta(seconds=1)
        self.assertEqual(
            self.said(end - NOW), [f"Own certificate expires in 13 day(s), at {end}: CN=test"]
        )

    def test_last_day(self) -> None:
        """On the last day it is not over yet."""
        end = NOW + timedelta(hours=1)
        self.assertEqual(
            self.said(end - NOW), [f"Own certificate expires in 0 day(s), at {end}: CN=test"]
        )

    def test_over(self) -> None:
        """An expired one is told as such, and not as one that expires soon."""
        end = NOW - timedelta(seconds=1)
        self.assertEqual(self.said(end - NOW), [f"Own certificate has expired at {end}: CN=test"])

    def test_not_yet(self) -> None:
        """One that is not valid yet is told."""
        begin = NOW + DAY
        self.assertEqual(
            self.said(90 * DAY, DAY), [f"Own certificate is not valid before {begin}: CN=test"]
        )


class ObjectionTests(SynchronousTestCase):
    """A new identity in the place of an old one."""

    def setUp(self) -> None:
        self.root = Authority("Root")
        self.inner = Authority("Inner", parent=self.root)
        self.old = identity_of(self.inner.issue("test"))

    def reason(self, new: Identity, old: Identity | None) -> str:
        """Why *new* may not replace *old*, empty when it may."""
        found = objection(new, old, NOW)
        return "" if found is None else found.reason

    def test_same_kind(self) -> None:
        """A successor with the same chain is welcome."""
        self.assertEqual(self.reason(identity_of(self.inner.issue("test")), self.old), "")

    def test_first(self) -> None:
        """Where there was none before, there is nothing to compare with."""
        self.assertEqual(self.reason(identity_of(self.root.issue("test")), None), "")

    def test_expired(self) -> None:
        """An expired certificate replaces nothing, not even an expired one."""
        new = identity_of(self.inner.issue("test", not_after=NOW - timedelta(seconds=1)))
        self.assertIn("has expired", self.reason(new, self.old))
        self.assertIn("has expired", self.reason(new, new))

    def test_not_yet_valid(self) -> None:
        """One that is not valid yet says when to try again."""
        begins = NOW + timedelta(hours=1)
        new = identity_of(self.inner.issue("test", not_before=begins))
        found = objection(new, self.old, NOW)
        assert found is not None
        self.assertEqual(found.until, begins)

    def test_chain_forgotten(self) -> None:
        """Without the intermediate certificate, clients could not get from leaf to root."""
        issued = self.inner.issue("test")
        new = Identity(issued.cert, (), issued.key)
        self.assertEqual(
            self.reason(new, self.old), "the chain is incomplete: the issuer is missing: CN=Inner"
        )

    def test_chain_of_another(self) -> None:
        """An intermediate of the same name with another key is not the issuer."""
        stranger = Authority("Inner", parent=self.root)
        new = identity_of(self.inner.issue("test"), stranger.cert)
        self.assertIn("incomplete", self.reason(new, self.old))

    def test_other_intermediate(self) -> None:
        """The authority may use another intermediate, as long as it is sent."""
        other = Authority("Other", parent=self.root)
        self.assertEqual(self.reason(identity_of(other.issue("test")), self.old), "")

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
