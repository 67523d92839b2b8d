"""Tests of distinguished names as text."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.names import distinguished_name


def name(*rdns: tuple[tuple[x509.ObjectIdentifier, str], ...]) -> x509.Name:
    """A name of the given RDNs."""
    return x509.Name(
        x509.RelativeDistinguishedName(x509.NameAttribute(*part) for part in rdn) for rdn in rdns
    )


class DistinguishedNameTests(SynchronousTestCase):
    """The form that stunnel logs."""

    def test_order_and_short_names(self) -> None:
        """Attributes keep the certificate's order under their short names."""
        subject = name(
            ((NameOID.COUNTRY_NAME, "PL"),),
            ((NameOID.STATE_OR_PROVINCE_NAME, "M"),),
            ((NameOID.LOCALITY_NAME, "W"),),
            ((NameOID.ORGANIZATION_NAME, "Stunnel Developers"),),
            ((NameOID.ORGANIZATIONAL_UNIT_NAME, "U"),),
            ((NameOID.COMMON_NAME, "client"),),
            ((NameOID.EMAIL_ADDRESS, "a@b.example"),),
            ((NameOID.DOMAIN_COMPONENT, "example"),),
        )
        self.assertEqual(
            distinguished_name(subject),
            "C=PL, ST=M, L=W, O=Stunnel Developers, OU=U, CN=client, "
            "emailAddress=a@b.example, DC=example",
        )

    def test_special_characters_are_quoted(self) -> None:
        """A value with a special character stands in double quotes."""
        for value, text in (
            ("Org, Inc", '"Org, Inc"'),
            ("a+b", '"a+b"'),
            ("a<b>", '"a<b>"'),
            ("a;b", '"a;b"'),
            (" a", '" a"'),
            ("a ", '"a "'),
            ("#a", '"#a"'),
            ("a#b", "a#b"),
            ("a b", "a b"),
            ('say "x"', '"say \\"x\\""'),
            ("a\\b", '"a\\\\b"'),
        ):
            self.assertEqual(
                distinguished_name(name(((NameOID.COMMON_NAME, value),))), f"CN={text}"
            )

    def test_several_attributes_in_one_rdn(self) -> None:
        """A plus sign joins the attributes of one RDN."""
        subject = name(((NameOID.COMMON_NAME, "a"), (NameOID.USER_ID, "b")))
        self.assertEqual(set(distinguished_name(subject).split(" + ")), {"CN=a", "UID=b"})

    def test_unicode_stays(self) -> None:
        """UTF-8 is not escaped; control characters are."""
        subject = name(((NameOID.COMMON_NAME, "Zażółć\n"),))
        self.assertEqual(distinguished_name(subject), "CN=Zażółć\\0A")

    def test_unknown_attribute(self) -> None:
        """An attribute type without a short name shows its number."""
        subject = name(((x509.ObjectIdentifier("1.2.3.4"), "x"),))
        self.assertEqual(distinguished_name(subject), "1.2.3.4=x")

    def test_empty(self) -> None:
        """An empty name is an empty text."""
        self.assertEqual(distinguished_name(x509.Name([])), "")
