"""Tests of what a context makes of the finer settings, as far as the other end can see it."""

from __future__ import annotations

import base64
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.utils import CryptographyDeprecationWarning
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError
from stunnel_tx.tls import pem, trust
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.policy import Role, TLSPolicy, TrustPolicy, VerificationPolicy
from stunnel_tx.tls.profiles import PROFILES
from tests.doubles.certificates import Authority
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from stunnel_tx.tls.handshake import TLSContext

TLS_1_2 = 0x0303

#: The 2048-bit prime of RFC 7919 §A.1, which takes no time to make.
_FFDHE2048 = int(
    "FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1D8B9C583CE2D3695A9E13641146433FBCC939DCE249B"
    "3EF97D2FE363630C75D8F681B202AEC4617AD3DF1ED5D5FD65612433F51F5F066ED0856365553DED1AF3B557135E"
    "7F57C935984F0C70E0E68B77E2A689DAF3EFE8721DF158A136ADE73530ACCA4F483A797ABC0AB182B324FB61D108"
    "A94BB2C8E3FBB96ADAB760D7F4681D4F42A3DE394DF4AE56EDE76372BB190B07A7C8EE0A6D709E02FCE1CDF7E2EC"
    "C03404CD28342F619172FE9CE98583FF8E4F1232EEF28183C3FE3B1B4C6FAD733BB5FCBC2EC22005C58EF1837D16"
    "83B2C6F34A26C1B2EFFA886B423861285C97FFFFFFFFFFFFFFFF",
    16,
)


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    """An RSA key, made once: it takes long."""
    return rsa.generate_private_key(65537, 2048)


class PolicyTestCase(SynchronousTestCase):
    """A server with an RSA certificate, so that every kind of cipher can be had."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.log = Recording()
        self.root = Authority("Root")
        self.issued = self.root.issue("server", ["a.example"], key=rsa_key())
        self.cert = Path(self.issued.pem(self.directory / "server.pem"))

    def server(self, **values: Any) -> TLSContext:
        """A server's context."""
        return self.build(TLSPolicy("s", Role.SERVER, (str(self.cert),), **values))

    def build(self, policy: TLSPolicy) -> TLSContext:
        """A context, logging into the recording."""
        return build_context(policy, self.log.scope, lambda _prompt: None)

    def meet(self, server: TLSContext, **client: Any) -> Meeting:
        """A handshake with a client of the given settings."""
        meeting = Meeting(server, self.build(TLSPolicy("c", Role.CLIENT, **client)))
        self.addCleanup(meeting.close)
        return meeting.shake()

    def cipher(self, meeting: Meeting) -> str:
        """The cipher of an accepted handshake."""
        self.assertTrue(meeting.accepted, (meeting.server.refusal, meeting.client.refusal))
        return meeting.client.context.facts(meeting.client.connection).cipher


class DHTests(PolicyTestCase):
    """Parameters for the older Diffie-Hellman."""

    DHE = "DHE-RSA-AES128-GCM-SHA256"

    def parameters(self) -> bytes:
        """A PEM block of parameters: SEQUENCE of prime and generator (PKCS #3)."""
        prime = b"\x02\x82\x01\x01\0" + _FFDHE2048.to_bytes(256, "big")
        der = b"\x30\x82\x01\x08" + prime + b"\x02\x01\x02"
        text = base64.encodebytes(der)
        return b"-----BEGIN DH PARAMETERS-----\n" + text + b"-----END DH PARAMETERS-----\n"

    def test_in_the_certificate_file(self) -> None:
        """A block beside the certificate is found and used, also with a client of old."""
        self.cert.write_bytes(self.cert.read_bytes() + self.parameters())
        server = self.server(ciphers=self.DHE, max_version=TLS_1_2)
        self.assertIn(f"DH parameters loaded from: {self.cert}", self.log.texts)
        self.assertEqual(self.cipher(self.meet(server, ciphers=self.DHE)), self.DHE)

    def test_without(self) -> None:
        """Without a block a client has to know the groups of a server that has some."""
        groups = "X25519:ffdhe2048:ffdhe3072"
        server = self.server(ciphers=self.DHE, max_version=TLS_1_2, groups=groups)
        self.assertFalse([each for each in self.log.texts if "DH parameters" in each])
        self.assertEqual(self.cipher(self.meet(server, ciphers=self.DHE, groups="")), self.DHE)
        self.assertFalse(self.meet(server, ciphers=self.DHE).accepted)

    def test_in_a_file_of_their_own(self) -> None:
        """The file of the DHParameters command wins; one without parameters is refused."""
        path = self.directory / "dh.pem"
        path.write_bytes(self.parameters())
        self.server(dh_file=str(path))
        self.assertIn(f"DH parameters loaded from: {path}", self.log.texts)
        path.write_bytes(b"nothing\n")
        error = self.assertRaises(OperatingError, self.server, dh_file=str(path))
        self.assertIn(f"{path}: DH parameters: ", str(error))


class AlgorithmTests(PolicyTestCase):
    """Signatures, profiles and levels."""

    def test_signature_algorithms(self) -> None:
        """A list that the other end cannot sign with ends the handshake."""
        good = self.meet(self.server(signature_algorithms="RSA-PSS+SHA256"))
        self.assertTrue(good.accepted)
        bad = self.meet(self.server(), signature_algorithms="ECDSA+SHA256")
        self.assertFalse(bad.accepted)
        error = self.assertRaises(OperatingError, self.server, signature_algorithms="nonsense")
        self.assertIn("config = SignatureAlgorithms:nonsense", str(error))

    def test_profiles(self) -> None:
        """A default client reaches every profile, one with old ciphers only the old one."""
        for name, profile in PROFILES.items():
            server = self.server(
                min_version=profile.min_version,
                ciphers=profile.ciphers,
                ciphersuites=profile.ciphersuites,
                groups=profile.groups,
                security_level=profile.security_level,
            )
            facts = self.meet(server)
            self.assertEqual(self.cipher(facts), "TLS_AES_256_GCM_SHA384")
            group = facts.client.context.facts(facts.client.connection).group
            self.assertEqual(group, "X25519MLKEM768")
            old = self.meet(server, ciphers="AES128-SHA", max_version=TLS_1_2)
            self.assertEqual(old.accepted, name == "old")

    def test_security_levels(self) -> None:
        """An RSA key of 2048 bits is good for level 2, and for no higher one."""
        for level in range(3):
            self.assertTrue(self.meet(self.server(security_level=level)).accepted)
        for level in range(3, 6):
            error = self.assertRaises(OperatingError, self.server, security_level=level)
            self.assertIn("ee key too small", str(error))

    def test_order(self) -> None:
        """With server preference the server's order counts, but for who puts ChaCha20 first."""
        prefer = SSL.OP_CIPHER_SERVER_PREFERENCE | 1 << 21
        server = self.server(options_set=prefer)
        suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"
        self.assertEqual(
            self.cipher(self.meet(server, ciphersuites=suites)), "TLS_AES_256_GCM_SHA384"
        )
        mobile = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
        self.assertEqual(
            self.cipher(self.meet(server, ciphersuites=mobile)), "TLS_CHACHA20_POLY1305_SHA256"
        )


class TrustTests(PolicyTestCase):
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
