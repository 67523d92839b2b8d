"""LDAP with slapd and CIFS with stunnel4, both directions."""

from __future__ import annotations

from typing import Final

from tests.doubles.backends import echo
from tests.doubles.real_programs import free_port
from tests.doubles.wire import exchange
from tests.interop.directory_site import SlapdSite
from tests.interop.howto.machine import FOLDER, Machine

PAGE: Final = "docs/howto/upgrade-directories.md"

#: Larger than a TLS record.
FILE: Final = b"a file\n" * 10_000


class ServerTests(Machine, SlapdSite):
    """The servers know no TLS; clients want it, and know who must be there."""

    def setUp(self) -> None:
        super().setUp()
        for service in ("ldap", "files"):
            name = f"{service}.example.org"
            self.host(name, "127.0.0.3")
            self.certificate(FOLDER / f"{service}.pem", name)

    def test_ldap(self) -> None:
        """Entries are added and found after StartTLS, and found with TLS from the start."""
        self.slapd(tls=False, address="127.0.0.1:10389")
        ours = self.run_page(PAGE, 0)
        self.check_entries("ldap://ldap.example.org", "-ZZ")
        self.check_found("ldaps://ldap.example.org:389")
        self.check_used(ours, "ldap")

    def test_cifs(self) -> None:
        """A client reaches its server through client mode of stunnel4."""
        self.backend(echo, 10139)
        ours = self.run_page(PAGE, 0)
        port = free_port()
        self.tunnels(
            f"[cifs]\nclient = yes\naccept = 127.0.0.1:{port}\nconnect = files.example.org:139\n"
            "protocol = cifs\nverifyChain = yes\nCAfile = @ca.pem\ncheckHost = files.example.org\n",
            program="stunnel4",
        )
        self.assertEqual(exchange(port, FILE), FILE)
        self.check_used(ours, "cifs")


class ClientTests(Machine, SlapdSite):
    """The servers talk to nobody without TLS; clients know nothing of it."""

    def setUp(self) -> None:
        super().setUp()
        names = ("ldap.example.org", "files.example.org")
        for number, name in enumerate(names):
            self.host(name, f"127.0.0.{11 + number}")
        self.certificate(self.site / "server.pem", *names)

    def test_ldap(self) -> None:
        """Entries are added and found."""
        self.slapd(tls=True, address="127.0.0.11:389")
        ours = self.run_page(PAGE, 1)
        self.check_entries("ldap://127.0.0.1")
        self.check_used(ours, "ldap")

    def test_cifs(self) -> None:
        """A client reaches its server through server mode of stunnel4."""
        server = self.backend(echo)
        self.tunnels(
            f"[cifs]\naccept = 127.0.0.12:139\nconnect = 127.0.0.1:{server.port}\n"
            f"protocol = cifs\ncert = {self.site}/server.pem\n",
            program="stunnel4",
        )
        ours = self.run_page(PAGE, 1)
        self.assertEqual(exchange(1139, FILE), FILE)
        self.check_used(ours, "cifs")
