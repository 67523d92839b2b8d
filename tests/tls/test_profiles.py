"""Tests of the ready-made profiles: what they are made of works in the library."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.binding.contexts import set_groups
from stunnel_tx.tls.profiles import PROFILES

#: The lists of the guidelines, with OpenSSL's names: 6.0 for the first two, 5.8 for the third.
GUIDELINES = {
    "modern": "",
    "intermediate": (
        "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 "
        "ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305"
    ),
    "old": (
        "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 "
        "ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305 "
        "ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256 ECDHE-ECDSA-AES128-SHA "
        "ECDHE-RSA-AES128-SHA ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384 "
        "ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA AES128-GCM-SHA256 AES256-GCM-SHA384 "
        "AES128-SHA256 AES256-SHA256 AES128-SHA AES256-SHA DES-CBC3-SHA"
    ),
}
SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"


class ProfileTests(SynchronousTestCase):
    """The three of Mozilla's recommendations."""

    def ciphers(self, name: str) -> list[str]:
        """The TLS 1.2 ciphers that the library makes of a profile."""
        context = SSL.Context(SSL.TLS_METHOD)
        profile = PROFILES[name]
        context.set_cipher_list(f"{profile.ciphers}:@SECLEVEL={profile.security_level}".encode())
        names = SSL.Connection(context, None).get_cipher_list()
        return [each for each in names if not each.startswith("TLS_")]

    def test_names(self) -> None:
        """They bear the names that Mozilla gives them."""
        self.assertEqual(set(PROFILES), {"modern", "intermediate", "old"})

    def test_guidelines(self) -> None:
        """They are what the guidelines say, order included."""
        for name, ciphers in GUIDELINES.items():
            profile = PROFILES[name]
            if name != "modern":
                self.assertEqual(profile.ciphers.split(":"), ciphers.split(), name)
            self.assertEqual(profile.ciphersuites, SUITES, name)
            self.assertEqual(profile.groups, "X25519MLKEM768:X25519:P-256:P-384", name)
            self.assertEqual(profile.server_preference, name == "old", name)
        versions = [PROFILES[name].min_version for name in GUIDELINES]
        self.assertEqual(versions, [0x0304, 0x0303, 0x0301])

    def test_ciphers_are_known(self) -> None:
        """The library knows every cipher of the two safer ones; triple DES may be gone."""
        for name, missing in (
            ("modern", set()),
            ("intermediate", set()),
            ("old", {"DES-CBC3-SHA"}),
        ):
            wanted = set(PROFILES[name].ciphers.split(":"))
            self.assertLessEqual(wanted - set(self.ciphers(name)), missing, name)

    def test_safe_ones(self) -> None:
        """Forward secrecy and authenticated encryption, from TLS 1.2 on, but for old."""
        for name in ("modern", "intermediate"):
            self.assertGreaterEqual(PROFILES[name].min_version, 0x0303)
            for cipher in self.ciphers(name):
                self.assertRegex(cipher, r"^ECDHE-.*(GCM|POLY1305)")

    def test_groups(self) -> None:
        """The hybrid group leads, and the library knows them all."""
        for profile in PROFILES.values():
            self.assertTrue(profile.groups.startswith("X25519MLKEM768:"))
            rest = profile.groups.partition(":")[2]
            self.assertTrue(set_groups(SSL.Context(SSL.TLS_METHOD), rest))
