"""testssl.sh and sslscan find no weakness in a service with default options."""

from __future__ import annotations

import json
import re
import subprocess

from tests.doubles.backends import echo
from tests.doubles.real_programs import find_program
from tests.interop.stage import Stage, port_of

#: Seconds a scan may take; testssl.sh makes some hundred connections from a shell.
SCAN = 580

#: Findings of testssl.sh that are about the test's own certificate or about no weakness.
EXPECTED = frozenset(
    {
        "cert_chain_of_trust",
        "cert_crlDistributionPoints",
        "cert_expirationStatus",
        "cert_notAfter",
        "cert_revocation",
        "cert_trust",
        "cert_caIssuers",
        "cert_extlifeSpan",
        "cert_ocspURL",
        "OCSP_stapling",
        "DNS_CAArecord",
        "security_headers",
        "sessionresumption_ticket",
        "HSTS",
    }
)


class ScannerTests(Stage):
    """The default profile, and those of tlsProfile."""

    def scanned(self, *more: str) -> int:
        """The port of a service in front of an echo."""
        backend = self.backend(echo)
        server = self.server_mode(backend.port, "".join(f"{line}\n" for line in more))
        return port_of(server, "server")

    def run_scanner(self, *command: str) -> str:
        """Run one scanner to its end; what it printed."""
        found = find_program(command[0])
        done = subprocess.run(
            [found, *command[1:]],
            cwd=self.directory,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=SCAN,
        )
        return done.stdout + done.stderr

    def sslscan(self, port: int) -> str:
        """The report of sslscan."""
        return self.run_scanner("sslscan", "--no-colour", "--show-times", f"127.0.0.1:{port}")

    def test_sslscan(self) -> None:
        """No old version, no cipher without forward secrecy and AEAD, no short key."""
        report = self.sslscan(self.scanned())
        for version in ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"):
            self.assertRegex(report, rf"{re.escape(version)}\s+disabled")
        self.assertRegex(report, r"TLSv1\.2\s+enabled")
        self.assertRegex(report, r"TLSv1\.3\s+enabled")
        ciphers = re.findall(
            r"^(?:Preferred|Accepted)\s+(\S+)\s+\d+ bits\s+(\S+)", report, re.MULTILINE
        )
        self.assertTrue(ciphers, report)
        for version, name in ciphers:
            good = version == "TLSv1.3" or re.fullmatch(r"ECDHE-\w+-.*(GCM-SHA\d+|POLY1305)", name)
            self.assertTrue(good, f"{version} {name}")
        self.assertNotRegex(report, r"(?<!not )vulnerable to heartbleed")
        self.assertNotIn("Compression enabled", report)
        self.assertNotRegex(report, r"Insecure session renegotiation supported")

    def test_sslscan_modern(self) -> None:
        """The modern profile leaves TLS 1.3 alone."""
        report = self.sslscan(self.scanned("tlsProfile = modern"))
        versions = set(re.findall(r"^(?:Preferred|Accepted)\s+(\S+)", report, re.MULTILINE))
        self.assertEqual(versions, {"TLSv1.3"}, report)

    def test_testssl(self) -> None:
        """No finding of testssl.sh above INFO but those about the throw-away certificate."""
        port = self.scanned()
        command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none"]
        options = ["--jsonfile", "report.json", "-p", "-s", "-f", "-P", "-S", "-U"]
        printed = self.run_scanner(*command, *options, f"127.0.0.1:{port}")
        report = self.directory / "report.json"
        self.assertTrue(report.exists(), printed)
        findings = json.loads(report.read_text(encoding="utf-8"))
        self.assertGreater(len(findings), 40, printed)
        bad = [
            f"{each['severity']} {each['id']}: {each['finding']}"
            for each in findings
            if each["severity"] not in {"OK", "INFO", "DEBUG"}
            and each["id"].partition(" ")[0] not in EXPECTED
        ]
        self.assertEqual(bad, [], printed)
