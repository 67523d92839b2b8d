"""What the command prints, where, and with which exit status; people's scripts depend on it."""

from __future__ import annotations

import os
import re
import subprocess

from tests.doubles.real_programs import PATIENCE, find_program
from tests.interop.stage import ENVIRONMENT, STUNNEL_TX, Stage

GOOD = "[server]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:9\ncert = @server.pem\n"

HALF = "[half]\nclient = yes\naccept = 127.0.0.1:0\n"


class CommandLineTests(Stage):
    """Our command, and stunnel4's where they are to agree."""

    def run_ours(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The outcome of our command, its output strictly UTF-8."""
        return self.run_command([*STUNNEL_TX, *arguments])

    def run_command(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """The outcome of *command*."""
        environment = {**os.environ, **ENVIRONMENT, "LC_ALL": "C.UTF-8", "LANGUAGE": ""}
        return subprocess.run(
            command, cwd=self.directory, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, encoding="utf-8", errors="strict", timeout=PATIENCE, check=False,
        )  # fmt: skip

    def check_information(self, word: str, *patterns: str) -> str:
        """*word* prints to standard error only, the banner first; status 0."""
        done = self.run_ours(word)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        lines = done.stderr.splitlines()
        self.assertRegex(lines[0], r"^stunnel\s+(([5-9]|[1-9][0-9]*)\.\S+)")
        self.assertRegex(lines[1], r"^Compiled/running with OpenSSL [0-9]+\.[0-9]+\.[0-9]+")
        self.assertRegex(lines[2], r"^Threading:\S+ Sockets:\S+ TLS:\S+")
        self.assertNotIn("FORK", done.stderr)
        for pattern in patterns:
            self.assertRegex(done.stderr, pattern)
        return done.stderr

    def test_version(self) -> None:
        """``-version``: the banner, the libraries, what they can do, and the defaults."""
        text = self.check_information(
            "-version",
            r"Twisted \d+.*pyOpenSSL \d+", r"(?m)^Capabilities: ", r"(?m)^RNDbytes +=",
            r"(?m)^ciphers +=", r"(?m)^debug +=", r"(?m)^TIMEOUTbusy +=",
        )  # fmt: skip
        self.assertEqual(self.run_ours("-VERSION").stderr, text)

    def test_help(self) -> None:
        """``-help``: every option with a line of its own."""
        self.check_information(
            "-help", r"(?m)^Global options:", r"(?m)^Service-level options:",
            r"(?m)^\s*foreground\b", r"(?m)^\s*verifyChain\b", r"(?m)^\s*requireCloseNotify\b",
        )  # fmt: skip

    def test_help_names_all_of_stunnel4(self) -> None:
        """Each option that stunnel4 lists is listed by us as well."""
        theirs = self.run_command([find_program("stunnel4"), "-help"]).stderr
        ours = {
            line.split()[0] for line in self.run_ours("-help").stderr.splitlines() if line.strip()
        }
        names = set(re.findall(r"^([A-Za-z]\w+) += ", theirs, re.MULTILINE))
        self.assertGreater(len(names), 60, theirs)
        self.assertEqual(names - ours, set())

    def test_sockets(self) -> None:
        """``-sockets``: a table of socket options."""
        self.check_information(
            "-sockets", r"Option Name +\|", r"SO_REUSEADDR +\|", r"TCP_NODELAY +\|"
        )

    def test_options(self) -> None:
        """``-options``: the names for ``options =``."""
        self.check_information("-options", r"(?m)^options = NO_SSLv3$", r"(?m)^options = ALL$")

    def test_long_forms(self) -> None:
        """``--help`` and ``--version`` print the same to standard output."""
        for word in ("help", "version"):
            done = self.run_ours(f"--{word}")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(done.stdout, self.run_ours(f"-{word}").stderr)

    def test_unknown_file(self) -> None:
        """A file that is not there: status 1 and stunnel's own words."""
        for name in ("missing.conf", "-foo"):
            done = self.run_ours(name)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(f'[!] Invalid configuration file name "{name}"\n', done.stderr)
            theirs = self.run_command([find_program("stunnel4"), name])
            self.assertEqual(theirs.returncode, 1)
            self.assertIn(f'[!] Invalid configuration file name "{name}"\n', theirs.stderr)

    def test_bad_descriptor(self) -> None:
        """``-fd`` without a number, or with something else: status 1 and the syntax."""
        for arguments in (("-fd",), ("-fd", "x"), ("-fd", "3x")):
            done = self.run_ours(*arguments)
            self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
            self.assertRegex(done.stderr, r"(?m)^\[!\] (No|Invalid) file descriptor")
            self.assertIn("[.] Syntax:\n", done.stderr)

    def test_closed_descriptor(self) -> None:
        """``-fd`` with a descriptor that is not open: status 1, and no traceback."""
        done = self.run_ours("-fd", "99")
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn("[!] Configuration failed\n", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_bad_configuration(self) -> None:
        """Every mistake of the file with its line, marked as stunnel marks levels; status 1."""
        path = self.write("bad.conf", f"{GOOD}colour = green\n{HALF}[other]\nacept = 2\n")
        done = self.run_ours(str(path))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(f"[.] Reading configuration from file {path}\n", done.stderr)
        for number, name in ((9, "colour"), (14, "acept")):
            self.assertRegex(
                done.stderr,
                rf'(?m)^\[!\] {path}:{number}: "{name}\b.*": Specified option name is not valid',
            )
        self.assertIn("Each service must define two endpoints", done.stderr)
        self.assertTrue(done.stderr.endswith("[!] Configuration failed\n"), done.stderr)

    def test_check_good(self) -> None:
        """``check`` of a good file says so with status 0, and listens on nothing."""
        done = self.run_ours("check", str(self.write("good.conf", GOOD)))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "Configuration successful\n")

    def test_check_warns(self) -> None:
        """``check`` shows security warnings with their line, with status 0."""
        sections = "[client]\nclient = yes\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:9\n"
        path = self.write("weak.conf", sections)
        done = self.run_ours("check", str(path))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(
            done.stdout, rf"warning: {path}:\d+: Service \[client\] needs authentication"
        )

    def test_check_bad(self) -> None:
        """``check`` shows every error with its line, with status 1."""
        path = self.write("bad.conf", f"{GOOD}colour = green\nTIMEOUTidle = soon\n")
        done = self.run_ours("check", str(path))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stdout, rf"(?m)^error: {path}:9: .*colour")
        self.assertRegex(done.stdout, rf"(?m)^error: {path}:10: .*TIMEOUTidle")
        self.assertTrue(done.stdout.endswith("Configuration failed\n"))

    def test_check_reads_files(self) -> None:
        """``check`` finds out about a certificate that is not there, and a file that is not."""
        path = self.write("gone.conf", GOOD.replace("server.pem", "gone.pem"))
        done = self.run_ours("check", str(path))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"error: .*gone\.pem")
        self.assertEqual(self.run_ours("check", "missing.conf").returncode, 1)

    def test_unsupported(self) -> None:
        """An option of a later release is refused in plain words, never ignored."""
        path = self.write("later.conf", f"{GOOD}OCSPaia = yes\n")
        done = self.run_ours(str(path))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"(?m)^\[!\] .*later\.conf:9: .*OCSPaia.*not supported yet")
