"""Tests of stunnel_tx.configuration.check."""

from __future__ import annotations

import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.check import authentication_warnings, security_warnings
from stunnel_tx.configuration.loader import examine, text_source
from stunnel_tx.configuration.model import Severity

CLIENT = (
    "[x]\nclient = yes\naccept = localhost:80\nconnect = h:443\n"
    "verifyChain = yes\nCAfile = ca\ncheckHost = h\n"
)
BARE_CLIENT = "[x]\nclient = yes\naccept = localhost:80\nconnect = h:443\n"
SERVER = "[x]\ncert = c.pem\naccept = 443\nconnect = 80\n"


def private(path: str) -> int:
    """Say that a file is readable by its owner only."""
    del path
    return stat.S_IFREG | 0o600


def warnings(text: str) -> list[str]:
    """Return the warnings about a text, as the operator sees them."""
    examination = examine(text_source(text.encode(), "f"))
    found = security_warnings(examination.configuration, private)
    assert all(problem.severity is Severity.WARNING and problem.remedy for problem in found)
    return [str(problem) for problem in found]


class WarningCase(SynchronousTestCase):
    """A case that looks for exactly one warning."""

    def assert_warning(self, text: str, *phrases: str) -> None:
        """See that a text has exactly one warning, and that it holds the phrases."""
        (warning,) = warnings(text)
        for phrase in phrases:
            self.assertIn(phrase, warning)


class AuthenticationTests(WarningCase):
    """Whom a service trusts."""

    def test_good(self) -> None:
        """A client that verifies a chain and a name, and a plain server, draw no warning."""
        self.assertEqual(warnings(CLIENT), [])
        self.assertEqual(warnings(SERVER), [])

    def test_none(self) -> None:
        """A client that verifies nothing is warned of in stunnel's words."""
        self.assert_warning(
            BARE_CLIENT, "f:1: Service [x] needs authentication to prevent MITM attacks"
        )
        self.assertEqual(warnings(f"{BARE_CLIENT}PSKsecrets = f\n"), [])

    def test_no_subject(self) -> None:
        """A client that takes any name of a public CA is warned of in stunnel's words."""
        self.assert_warning(
            f"{BARE_CLIENT}verifyChain = yes\nCAfile = ca\n",
            'Service [x] uses "verifyChain" without subject checks',
            'Use "checkHost" or "checkIP" to restrict trusted certificates',
        )

    def test_pinned(self) -> None:
        """A pinned peer needs no name."""
        self.assertEqual(warnings(f"{BARE_CLIENT}verifyPeer = yes\nCAfile = ca\n"), [])

    def test_pinned_key(self) -> None:
        """Neither does one whose key is pinned, with or without a chain; that is no mere asking."""
        pin = f"pinSHA256 = {'A' * 43}=\n"
        self.assertEqual(warnings(f"{BARE_CLIENT}{pin}"), [])
        self.assertEqual(warnings(f"{BARE_CLIENT}{pin}verifyChain = yes\nCAfile = ca\n"), [])
        self.assertEqual(warnings(f"{SERVER}requireCert = yes\n{pin}"), [])

    def test_rules(self) -> None:
        """An access rule is a subject check."""
        verified = f"{BARE_CLIENT}verifyChain = yes\nCAfile = ca\n"
        self.assertEqual(warnings(f"{verified}checkURI = spiffe://td/a\n"), [])

    def test_at_start(self) -> None:
        """The warnings a service gives at its start are those of authentication alone."""
        examination = examine(text_source(f"{BARE_CLIENT}reset = no\n".encode(), "f"))
        (service,) = examination.configuration.services
        (warning,) = authentication_warnings(service)
        self.assertIn("needs authentication", warning.text)

    def test_any_certificate(self) -> None:
        """A server that insists on a certificate and takes any is doubtful."""
        self.assert_warning(f"{SERVER}requireCert = yes\n", "f:5: requireCert", "accepts any")

    def test_optional(self) -> None:
        """Verification that a peer escapes by having no certificate is doubtful."""
        text = f"{SERVER}verifyChain = yes\nCAfile = ca\nrequireCert = no\n"
        self.assert_warning(text, "lets in peers without one")

    def test_verify(self) -> None:
        """The old option verify has a modern form."""
        self.assert_warning(f"{SERVER}verify = 2\nCAfile = ca\n", "f:5: verify: verify is obsolete")

    def test_address_as_host(self) -> None:
        """An IP address is no host name in a certificate."""
        self.assert_warning(
            f"{SERVER}verifyChain = yes\nCAfile = ca\ncheckHost = 192.0.2.1\n",
            "write checkIP = 192.0.2.1",
        )


class TLSTests(WarningCase):
    """Weak TLS."""

    def test_versions(self) -> None:
        """Versions before TLS 1.2 are deprecated."""
        self.assert_warning(f"{SERVER}sslVersionMin = TLSv1\n", "f:5: sslVersionMin", "RFC 8996")
        self.assert_warning(f"{SERVER}sslVersionMax = TLSv1.1\n", "sslVersionMax")
        self.assertEqual(warnings(f"{SERVER}sslVersion = TLSv1.3\n"), [])

    def test_security_level(self) -> None:
        """A level below 2 is weak."""
        self.assert_warning(f"{SERVER}securityLevel = 1\n", "f:5: securityLevel")
        self.assertEqual(warnings(f"{SERVER}securityLevel = 3\n"), [])

    def test_ciphers(self) -> None:
        """Weak ciphers are found where they are added, not where they are taken out."""
        for word in ("RC4-SHA", "ALL", "aNULL", "DES-CBC3-SHA", "DEFAULT@SECLEVEL=0", "EXPORT"):
            self.assert_warning(f"{SERVER}ciphers = HIGH:{word}\n", "weak ciphers", word)
        good = f"{SERVER}ciphers = ECDHE-RSA-AES128-GCM-SHA256:HIGH:!aNULL:!MD5:!RC4:-LOW\n"
        self.assertEqual(warnings(good), [])

    def test_level_in_the_ciphers(self) -> None:
        """A safe level in the list of ciphers makes up for an unsafe securityLevel."""
        for line in ("ciphers = HIGH:@SECLEVEL=2", "config = CipherString:HIGH@SECLEVEL=3"):
            self.assertEqual(warnings(f"{SERVER}securityLevel = 0\n{line}\n"), [])

    def test_commands(self) -> None:
        """What config commands let in is found like what options do, at its own line."""
        for command, phrase in (
            ("CipherString:NULL@SECLEVEL=0", "weak ciphers by NULL@SECLEVEL=0"),
            ("CipherString:HIGH;@SECLEVEL=1", "weak ciphers by @SECLEVEL=1"),
            ("MinProtocol:TLSv1", "RFC 8996"),
            ("MaxProtocol:TLSv1.1", "RFC 8996"),
            ("Options:ClientRenegotiation", "ALLOW_CLIENT_RENEGOTIATION"),
            ("Options:-EncryptThenMac", "NO_ENCRYPT_THEN_MAC"),
        ):
            text = f"{SERVER}config = {command}\nconfig = Groups:P-256\n"
            self.assert_warning(text, "f:5: config", phrase)
        for command in ("CipherString:HIGH:!MD5", "MinProtocol:TLSv1.3", "MaxProtocol:None"):
            self.assertEqual(warnings(f"{SERVER}config = {command}\n"), [])

    def test_flags(self) -> None:
        """Flags that switch protection off are named; cleared again, they are not."""
        line = "options = ALLOW_UNSAFE_LEGACY_RENEGOTIATION\n"
        self.assert_warning(f"{SERVER}{line}", "ALLOW_UNSAFE_LEGACY_RENEGOTIATION")
        cleared = line.replace("= ", "= -")
        self.assertEqual(warnings(f"{SERVER}{line}{cleared}"), [])


class DebuggingTests(WarningCase):
    """What is for old peers, or for debugging only."""

    def test_key_log(self) -> None:
        """A key log gives everything away, which is said once."""
        self.assert_warning(f"{SERVER}keyLog = keys\n", "f:5: keyLog: whoever reads keys")

    def test_old_profile(self) -> None:
        """The profile for old peers is called what it is."""
        self.assert_warning(f"{SERVER}tlsProfile = old\n", "tlsProfile = old lets in TLS 1.0")
        self.assertEqual(warnings(f"{SERVER}tlsProfile = intermediate\n"), [])


class KeyFileTests(WarningCase):
    """Permissions of private keys."""

    def insecure(self, text: str, modes: dict[str, int]) -> list[str]:
        """Return the warnings about file permissions, for files of given modes."""

        def mode_of(path: str) -> int:
            if path not in modes:
                raise FileNotFoundError(path)
            return modes[path]

        configuration = examine(text_source(text.encode(), "f")).configuration
        found = security_warnings(configuration, mode_of)
        return [problem.text for problem in found if "permissions" in problem.text]

    def test_other_users(self) -> None:
        """Any right of other users is too much, and the key file counts before cert."""
        keyed = f"{SERVER}key = k.pem\n"
        for mode in (0o604, 0o602, 0o601):
            found = self.insecure(keyed, {"k.pem": mode, "c.pem": 0o644})
            self.assertEqual(found, ["Insecure file permissions on k.pem"])
        self.assertEqual(self.insecure(keyed, {"k.pem": 0o640, "c.pem": 0o644}), [])

    def test_key_in_cert(self) -> None:
        """Without key, the first cert file holds the key."""
        found = self.insecure(f"{SERVER}cert = d.pem\n", {"c.pem": 0o644, "d.pem": 0o644})
        self.assertEqual(found, ["Insecure file permissions on c.pem"])

    def test_shared_keys(self) -> None:
        """The file of pre-shared keys is looked at beside that of the private key."""
        text = f"{SERVER}PSKsecrets = p\n"
        self.assertEqual(
            self.insecure(text, {"c.pem": 0o644, "p": 0o644}),
            ["Insecure file permissions on c.pem", "Insecure file permissions on p"],
        )
        self.assertEqual(self.insecure(text, {"c.pem": 0o600, "p": 0o600}), [])

    def test_missing(self) -> None:
        """A file that is not there is somebody else's complaint."""
        self.assertEqual(self.insecure(SERVER, {}), [])

    def test_real_file(self) -> None:
        """By default the file system is asked."""
        path = Path(self.mktemp()).absolute()
        path.touch()
        path.chmod(0o644)
        text = SERVER.replace("c.pem", str(path))
        found = security_warnings(examine(text_source(text.encode(), "f")).configuration)
        self.assertEqual([problem.option for problem in found], ["cert"])
        path.chmod(0o600)
        self.assertEqual(
            security_warnings(examine(text_source(text.encode(), "f")).configuration), ()
        )


class LifeTests(WarningCase):
    """Connections and listeners."""

    def test_reset(self) -> None:
        """With reset = no nobody can tell an error from an end."""
        self.assert_warning(f"{SERVER}reset = no\n", "f:5: reset")

    def test_endless(self) -> None:
        """A negative time-out lets a silent peer stay."""
        self.assert_warning(f"{SERVER}TIMEOUTbusy = -1\n", "TIMEOUTbusy = -1")

    def test_open_client(self) -> None:
        """A client's plain side open to every network is doubtful."""
        for accept in ("80", ":::80", "0.0.0.0:80"):
            text = CLIENT.replace("localhost:80", accept)
            self.assert_warning(text, "f:3: accept", "plain connections from every network")

    def test_shared_name(self) -> None:
        """Two services of one name cannot be told apart in the log."""
        other = SERVER.replace("443", "444")
        self.assert_warning(f"{SERVER}{other}", "f:5: Service [x] has the name of the one at f:1")

    def test_shared_address(self) -> None:
        """Two services cannot listen at one address; port 0 is a new port each time."""
        other = SERVER.replace("[x]", "[y]")
        self.assert_warning(f"{SERVER}{other}", "f:7: accept", "taken by service [x]")
        zero = SERVER.replace("443", "localhost:0")
        self.assertEqual(warnings(zero + zero.replace("[x]", "[y]")), [])


class MeaningTests(WarningCase):
    """Lines that do not do what they seem to."""

    def test_replaced_list(self) -> None:
        """A section's list that an older stunnel would have added to the global one."""
        text = SERVER.replace("connect = 80", "connect = 81")
        self.assert_warning(f"connect = 80\n{text}", "f:5: connect", "before stunnel 5.76")
        self.assertEqual(warnings("connect = 80\n[x]\ncert = c\naccept = 443\n"), [])

    def test_wrong_mode(self) -> None:
        """An option of the other mode has no effect; inherited, it is not worth a word."""
        self.assert_warning(f"{SERVER}PSKidentity = me\n", "has no effect in a server service")
        self.assertEqual(warnings(f"PSKidentity = me\n{SERVER}"), [])

    def test_no_choice(self) -> None:
        """An allow list where clients choose nothing does nothing."""
        line = "protocolAllow = 192.0.2.0/24\n"
        self.assert_warning(f"{SERVER}{line}", "protocolAllow has no effect")
        self.assertEqual(warnings(f"{line}{SERVER}"), [])

    def test_connect_where_clients_choose(self) -> None:
        """Stunnel wants a connect line for its HTTP proxy, and nobody uses it."""
        known = "protocolAllow = 192.0.2.0/24\nverifyChain = yes\nCAfile = ca\n"
        text = f"{SERVER}protocol = connect\n{known}"
        self.assert_warning(text, "connect has no effect: clients choose where to go")

    def test_datagram_options(self) -> None:
        """Socket options of UDP do nothing to TCP."""
        self.assert_warning(f"{SERVER}socket = l:UDP_GRO=yes\n", "UDP_GRO has no effect on tcp")

    def test_inetd(self) -> None:
        """In inetd mode the warnings carry that name."""
        self.assert_warning(
            "client = yes\nconnect = h:443\n",
            "Inetd mode needs authentication to prevent MITM attacks",
        )
