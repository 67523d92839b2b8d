"""Tests of taking a peer's facts; odd certificates are in test_handshake_odd."""

from __future__ import annotations

from typing import cast

from OpenSSL import crypto
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import Rejected
from stunnel_tx.tls.facts import leaf_facts
from stunnel_tx.tls.peer_facts import facts_of_peer
from stunnel_tx.tls.policy import VerificationPolicy
from tests.doubles.certificates import DAY, NOW, self_signed

CHAIN = VerificationPolicy(True, True, True)
PINNED = VerificationPolicy(True, True, False, True)
NAMED = VerificationPolicy(True, True, True, hosts=("a.example",))


class Unreadable:
    """A certificate that nobody can read."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(f"no {name}")


class PeerFactsTests(SynchronousTestCase):
    """As much as the policy asks for, and no more."""

    def setUp(self) -> None:
        self.cert = self_signed("peer", ["a.example"]).cert
        self.given = crypto.X509.from_cryptography(self.cert)

    def test_names(self) -> None:
        """With rules about names everything is there."""
        self.assertEqual(facts_of_peer(self.given, NAMED), leaf_facts(self.cert))

    def test_key(self) -> None:
        """A pin needs subject and key, and no alternative names."""
        facts, whole = facts_of_peer(self.given, PINNED), leaf_facts(self.cert)
        self.assertEqual((facts.subject, facts.spki), (whole.subject, whole.spki))
        self.assertEqual(facts.dns_names, ())

    def test_revocation(self) -> None:
        """Lists need issuer and serial number alone."""
        facts, whole = facts_of_peer(self.given, CHAIN, revocable=True), leaf_facts(self.cert)
        self.assertEqual((facts.issuer, facts.serial), (whole.issuer, whole.serial))
        self.assertEqual((facts.spki, facts.dns_names), (b"", ()))

    def test_validity(self) -> None:
        """The bounds are always there, to the second and in UTC."""
        for policy in (CHAIN, PINNED, NAMED):
            facts = facts_of_peer(self.given, policy)
            self.assertEqual((facts.not_before, facts.not_after), (NOW - DAY, NOW + DAY))

    def test_unreadable(self) -> None:
        """Whatever the parsers raise is a rejection that says why."""
        broken = cast("crypto.X509", Unreadable())
        for policy in (CHAIN, PINNED, NAMED):
            error = self.assertRaises(Rejected, facts_of_peer, broken, policy)
            self.assertIn("peer certificate cannot be read: no ", str(error))
