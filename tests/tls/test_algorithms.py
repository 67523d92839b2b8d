"""Tests of stunnel_tx.tls.algorithms, as far as the other end can see it."""

from __future__ import annotations

import base64
import os

from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from stunnel_tx.errors import OperatingError
from stunnel_tx.tls import algorithms as module
from stunnel_tx.tls.policy import COMPATIBLE_CIPHERS, DEFAULT_GROUPS
from stunnel_tx.tls.profiles import PROFILES
from tests.tls.rsa_server import RSAServerTestCase

TLS_1_0, TLS_1_2 = 0x0301, 0x0303

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


class DHTests(RSAServerTestCase):
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
        """Without a block DHE works all the same, with clients of old and of today."""
        server = self.server(ciphers=self.DHE, max_version=TLS_1_2)
        self.assertFalse([each for each in self.log.texts if "DH parameters" in each])
        for groups in ("", "X25519:ffdhe2048", "X25519:P-256", DEFAULT_GROUPS):
            meeting = self.meet(server, ciphers=self.DHE, groups=groups)
            self.assertEqual(self.cipher(meeting), self.DHE)

    def test_without_files_in_memory(self) -> None:
        """Where parameters cannot be handed over, clients that name a group are still served."""
        self.patch(module, "_FFDHE2048", b"nothing")
        server = self.server(ciphers=self.DHE, max_version=TLS_1_2)
        self.patch(os, "memfd_create", None)
        del os.memfd_create
        other = self.server(ciphers=self.DHE, max_version=TLS_1_2)
        for each in (server, other):
            self.assertTrue(self.meet(each, ciphers=self.DHE).accepted)
            self.assertFalse(self.meet(each, ciphers=self.DHE, groups="X25519:P-256").accepted)

    def test_clients_that_name_groups(self) -> None:
        """Parameters of a block serve clients that name groups of that kind, too."""
        self.cert.write_bytes(self.cert.read_bytes() + self.parameters())
        for ciphers in (self.DHE, "HIGH"):
            server = self.server(ciphers=ciphers, max_version=TLS_1_2)
            for groups in ("", "X25519:ffdhe2048", "X25519:P-256"):
                meeting = self.meet(server, ciphers=self.DHE, groups=groups)
                self.assertEqual(self.cipher(meeting), self.DHE)

    def test_groups_stay_as_written(self) -> None:
        """The groups are added to our own lists only, and where they are of use."""
        asked: list[str] = []

        def note(_context: SSL.Context, groups: str) -> bool:
            asked.append(groups)
            return True

        self.patch(module, "set_groups", note)
        self.server()
        self.server(ciphers=COMPATIBLE_CIPHERS)
        self.server(ciphers="HIGH", groups="P-256:X25519")
        self.server(ciphers="HIGH:!DHE:!ADH")
        plain = DEFAULT_GROUPS
        self.assertEqual(asked, [plain, plain, "P-256:X25519", plain])
        self.server(ciphers="HIGH", groups=PROFILES["intermediate"].groups)
        self.server(ciphers="")
        added = ":ffdhe2048:ffdhe3072"
        self.assertEqual(asked[4:], [f"{PROFILES['old'].groups}{added}", f"{plain}{added}"])

    def test_from_a_pipe(self) -> None:
        """What comes out of a pipe is read once, and OpenSSL does not wait for more."""
        near, far = os.pipe()
        self.addCleanup(os.close, near)
        os.write(far, self.parameters())
        os.close(far)
        server = self.server(ciphers=self.DHE, max_version=TLS_1_2, dh_file=f"/dev/fd/{near}")
        self.assertEqual(self.cipher(self.meet(server, ciphers=self.DHE)), self.DHE)

    def test_in_a_file_of_their_own(self) -> None:
        """The file of the DHParameters command wins; one without parameters is refused."""
        path = self.directory / "dh.pem"
        path.write_bytes(self.parameters())
        self.server(dh_file=str(path))
        self.assertIn(f"DH parameters loaded from: {path}", self.log.texts)
        path.write_bytes(b"nothing\n")
        error = self.assertRaises(OperatingError, self.server, dh_file=str(path))
        self.assertIn(f"{path}: no DH PARAMETERS block found", str(error))
        path.write_bytes(b"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n")
        error = self.assertRaises(OperatingError, self.server, dh_file=str(path))
        self.assertIn(f"{path}: DH parameters: ", str(error))
        path.unlink()
        error = self.assertRaises(OperatingError, self.server, dh_file=str(path))
        self.assertIn(f"{path}: No such file or directory", str(error))


class AlgorithmTests(RSAServerTestCase):
    """Signatures, profiles and levels."""

    def test_signature_algorithms(self) -> None:
        """A list that the other end cannot sign with ends the handshake."""
        good = self.meet(self.server(signature_algorithms="RSA-PSS+SHA256"))
        self.assertTrue(good.accepted)
        bad = self.meet(self.server(), signature_algorithms="ECDSA+SHA256")
        self.assertFalse(bad.accepted)
        error = self.assertRaises(OperatingError, self.server, signature_algorithms="nonsense")
        self.assertIn("in 'config = SignatureAlgorithms': nonsense", str(error))

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

    def test_level_of_the_ciphers(self) -> None:
        """A level that the list of ciphers names wins over securityLevel, up and down."""
        weak = self.root.issue("weak", ["a.example"], key=rsa.generate_private_key(65537, 1024))
        weak.pem(self.cert)
        for ciphers in ("HIGH:@SECLEVEL=1", "HIGH@SECLEVEL=0"):
            self.server(ciphers=ciphers, security_level=2)
        for ciphers, level in (("HIGH", 2), ("HIGH:@SECLEVEL=2", 0), ("", 2)):
            error = self.assertRaises(
                OperatingError, self.server, ciphers=ciphers, security_level=level
            )
            self.assertIn("ee key too small", str(error))

    def test_level_of_the_ciphers_and_versions(self) -> None:
        """With level 0 in the list of ciphers TLS 1.0 works, and without it does not."""
        old = {"min_version": TLS_1_0, "security_level": 2}
        for ciphers, accepted in (("DEFAULT:@SECLEVEL=0", True), ("DEFAULT", False)):
            server = self.server(ciphers=ciphers, **old)
            meeting = self.meet(server, ciphers="ALL@SECLEVEL=0", max_version=TLS_1_0, **old)
            self.assertEqual(meeting.accepted, accepted)

    def test_blame(self) -> None:
        """An error names the option, or the config command where that was written instead."""
        table = (
            ("ciphers", "ciphers", "CipherString"),
            ("ciphersuites", "ciphersuites", "Ciphersuites"),
            ("groups", "curves", "Groups"),
        )
        for name, option, command in table:
            values = {name: "nonsense"}
            error = self.assertRaises(OperatingError, self.server, **values)
            self.assertIn(f"in '{option}': nonsense", str(error))
            error = self.assertRaises(
                OperatingError, self.server, commanded=frozenset({name}), **values
            )
            self.assertIn(f"in 'config = {command}': nonsense", str(error))

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

    def test_older_library(self) -> None:
        """Where the hybrid group is unknown, the rest of the default list is used."""
        asked: list[str] = []

        def known(_context: SSL.Context, groups: str) -> bool:
            asked.append(groups)
            return "MLKEM" not in groups

        self.patch(module, "set_groups", known)
        self.server()
        self.assertEqual(asked[1], "X25519:P-256:X448:P-521:P-384")
        self.server(groups=PROFILES["intermediate"].groups)
        self.assertEqual(asked[3], "X25519:P-256:P-384")
        self.assertRaises(OperatingError, self.server, groups="X25519MLKEM768:X25519")
