"""Tests of what a context makes of the finer settings, as far as the other end can see it."""

from __future__ import annotations

import warnings
from typing import Any

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from OpenSSL import SSL

from stunnel_tx.tls import pem, trust
from stunnel_tx.tls.policy import TrustPolicy, VerificationPolicy
from tests.tls.rsa_server import RSAServerTestCase


class TrustTests(RSAServerTestCase):
    """The system's store, and noise from it."""

    def test_system_store(self) -> None:
        """What the system trusts is trusted, and nobody else."""
        store = self.directory / "store.pem"
        self.root.pem(store)
        self.patch(trust, "SYSTEM_STORES", (str(store),))
        verification = VerificationPolicy(True, True, True, hosts=("a.example",))
        values: dict[str, Any] = {"trust": TrustPolicy(system=True), "verification": verification}
        used: list[SSL.Context] = []

        def load_defaults(context: SSL.Context) -> None:
            used.append(context)
            context.load_verify_locations(str(store))

        self.patch(SSL.Context, "set_default_verify_paths", load_defaults)
        self.assertTrue(self.meet(self.server(), **values).accepted)
        self.assertEqual(len(used), 1)

    def test_key_pin_needs_no_root(self) -> None:
        """A pinned key is trusted without any certificate to compare with."""
        from hashlib import sha256

        from stunnel_tx.tls.facts import leaf_facts

        digest = sha256(leaf_facts(self.issued.cert).spki).digest()
        for pin, good in ((digest, True), (bytes(32), False)):
            verification = VerificationPolicy(True, True, key_pins=(pin,))
            meeting = self.meet(self.server(), verification=verification)
            self.assertEqual(meeting.accepted, good)

    def test_no_warnings(self) -> None:
        """What cryptography thinks of a certificate is not printed while a store is read."""

        def load(_text: bytes) -> None:
            warnings.warn("odd serial number", CryptographyDeprecationWarning, stacklevel=1)

        self.patch(x509, "load_pem_x509_certificate", load)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pem.certificate_of(pem.Block("CERTIFICATE", b""))
        self.assertEqual(caught, [])
