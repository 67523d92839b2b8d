"""Tests of the policy values: what cannot be evaluated cannot be made."""

from __future__ import annotations

from typing import Any

from attrs.exceptions import FrozenInstanceError
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.policy import (
    RevocationPolicy,
    Role,
    TLSPolicy,
    TrustPolicy,
    VerificationPolicy,
)


class VerificationPolicyTests(SynchronousTestCase):
    """What may be asked of a peer."""

    def test_nothing_by_default(self) -> None:
        """Without options no certificate is requested and none is turned down."""
        policy = VerificationPolicy()
        self.assertFalse(policy.request)
        self.assertFalse(policy.evaluates)

    def test_chain_or_pin_evaluates(self) -> None:
        """Only chain and pin can turn a certificate down."""
        self.assertTrue(VerificationPolicy(True, True, True).evaluates)
        self.assertTrue(VerificationPolicy(True, True, False, True).evaluates)
        self.assertFalse(VerificationPolicy(True, True).evaluates)

    def test_inspects(self) -> None:
        """The chain alone is the library's business; names and pins are ours."""
        self.assertFalse(VerificationPolicy(True, True, True).inspects)
        self.assertTrue(VerificationPolicy(True, True, False, True).inspects)
        self.assertTrue(VerificationPolicy(True, True, True, emails=("a@b",)).inspects)

    def test_contradictions(self) -> None:
        """A combination that can never be evaluated is refused when it is made."""
        rows: tuple[dict[str, Any], ...] = (
            {"require": True},
            {"chain": True},
            {"pin": True},
            {"request": True, "require": True, "hosts": ("a.example",)},
            {"request": True, "chain": True, "hosts": ("",)},
            {"request": True, "chain": True, "emails": ("",)},
            {"request": True, "chain": True, "uris": ("",)},
            {"request": True, "require": True, "units": ("a",)},
            {"request": True, "key_pins": (b"short",)},
            {"key_pins": (bytes(32),)},
        )
        for row in rows:
            self.assertRaises(ValueError, VerificationPolicy, **row)


class SourcesTests(SynchronousTestCase):
    """Where certificates and lists come from."""

    def test_empty(self) -> None:
        """Any source at all makes trust, and lists, that are not empty."""
        self.assertTrue(TrustPolicy().empty)
        for trust in (TrustPolicy("f"), TrustPolicy(ca_path="d"), TrustPolicy(system=True)):
            self.assertFalse(trust.empty)
        self.assertTrue(RevocationPolicy().empty)
        self.assertFalse(RevocationPolicy(crl_path="d").empty)

    def test_chain_without_lists(self) -> None:
        """The chain is looked up in lists, so there must be some."""
        self.assertRaises(ValueError, RevocationPolicy, whole_chain=True)


class TLSPolicyTests(SynchronousTestCase):
    """What one service may want."""

    def test_contradictions(self) -> None:
        """Values out of range are refused when they are put together."""
        rows: tuple[dict[str, Any], ...] = (
            {"role": Role.SERVER},
            {"role": Role.SERVER, "certificate_files": ("c",), "server_name": "a.example"},
            {"role": Role.CLIENT, "min_version": 0x0304, "max_version": 0x0303},
            {"role": Role.CLIENT, "security_level": 6},
            {"role": Role.CLIENT, "security_level": -1},
            {"role": Role.CLIENT, "session_timeout": -1},
            {"role": Role.CLIENT, "alpn": (b"",)},
            {"role": Role.CLIENT, "alpn": (b"x" * 256,)},
            {"role": Role.CLIENT, "alpn": (b"x" * 255,) * 256},
            {"role": Role.CLIENT, "alpn_required": True},
            {"role": Role.CLIENT, "redirect": True},
            {"role": Role.SERVER, "certificate_files": ("c",), "redirect": True},
            {"role": Role.SERVER, "certificate_files": ("c",), "identity_files": ("i",)},
            {"role": Role.CLIENT, "verification": VerificationPolicy(True, True, True)},
        )
        for row in rows:
            self.assertRaises(ValueError, TLSPolicy, "s", **row)

    def test_keys_for_certificates(self) -> None:
        """Pre-shared keys make up for a server's certificate, key pins for trusted ones."""
        TLSPolicy("s", Role.SERVER, psk_file="f")
        TLSPolicy("s", Role.CLIENT, verification=VerificationPolicy(True, key_pins=(bytes(32),)))

    def test_open_upper_bound(self) -> None:
        """0 as highest version leaves the bound to the library."""
        self.assertEqual(TLSPolicy("s", Role.CLIENT, min_version=0x0304).max_version, 0)

    def test_values(self) -> None:
        """Equal policies are one key, and nobody changes them."""
        policy = TLSPolicy("s", Role.CLIENT)
        self.assertEqual({policy: 1}[TLSPolicy("s", Role.CLIENT)], 1)
        self.assertRaises(FrozenInstanceError, setattr, policy, "service", "t")

    def test_trust_is_empty_without_sources(self) -> None:
        """One source is enough not to be empty."""
        self.assertTrue(TrustPolicy().empty)
        self.assertFalse(TrustPolicy("bundle.pem").empty)
        self.assertFalse(TrustPolicy(ca_path="certs").empty)
