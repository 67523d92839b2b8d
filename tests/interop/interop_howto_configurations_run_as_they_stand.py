"""Every complete configuration in the documentation is run unchanged, and used to the end.

Ports, host names and paths are those of the text, inside a private world.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Final
from unittest import SkipTest

from tests.interop.private_world import run_inside
from tests.interop.stage import Stage

#: Seconds that one page may take.
LONGEST: Final = 600


class HowtoTests(Stage):
    """One test for each module of ``tests.interop.howto``, which has tests for each block."""

    def check(self, module: str) -> None:
        """Run the tests in *module* in a world of their own."""
        place = f"--temp-directory={self.directory / 'trial'}"
        names = "-m", "twisted.trial", place, f"tests.interop.howto.{module}"
        try:
            done = run_inside(sys.executable, *names, seconds=LONGEST)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{error}\n{error.output}") from None
        last = done.stdout.rstrip().rpartition("\n")[2]
        self.assertEqual(done.returncode, 0, done.stdout)
        if "skips=" in last:
            raise SkipTest(done.stdout)
        self.assertIn("PASSED (successes=", last, done.stdout)

    def test_mail(self) -> None:
        """Mail and news: Postfix, Dovecot, INN."""
        self.check("mail")

    def test_directories(self) -> None:
        """LDAP and CIFS: slapd, stunnel4."""
        self.check("directories")

    def test_databases(self) -> None:
        """PostgreSQL and MariaDB."""
        self.check("databases")

    def test_chat(self) -> None:
        """XMPP and IRC: Prosody, InspIRCd."""
        self.check("chat")

    def test_ftp(self) -> None:
        """FTP: vsftpd."""
        self.check("ftp")

    def test_proxies(self) -> None:
        """HTTP CONNECT, SOCKS and PROXY headers: tinyproxy, microsocks, haproxy and others."""
        self.check("proxies")

    def test_web(self) -> None:
        """The README, the tutorial, and pages without a protocol: nginx, Redis, slapd."""
        self.check("web")
