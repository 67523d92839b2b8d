"""Tests of stunnel_tx.configuration.rules: each rule, kept and broken."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.loader import examine, text_source
from stunnel_tx.configuration.options import GLOBAL_DEFAULTS
from stunnel_tx.configuration.rules import GLOBAL_RULES, SERVICE_RULES, endpoints_of

CLIENT = "[x]\nclient = yes\naccept = 80\nconnect = h:443\n"
SERVER = "[x]\ncert = c.pem\naccept = 443\nconnect = 80\n"


class RuleCase(SynchronousTestCase):
    """A case that reads whole texts."""

    def complaints(self, text: str) -> list[str]:
        """Return the errors of a text but for those of features that are still missing."""
        errors = examine(text_source(text.encode(), "f")).errors
        return [str(error) for error in errors if "not supported yet" not in error.text]

    def assert_complaint(self, text: str, *phrases: str) -> None:
        """See that a text has exactly one complaint, and that it holds the phrases."""
        (complaint,) = self.complaints(text)
        for phrase in phrases:
            self.assertIn(phrase, complaint)


PIN = "A" * 43 + "="


class EndpointTests(RuleCase):
    """Where connections come from and go to."""

    def test_two(self) -> None:
        """Each of stunnel's pairs of endpoints is accepted."""
        head = "[x]\ncert = c.pem\n"
        for pair in (
            "accept = 1\nconnect = 2",
            "accept = 1\nexec = /bin/cat",
            "accept = 1\ntransparent = destination",
            "accept = 1\nprotocol = socks",
            "exec = /bin/cat\nconnect = 2",
            "accept = 1\naccept = 2\nconnect = 3\nconnect = 4",
        ):
            self.assertEqual(self.complaints(head + pair), [], pair)
        names = f"{SERVER}[y]\ncert = c\nsni = x:*.example.org\nconnect = 81\n"
        self.assertEqual(self.complaints(names), [])

    def test_not_two(self) -> None:
        """One endpoint, three and none are equally wrong, and those found are named."""
        for body, found in {
            "": "none",
            "accept = 1": "accept",
            "connect = 1": "connect",
            "accept = 1\nconnect = 2\nexec = /bin/cat": "accept, connect, exec",
            "accept = 1\nconnect = 2\ntransparent = both": "transparent = both",
            "accept = 1\nprotocol = socks\nconnect = 2": "protocol = socks",
        }.items():
            self.assert_complaint(
                f"[x]\ncert = c\n{body}\n",
                "f:1: Service [x]: Each service must define two endpoints",
                found,
            )

    def test_source_transparency(self) -> None:
        """Keeping the client's address is no endpoint."""
        self.assertEqual(self.complaints(f"{SERVER}transparent = source\n"), [])

    def test_inetd(self) -> None:
        """Without sections there is exactly one endpoint, and it is not accept."""
        self.assertEqual(self.complaints("client = yes\nconnect = 80\n"), [])
        for body in ("", "accept = 80\n", "accept = 80\nconnect = 80\n"):
            self.assert_complaint(
                f"client = yes\n{body}", "Inetd mode: Inetd mode must define one endpoint"
            )


class CertificateTests(RuleCase):
    """What a server and a verifying service cannot do without."""

    def test_server_certificate(self) -> None:
        """A server needs a certificate; a client or pre-shared keys do without."""
        bare = "[x]\naccept = 1\nconnect = 2\n"
        self.assert_complaint(bare, "Service [x]: TLS server needs a certificate")
        self.assertEqual(self.complaints(f"{bare}client = yes\n"), [])
        self.assertEqual(self.complaints(f"{bare}PSKsecrets = f\n"), [])

    def test_trust_anchors(self) -> None:
        """Verification of any kind needs certificates to trust."""
        for line in ("verifyChain = yes", "verifyPeer = yes", "verify = 2"):
            self.assert_complaint(
                f"{CLIENT}{line}\n",
                "f:5: Service [x]: Either",
                '"CAfile", "CApath" or "CAstore" has to be configured',
            )
            self.assertEqual(self.complaints(f"{CLIENT}{line}\nCApath = d\n"), [])
        self.assertEqual(self.complaints(f"{CLIENT}verify = 0\n"), [])

    def test_subject_checks(self) -> None:
        """Checking a name means nothing without verification."""
        for line in ("checkHost = h", "checkEmail = a@b", "checkIP = 192.0.2.1"):
            self.assert_complaint(
                f"{CLIENT}requireCert = yes\n{line}\n",
                'Either "verifyChain" or "verifyPeer" has to be enabled',
            )
            self.assertEqual(self.complaints(f"{CLIENT}verifyPeer=yes\nCAfile=c\n{line}\n"), [])

    def test_rules_of_access(self) -> None:
        """Access rules need a chain or a pin, of either kind, and a pin asks for nothing else."""
        for line in (
            *("checkCN = a", "checkOU = a", "checkO = a", "checkDNS = a"),
            "checkURI = spiffe://a/b",
        ):
            name = line.split()[0]
            self.assert_complaint(
                f"{CLIENT}{line}\n",
                f'Either "verifyChain" or "verifyPeer" has to be enabled for "{name}"',
            )
            self.assertEqual(self.complaints(f"{CLIENT}pinSHA256 = {PIN}\n{line}\n"), [])

    def test_system_store(self) -> None:
        """The system's store is good for chains, and has no copies for verifyPeer."""
        for line in ("CAfile = system", "CAstore = system"):
            self.assertEqual(self.complaints(f"{CLIENT}verifyChain = yes\n{line}\n"), [])
            pinned = f"{CLIENT}verifyPeer = yes\n{line}\n"
            self.assert_complaint(pinned, "verifyPeer compares with local copies")
            self.assertEqual(self.complaints(f"{pinned}CApath = d\n"), [])

    def test_revocation(self) -> None:
        """Revocation is looked up along a verified chain only."""
        verified = f"{CLIENT}verifyChain = yes\nCAfile = c\n"
        for option in ("OCSP = http://h/", "OCSPaia = yes"):
            name = option.split()[0]
            self.assert_complaint(
                f"{CLIENT}{option}\n", f'"verifyChain" has to be enabled for "{name}"'
            )
            self.assertEqual(self.complaints(f"{verified}{option}\n"), [])
        self.assert_complaint(
            f"{CLIENT}CRLfile = f\nCRLcheckChain = yes\n",
            '"verifyChain" has to be enabled for "CRLcheckChain"',
        )
        self.assert_complaint(
            f"{verified}CRLcheckChain = yes\n",
            'Either "CRLfile" or "CRLpath" has to be configured for "CRLcheckChain"',
        )
        self.assertEqual(self.complaints(f"{verified}CRLpath = d\nCRLcheckChain = yes\n"), [])


class VersionTests(RuleCase):
    """TLS versions."""

    def test_modern_profile(self) -> None:
        """The modern profile begins with TLS 1.3, unless a lower bound is given."""
        modern = f"{CLIENT}tlsProfile = modern\nsslVersionMax = TLSv1.2\n"
        self.assert_complaint(modern, "Invalid protocol version range", "tlsProfile = intermediate")
        self.assertEqual(self.complaints(f"{modern}sslVersionMin = TLSv1.2\n"), [])

    def test_range(self) -> None:
        """The highest version must not be below the lowest; all is no bound."""
        wrong = f"{CLIENT}sslVersionMin = TLSv1.3\nsslVersionMax = TLSv1.2\n"
        self.assert_complaint(wrong, "Invalid protocol version range")
        for low, high in (("TLSv1.2", "TLSv1.2"), ("TLSv1.3", "all"), ("all", "TLSv1")):
            text = f"{CLIENT}sslVersionMin = {low}\nsslVersionMax = {high}\n"
            self.assertEqual(self.complaints(text), [])

    def test_range_of_commands(self) -> None:
        """The bounds of config commands count instead of those of the options."""
        for first, second in (
            ("sslVersionMin = TLSv1.3", "config = MaxProtocol:TLSv1.2"),
            ("sslVersionMax = TLSv1.2", "config = MinProtocol:TLSv1.3"),
            ("config = MinProtocol:TLSv1.3", "config = MaxProtocol:TLSv1.2"),
            ("tlsProfile = modern", "config = MaxProtocol:TLSv1.2"),
        ):
            text = f"{CLIENT}{first}\n{second}\n"
            self.assert_complaint(text, "config: ", "Invalid protocol version range")
        for first, second in (
            ("sslVersionMin = TLSv1.3", "config = MinProtocol:TLSv1.2\nsslVersionMax = TLSv1.2"),
            ("sslVersion = TLSv1.2", "config = MaxProtocol:None\nconfig = MinProtocol:TLSv1.3"),
            ("tlsProfile = modern", "sslVersionMax = TLSv1.2\nconfig = MinProtocol:TLSv1.2"),
        ):
            self.assertEqual(self.complaints(f"{CLIENT}{first}\n{second}\n"), [])


class RedirectTests(RuleCase):
    """The option redirect."""

    def test_client(self) -> None:
        """A client has nobody to redirect."""
        self.assert_complaint(
            f"{CLIENT}redirect = 81\n", '"redirect" is unsupported in client sections'
        )

    def test_verification(self) -> None:
        """Redirecting needs a verification that can fail."""
        self.assert_complaint(
            f"{SERVER}redirect = 81\n",
            'Either "verifyChain" or "verifyPeer" has to be enabled for "redirect" to work',
        )
        good = f"{SERVER}redirect = 81\nverifyPeer = yes\nCAfile = c\n"
        self.assertEqual(self.complaints(good), [])

    def test_protocols(self) -> None:
        """A protocol that connects before TLS cannot be redirected afterwards."""
        verified = f"{SERVER}redirect = 81\nverifyPeer = yes\nCAfile = c\n"
        for protocol in ("smtp", "pop3", "imap", "nntp", "sieve", "lmtp", "ftp", "mysql"):
            self.assert_complaint(
                f"{verified}protocol = {protocol}\n",
                '"redirect" is incompatible with the specified protocol negotiation',
            )
        self.assertEqual(self.complaints(f"{verified}protocol = pgsql\n"), [])


class ServerNameTests(RuleCase):
    """The option sni."""

    def secondary(self, line: str) -> str:
        """Return a text with a primary section x, a client c, and a secondary section."""
        client = "[c]\nclient = yes\naccept = 1\nconnect = 2\n"
        return f"{SERVER}{client}[y]\ncert = c\nconnect = 81\nsni = {line}\n"

    def test_format(self) -> None:
        """A server's sni names a section and a pattern."""
        for line in ("www.example.org", "x:", "x: "):
            self.assert_complaint(self.secondary(line), "Invalid SNI parameter format")

    def test_section(self) -> None:
        """The section must stand above, in the same spelling, and be a server."""
        for line in ("X:a", "y:a", "none:a", "c:a"):
            self.assert_complaint(self.secondary(line), "SNI section name not found")
        self.assertEqual(self.complaints(self.secondary("x:a")), [])

    def test_every_line(self) -> None:
        """Each of several lines has to be right."""
        for line in ("x:a\nsni = x:*.b", "x:*\nsni = x:a\nsni = x:c"):
            self.assertEqual(self.complaints(self.secondary(line)), [])
        self.assert_complaint(self.secondary("x:a\nsni = b"), "Invalid SNI parameter format")
        self.assert_complaint(self.secondary("z:a\nsni = x:b"), "SNI section name not found")

    def test_ascii(self) -> None:
        """A pattern that no client can ask for is a mistake."""
        self.assert_complaint(self.secondary("x:b\u00fccher.example"), "Invalid SNI parameter")

    def test_endpoints(self) -> None:
        """A section chosen by name connects somewhere, and does not listen."""
        for lines in ("accept = 9", "accept = 9\nconnect = 8", ""):
            text = f"{SERVER}[y]\ncert = c\nsni = x:a\n{lines}\n"
            self.assert_complaint(text, "Each service must define two endpoints")

    def test_client(self) -> None:
        """A client's sni is a name, or empty."""
        for name in ("", "www.example.org", "x:y"):
            self.assertEqual(self.complaints(f"{CLIENT}sni = {name}\n"), [])


class PathTests(RuleCase):
    """Paths of a daemon."""

    def test_daemon(self) -> None:
        """A daemon's log and pid files need full paths, since it works in /."""
        text = f"output = a.log\npid = a.pid\n{CLIENT}"
        log, pid = self.complaints(text)
        self.assertIn("f:1: output: Global options: Log file must include full path name", log)
        self.assertIn("f:2: pid: Global options: Pid file must include full path name", pid)
        self.assertEqual(self.complaints(f"output = /a.log\npid = /a.pid\n{CLIENT}"), [])
        self.assertEqual(self.complaints(f"pid =\n{CLIENT}"), [])

    def test_foreground(self) -> None:
        """In the foreground a relative path means what it says."""
        for word in ("yes", "quiet"):
            text = f"foreground = {word}\noutput = a.log\npid = a.pid\n{CLIENT}"
            self.assertEqual(self.complaints(text), [])


class TableTests(RuleCase):
    """The rules as a table."""

    def test_reads_options(self) -> None:
        """Every rule says which options it reads, by names that exist."""
        for rule in (*SERVICE_RULES, *GLOBAL_RULES):
            self.assertTrue(rule.reads)
            self.assertEqual(rule.reads - GLOBAL_DEFAULTS.keys(), frozenset())

    def test_one_mistake_once(self) -> None:
        """A line that could not be used is not reported a second time by a rule."""
        for line in ("accept = example.com", "acccept = 443"):
            (complaint,) = self.complaints(f"[x]\ncert = c\n{line}\nconnect = 80\n")
            self.assertIn("f:3", complaint)

    def test_endpoints_of(self) -> None:
        """The endpoints of a service are named in a fixed order."""
        examination = examine(text_source(SERVER.encode(), "f"))
        self.assertEqual(endpoints_of(examination.configuration.services[0]), ["accept", "connect"])
