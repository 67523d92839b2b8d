"""Tests of stunnel_tx.service.tls_options: options to policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.loader import examine, text_source
from stunnel_tx.errors import OperatingError
from stunnel_tx.service.build import tls_policy
from stunnel_tx.service.tls_options import place_of_fault
from stunnel_tx.tls.errors import ContextRefused, FileUnusable
from stunnel_tx.tls.policy import COMPATIBLE_CIPHERS, DEFAULT_CIPHERS
from stunnel_tx.tls.profiles import PROFILES

if TYPE_CHECKING:
    from stunnel_tx.configuration.model import Settings
    from stunnel_tx.tls.policy import TLSPolicy

PIN = "A" * 43 + "="


def settings_of(*lines: str, client: bool = False) -> Settings:
    """The settings of a service with *lines*, from line 5 on."""
    head = ["[x]", "accept = 1", "connect = 2", "client = yes" if client else "cert = c.pem"]
    text = "\n".join([*head, *lines, ""])
    result = examine(text_source(text.encode(), "f"))
    if result.errors:
        raise AssertionError(result.errors)
    assert result.configuration is not None
    return result.configuration.services[0]


def policy_of(*lines: str, client: bool = False) -> TLSPolicy:
    """Their TLS policy."""
    return tls_policy(settings_of(*lines, client=client))


class AlgorithmTests(SynchronousTestCase):
    """What wins where several options say the same."""

    def test_defaults(self) -> None:
        """The strict list, and on servers our own order but for ChaCha20."""
        policy = policy_of()
        self.assertEqual(policy.ciphers, DEFAULT_CIPHERS)
        self.assertTrue(policy.options_set & SSL.OP_CIPHER_SERVER_PREFERENCE)
        client = policy_of(client=True)
        self.assertFalse(client.options_set & SSL.OP_CIPHER_SERVER_PREFERENCE)

    def test_old_peers(self) -> None:
        """Who lets in older versions or keys gets stunnel's list with them."""
        for line in ("sslVersion = TLSv1", "sslVersionMin = TLSv1.1", "securityLevel = 0"):
            self.assertEqual(policy_of(line).ciphers, COMPATIBLE_CIPHERS, line)
            self.assertEqual(policy_of(line, "ciphers = AES128-SHA").ciphers, "AES128-SHA")
        self.assertEqual(policy_of("sslVersionMin = TLSv1.3").ciphers, DEFAULT_CIPHERS)

    def test_old_peers_by_command(self) -> None:
        """The same with config commands, which replace the options."""
        policy = policy_of("config = MinProtocol:TLSv1")
        self.assertEqual((policy.ciphers, policy.min_version), (COMPATIBLE_CIPHERS, 0x0301))
        policy = policy_of("sslVersionMin = TLSv1", "config = MinProtocol:TLSv1.2")
        self.assertEqual(policy.ciphers, DEFAULT_CIPHERS)
        policy = policy_of("config = CipherString:HIGH:@SECLEVEL=1")
        self.assertEqual((policy.ciphers, policy.security_level), ("HIGH:@SECLEVEL=1", 2))
        self.assertFalse(policy.options_set & SSL.OP_CIPHER_SERVER_PREFERENCE)

    def test_profiles(self) -> None:
        """A profile sets all it has, and an option of its own wins over it."""
        for name, profile in PROFILES.items():
            policy = policy_of(f"tlsProfile = {name}")
            found = policy.min_version, policy.ciphers, policy.groups, policy.security_level
            wanted = (
                *(profile.min_version, profile.ciphers, profile.groups),
                profile.security_level,
            )
            self.assertEqual(found, wanted)
        policy = policy_of(
            *("tlsProfile = old", "sslVersionMin = TLSv1.2", "ciphers = HIGH", "curves = P-256"),
            *("securityLevel = 3", "ciphersuites = TLS_AES_128_GCM_SHA256"),
        )
        self.assertEqual(
            (policy.min_version, policy.ciphers, policy.groups), (0x0303, "HIGH", "P-256")
        )
        self.assertEqual(policy.security_level, 3)
        self.assertEqual(policy.ciphersuites, "TLS_AES_128_GCM_SHA256")

    def test_old_profile_has_an_order(self) -> None:
        """With tlsProfile = old a server chooses, as the guidelines say; else the client."""
        for name, wanted in (("old", True), ("intermediate", False)):
            policy = policy_of(f"tlsProfile = {name}")
            self.assertEqual(bool(policy.options_set & SSL.OP_CIPHER_SERVER_PREFERENCE), wanted)

    def test_commands(self) -> None:
        """A config command wins over everything else."""
        policy = policy_of(
            *("tlsProfile = old", "ciphers = HIGH", "options = NO_TICKET"),
            *("config = CipherString:ALL", "config = MinProtocol:TLSv1.3"),
            *("config = SignatureAlgorithms:ECDSA+SHA256", "config = Options:SessionTicket"),
        )
        self.assertEqual((policy.ciphers, policy.min_version), ("ALL", 0x0304))
        self.assertEqual(policy.signature_algorithms, "ECDSA+SHA256")
        self.assertEqual(
            policy.commanded, frozenset({"ciphers", "min_version", "signature_algorithms"})
        )
        self.assertFalse(policy.options_set & SSL.OP_NO_TICKET)
        self.assertTrue(policy.options_clear & SSL.OP_NO_TICKET)


class PeerTests(SynchronousTestCase):
    """Trust, revocation and rules."""

    def test_pins(self) -> None:
        """pinSHA256 insists on a certificate unless requireCert = no says otherwise."""
        table: dict[tuple[str, ...], tuple[bool, bool]] = {
            (): (True, True),
            ("requireCert = no",): (True, False),
            ("requireCert = yes",): (True, True),
            ("verify = 1", "CAfile = ca"): (True, False),
            ("verifyChain = yes", "CAfile = ca"): (True, True),
        }
        for lines, wanted in table.items():
            policy = policy_of(f"pinSHA256 = {PIN}", *lines).verification
            self.assertEqual((policy.request, policy.require), wanted, lines)
            self.assertEqual(policy.key_pins, (bytes(32),))

    def test_rules(self) -> None:
        """Each option of a rule ends up in its own field."""
        policy = policy_of(
            *("verifyChain = yes", "CAfile = ca", "checkCN = a", "checkOU = b", "checkO = c"),
            *("checkDNS = d", "checkURI = spiffe://e/*", "checkIP = 192.0.2.1"),
        ).verification
        self.assertEqual(
            (policy.common_names, policy.units, policy.organizations), (("a",), ("b",), ("c",))
        )
        self.assertEqual((policy.dns_names, policy.uris), (("d",), ("spiffe://e/*",)))
        self.assertEqual([str(each) for each in policy.addresses], ["192.0.2.1"])

    def test_trust(self) -> None:
        """The word system stands for a store, in either option, beside files."""
        table: dict[tuple[str, ...], tuple[str | None, str | None, bool]] = {
            ("CAfile = system",): (None, None, True),
            ("CAfile = ./system",): ("./system", None, False),
            ("CAfile = f", "CApath = d", "CAstore = system"): ("f", "d", True),
        }
        for lines, wanted in table.items():
            trust = policy_of(*lines).trust
            self.assertEqual((trust.ca_file, trust.ca_path, trust.system), wanted)
        trust = tls_policy(settings_of("CApath = d"), "/jail").trust
        self.assertEqual(trust.chroot, "/jail")

    def test_revocation(self) -> None:
        """File, directory and depth."""
        policy = policy_of(
            *("verifyChain = yes", "CAfile = ca", "CRLfile = f", "CRLpath = d"),
            "CRLcheckChain = yes",
        ).revocation
        self.assertEqual((policy.crl_file, policy.crl_path, policy.whole_chain), ("f", "d", True))

    def test_keys(self) -> None:
        """Files of secrets, in both directions."""
        policy = policy_of("PSKsecrets = p", "PSKidentity = me", "keyLog = k", client=True)
        self.assertEqual((policy.psk_file, policy.psk_identity, policy.key_log), ("p", "me", "k"))


class PlaceTests(SynchronousTestCase):
    """The line that is to blame."""

    def place(self, error: Exception, *lines: str) -> str:
        """Where an error is said to come from."""
        return str(place_of_fault(settings_of(*lines), error))

    def wrapped(self, path: str) -> ContextRefused:
        """An error about a file, as a context reports it."""
        error = ContextRefused("x", "why")
        error.__cause__ = FileUnusable(path, "what")
        return error

    def test_file_in_a_directory(self) -> None:
        """The line that names the directory, also below a root directory to be changed to."""
        lines = ("CApath = /ca/", "CRLpath = crl")
        for path, place in (("/ca/x.0", "f:5"), ("/jail/ca/x.0", "f:5"), ("crl/x.r0", "f:6")):
            self.assertEqual(self.place(self.wrapped(path), *lines), place, path)
        self.assertNotEqual(self.place(self.wrapped("/ca/deeper/x.0"), *lines), "f:5")

    def test_files(self) -> None:
        """The line that names the file, among several of a list too."""
        lines = ("cert = d.pem", "CRLfile = crl", "config = DHParameters:dh")
        self.assertEqual(self.place(self.wrapped("crl"), *lines), "f:6")
        self.assertEqual(self.place(self.wrapped("d.pem"), "cert = e.pem", *lines), "f:6")
        self.assertEqual(self.place(self.wrapped("dh"), *lines), "f:7")

    def test_values(self) -> None:
        """The line of the option that the text names, else that of the certificate."""
        self.assertEqual(
            self.place(ContextRefused("x", "no cipher match in 'ciphers': X"), "ciphers = X"), "f:5"
        )
        lines = (
            *("curves = X25519", "config = Groups:a", "config = CipherString:b"),
            *("config = Curves:c", "config = Options:Bugs"),
        )
        error = ContextRefused("x", "Invalid groups list in 'config = Groups': c")
        self.assertEqual(self.place(error, *lines), "f:8")
        error = ContextRefused("x", "no cipher match in 'config = CipherString': b")
        self.assertEqual(self.place(error, *lines), "f:7")
        self.assertEqual(self.place(OperatingError("setuid: no user"), "setuid = u"), "f:5")
        self.assertEqual(self.place(ContextRefused("x", "why")), "f:4")

    def test_elsewhere(self) -> None:
        """What has nothing to do with a line of these has no place."""
        self.assertEqual(self.place(OperatingError("no such host")), "None")
