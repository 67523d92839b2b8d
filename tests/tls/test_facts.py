"""Tests of taking a certificate's facts out of it."""

from __future__ import annotations

from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtensionOID, NameOID
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.facts import leaf_facts
from tests.doubles.certificates import DAY, NOW, name_of, new_key, self_signed


class LeafFactsTests(SynchronousTestCase):
    """What the verdict gets to see."""

    def test_names(self) -> None:
        """Alternative names are sorted by kind, the subject's parts stand beside them."""
        cert = self_signed("cn", ["a.example", "10.0.0.1", "::1", "me@a.example", "*.b"]).cert
        facts = leaf_facts(cert)
        self.assertEqual(facts.name, "CN=cn")
        self.assertEqual(facts.dns_names, ("a.example", "*.b"))
        self.assertEqual(facts.common_names, ("cn",))
        self.assertEqual(facts.emails, ("me@a.example",))
        self.assertEqual(facts.addresses, (ip_address("10.0.0.1"), ip_address("::1")))

    def test_without_alternative_names(self) -> None:
        """A certificate without the extension has empty tuples."""
        facts = leaf_facts(self_signed("cn").cert)
        self.assertEqual((facts.dns_names, facts.emails, facts.addresses), ((), (), ()))

    def test_email_in_the_subject(self) -> None:
        """An address in the subject counts as well."""
        attributes = [x509.NameAttribute(NameOID.EMAIL_ADDRESS, "me@a.example")]
        self.assertEqual(leaf_facts(self.certificate(attributes)).emails, ("me@a.example",))

    def test_validity_and_identity(self) -> None:
        """Validity is in UTC; same key means same SPKI, same name means same subject."""
        one = self_signed("a", not_before=NOW - DAY, not_after=NOW + DAY)
        two = self_signed("a", key=one.key)
        three = self_signed("b")
        facts = [leaf_facts(each.cert) for each in (one, two, three)]
        self.assertEqual((facts[0].not_before, facts[0].not_after), (NOW - DAY, NOW + DAY))
        self.assertEqual(facts[0].spki, facts[1].spki)
        self.assertEqual(facts[0].subject, facts[1].subject)
        self.assertNotEqual(facts[0].spki, facts[2].spki)
        self.assertNotEqual(facts[0].subject, facts[2].subject)

    def test_names_of_rules(self) -> None:
        """Units, organizations and URIs are there for the access rules."""
        attributes = [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "one"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "two"),
        ]
        uri = x509.UniformResourceIdentifier("spiffe://td/a")
        names = x509.SubjectAlternativeName([uri, x509.DNSName("a.example")])
        facts = leaf_facts(self.certificate(attributes, names))
        self.assertEqual(facts.organizations, ("Example",))
        self.assertEqual(facts.units, ("one", "two"))
        self.assertEqual(facts.uris, ("spiffe://td/a",))

    def test_issuer_and_serial(self) -> None:
        """Issuer and serial number are what a revocation list goes by."""
        facts = leaf_facts(self.certificate([]))
        self.assertEqual(facts.issuer, name_of("issuer").public_bytes())
        self.assertEqual(facts.serial, 1)

    def test_unreadable_alternative_names(self) -> None:
        """Names that cannot be parsed must not give way to the common name."""
        broken = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x05ab")
        self.assertRaises(ValueError, leaf_facts, self.certificate([], broken))

    def certificate(
        self, attributes: list[x509.NameAttribute[str]], extension: x509.ExtensionType | None = None
    ) -> x509.Certificate:
        """A certificate with these subject attributes and this extension."""
        key = new_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(attributes))
            .issuer_name(name_of("issuer"))
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(NOW)
            .not_valid_after(NOW + DAY)
        )
        if extension is not None:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(key, hashes.SHA256())
