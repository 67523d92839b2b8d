"""Tests of the subject checks."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.telemetry.events import (
    CERT_EMAIL_MATCHED,
    CERT_HOST_MATCHED,
    CERT_IP_MATCHED,
    CERT_NO_SUBJECT_CHECKS,
    CERT_RULE_MATCHED,
)
from stunnel_tx.tls.facts import LeafFacts
from stunnel_tx.tls.policy import VerificationPolicy
from stunnel_tx.tls.subjects import email_matches, host_matches, match_subject
from tests.doubles.certificates import DAY, NOW


class HostTests(SynchronousTestCase):
    """One expected host against one name of the certificate."""

    def test_matches(self) -> None:
        """Equal names, one whole label, part of a label, and every sub-domain of a suffix."""
        for host, name in (
            ("www.example.com", "www.example.com"),
            ("WWW.example.COM", "www.EXAMPLE.com"),
            ("localhost", "localhost"),
            ("www.example.com", "*.example.com"),
            ("foo.example.com", "f*.example.com"),
            ("foo.example.com", "*o.example.com"),
            ("foo.example.com", "f*o.example.com"),
            ("fo.example.com", "f*o.example.com"),
            (".example.com", "www.example.com"),
            (".example.com", "a.b.example.com"),
            (".example.com", "*.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example.com", "*.example.com"),
            ("a_b.example.com", "a_b.example.com"),
        ):
            self.assertTrue(host_matches(host, name), (host, name))

    def test_mismatches(self) -> None:
        """More than one label, a wildcard elsewhere, and look-alikes do not match."""
        for host, name in (
            ("example.com", "www.example.com"),
            ("example.com", "*.example.com"),
            ("a.b.example.com", "*.example.com"),
            ("www.example.com", "www.*.com"),
            ("www.example.com", "*.*.com"),
            ("www.example.com", "w*w*.example.com"),
            ("example.com", "*.com"),
            ("www.example.com", "*"),
            ("localhost", "*"),
            ("f.example.com", "f*o.example.com"),
            ("fo.example.com", "fo*o.example.com"),
            ("xn--bcher-kva.example.com", "xn--*.example.com"),
            ("xn--bcher-kva.example.com", "x*.example.com"),
            (".example.com", "example.com"),
            (".example.com", "badexample.com"),
            (".example.com", ".example.com"),
            (".example.com", "..example.com"),
            (".", "www.example.com"),
            ("www.example.com", "www.example.com\0.evil.example"),
            ("www.example.com", "www.example.com.evil.example"),
            ("www.example.com", ""),
            ("www.example.com", "wwẃ.example.com"),
            ("10.0.0.1", "*.0.0.1"),
            ("a b", "c d"),
        ):
            self.assertFalse(host_matches(host, name), (host, name))

    def test_addresses_as_names(self) -> None:
        """A host that is an address matches only the very same text."""
        self.assertTrue(host_matches("10.0.0.1", "10.0.0.1"))
        self.assertFalse(host_matches("10.0.0.1", "10.0.0.2"))

    @settings(deadline=None, max_examples=100)
    @given(st.text(max_size=30))
    def test_any_name_is_harmless(self, name: str) -> None:
        """Whatever a certificate says, the answer is yes or no, and yes only for a match."""
        self.assertEqual(
            host_matches("www.example.com", name),
            name.lower() in {"www.example.com", "*.example.com"},
        )


class EmailTests(SynchronousTestCase):
    """Mail addresses."""

    def test_case(self) -> None:
        """The domain is compared in any case, the local part exactly."""
        self.assertTrue(email_matches("Me@a.example", "Me@A.Example"))
        self.assertFalse(email_matches("me@a.example", "Me@a.example"))
        self.assertFalse(email_matches("me@a.example", "me@b.example"))
        self.assertFalse(email_matches("me", "me@a.example"))


class MatchSubjectTests(SynchronousTestCase):
    """All checks of a policy against a certificate."""

    def leaf(self, **names: Any) -> LeafFacts:
        """A certificate with the given names."""
        return LeafFacts("CN=x", b"x", b"k", NOW - DAY, NOW + DAY, **names)

    def policy(self, **checks: Any) -> VerificationPolicy:
        """A policy with the given checks."""
        return VerificationPolicy(True, True, True, **checks)

    def test_no_checks(self) -> None:
        """Without checks every subject will do."""
        self.assertEqual(match_subject(self.policy(), self.leaf()), (CERT_NO_SUBJECT_CHECKS, ()))

    def test_common_name_stands_in(self) -> None:
        """The common name is looked at only when there is no DNS name at all."""
        policy = self.policy(hosts=("a.example",))
        found = match_subject(policy, self.leaf(common_names=("a.example",)))
        self.assertEqual(found, (CERT_HOST_MATCHED, ("a.example", "a.example")))
        leaf = self.leaf(common_names=("a.example",), dns_names=("b.example",))
        self.assertIsNone(match_subject(policy, leaf))

    def test_any_host(self) -> None:
        """One of several hosts against one of several names is enough."""
        policy = self.policy(hosts=("a.example", "b.example"))
        leaf = self.leaf(dns_names=("c.example", "*.b.example", "b.example"))
        self.assertEqual(
            match_subject(policy, leaf), (CERT_HOST_MATCHED, ("b.example", "b.example"))
        )

    def test_email(self) -> None:
        """A mail address is enough where the host is not right."""
        policy = self.policy(hosts=("a.example",), emails=("x@a.example", "me@a.example"))
        found = match_subject(policy, self.leaf(emails=("me@a.example",)))
        self.assertEqual(found, (CERT_EMAIL_MATCHED, ("me@a.example",)))

    def test_address(self) -> None:
        """Addresses are compared as values, each family with its own kind."""
        address = ip_address("2001:db8::1")
        policy = self.policy(addresses=(ip_address("10.0.0.1"), address))
        same = self.leaf(addresses=(ip_address("2001:db8:0:0:0:0:0:1"),))
        self.assertEqual(match_subject(policy, same), (CERT_IP_MATCHED, (address,)))
        other = self.leaf(addresses=(ip_address("::ffff:10.0.0.1"),), dns_names=("10.0.0.1",))
        self.assertIsNone(match_subject(policy, other))

    def test_rules(self) -> None:
        """Each access rule looks at its own part of the certificate, and at no other."""
        parts = {
            "common_names": ("common_names", "CN"),
            "units": ("units", "OU"),
            "organizations": ("organizations", "O"),
            "dns_names": ("dns_names", "DNS name"),
            "uris": ("uris", "URI"),
        }
        for rule, (_, word) in parts.items():
            policy = self.policy(**{rule: ("other", "web")})
            for part in parts:
                found = match_subject(policy, self.leaf(**{part: ("db", "web")}))
                expected = (CERT_RULE_MATCHED, (word, "web", "web")) if part == rule else None
                self.assertEqual(found, expected, (rule, part))

    def test_rules_and_checks(self) -> None:
        """One match among all kinds is enough."""
        policy = self.policy(hosts=("a.example",), units=("ops*",), uris=("spiffe://td/*",))
        self.assertIsNotNone(match_subject(policy, self.leaf(units=("ops-2",))))
        self.assertIsNotNone(match_subject(policy, self.leaf(uris=("spiffe://td/x",))))
        self.assertIsNotNone(match_subject(policy, self.leaf(dns_names=("a.example",))))
        self.assertIsNone(match_subject(policy, self.leaf(organizations=("ops",))))

    def test_dns_rule_ignores_the_common_name(self) -> None:
        """A rule about DNS names has no fall-back."""
        policy = self.policy(dns_names=("a.example",))
        self.assertIsNone(match_subject(policy, self.leaf(common_names=("a.example",))))

    def test_spiffe_identity_stands_alone(self) -> None:
        """A certificate with two URIs has no SPIFFE identity; other URIs may be many."""
        two = self.leaf(uris=("spiffe://td/a", "https://a.example/"))
        self.assertIsNone(match_subject(self.policy(uris=("spiffe://td/a",)), two))
        self.assertIsNotNone(match_subject(self.policy(uris=("https://a.example/",)), two))
