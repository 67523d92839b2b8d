"""Entries are added to slapd and found again with LDAP: StartTLS both ways, and ldaps."""

from __future__ import annotations

from typing import Final

from tests.doubles.real_programs import free_port
from tests.interop.daemon_site import DaemonSite

MANAGER, SECRET = "cn=manager,dc=example,dc=org", "open sesame"

_SLAPD: Final = """
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {site}/slapd.pid
{tls}
database mdb
suffix "dc=example,dc=org"
rootdn "{manager}"
rootpw "{secret}"
directory {site}/entries
"""

_TLS: Final = """
TLSCertificateFile {site}/server.pem
TLSCertificateKeyFile {site}/server.pem
security tls=128
"""

_ENTRIES: Final = """dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=Ann Other,dc=example,dc=org
objectClass: person
cn: Ann Other
sn: Other
description: {description}
"""

#: Longer than a TLS record, so that it comes in several.
DESCRIPTION = "known to everybody, " * 1000 + "that is"

#: Result codes (RFC 4511 appendix A) as the clients of OpenLDAP return them.
OPERATIONS_ERROR, CONFIDENTIALITY_REQUIRED, CONNECT_ERROR = 1, 13, 91


class SlapdSite(DaemonSite):
    """slapd with one empty database."""

    def slapd(self, *, tls: bool) -> str:
        """Run slapd: with *tls* it answers nobody without, else it knows no TLS; its address."""
        self.folder("entries")
        text = _SLAPD.format(
            site=self.site,
            manager=MANAGER,
            secret=SECRET,
            tls=_TLS.format(site=self.site) if tls else "",
        )
        path = self.file("slapd.conf", text)
        port = free_port()
        url = f"ldap://127.0.0.1:{port}"
        command = ["slapd", "-f", str(path), "-h", url, "-d", "stats"]
        self.server = self.daemon("slapd", command, port)
        return f"127.0.0.1:{port}"

    def ldap(self, program: str, url: str, *options: str, status: int = 0) -> str:
        """What *program*, a client of OpenLDAP that trusts the test's authority, says."""
        return self.run_client(
            program, "-H", url, "-x", *options,
            status=status, LDAPTLS_CACERT="ca.pem", LDAPTLS_REQCERT="demand",
        )  # fmt: skip

    def check_entries(self, url: str, *options: str) -> None:
        """Add an entry as the manager, and find it as nobody in particular."""
        path = self.directory / "entries.ldif"
        path.write_text(_ENTRIES.format(description=DESCRIPTION), encoding="utf-8")
        self.ldap("ldapadd", url, "-D", MANAGER, "-w", SECRET, "-f", str(path), *options)
        self.check_found(url, *options)

    def check_found(self, url: str, *options: str) -> None:
        """Find the entry that was added."""
        base = ("-b", "dc=example,dc=org", "-LLL", "-o", "ldif-wrap=no")
        found = self.ldap("ldapsearch", url, *base, *options, "(sn=other)", "cn", "description")
        self.assertIn("dn: cn=Ann Other,dc=example,dc=org\n", found)
        self.assertIn(DESCRIPTION, found)


class ClientModeTests(SlapdSite):
    """Clients without TLS; slapd answers nobody without it."""

    def setUp(self) -> None:
        super().setUp()
        self.address = self.slapd(tls=True)

    def test_entries(self) -> None:
        """Clients without TLS add an entry and find it, which slapd refuses without us."""
        self.url = f"ldap://127.0.0.1:{self.behind('ldap', self.address)}"
        self.ldap(
            "ldapsearch", f"ldap://{self.address}", "-b", "", "-s", "base",
            status=CONFIDENTIALITY_REQUIRED,
        )  # fmt: skip
        self.check_entries(self.url)
        self.server.said("TLS established tls_ssf=256")
        # There is TLS already: the client is told so by the server itself.
        said = self.ldap("ldapsearch", self.url, "-ZZ", status=OPERATIONS_ERROR)
        self.assertIn("TLS already started", said)


class ServerModeTests(SlapdSite):
    """Clients with TLS; slapd knows nothing of it."""

    def setUp(self) -> None:
        super().setUp()
        self.address = self.slapd(tls=False)
        self.port = self.before("ldap", self.address)

    def test_entries(self) -> None:
        """Clients add an entry and find it after StartTLS, and over ldaps on the same port."""
        self.check_entries(f"ldap://127.0.0.1:{self.port}", "-ZZ")
        self.check_found(f"ldaps://127.0.0.1:{self.port}")

    def test_both_modes(self) -> None:
        """Clients without TLS work through client mode in front of server mode."""
        port = self.behind("ldap", f"127.0.0.1:{self.port}")
        self.check_entries(f"ldap://127.0.0.1:{port}")

    def test_operations_have_to_wait(self) -> None:
        """A client that asks, or logs in, without TLS is refused and reaches nobody."""
        url = f"ldap://127.0.0.1:{self.port}"
        log_in = ("-D", MANAGER, "-w", SECRET)
        said = self.ldap("ldapsearch", url, *log_in, status=CONFIDENTIALITY_REQUIRED)
        self.assertIn("Confidentiality required", said)
        self.assertNotIn("BIND", self.server.log)
        self.assertNotIn(SECRET, self.ours.log)

    def test_no_tls_there(self) -> None:
        """Client mode refuses where slapd has no TLS to offer."""
        port = self.behind("ldap", self.address)
        said = self.ldap("ldapsearch", f"ldap://127.0.0.1:{port}", "-b", "", status=254)
        self.assertIn("Can't contact LDAP server", said)
        self.ours.said("LOG3.*")

    def test_s_client(self) -> None:
        """The program openssl s_client gets through."""
        said = self.s_client("ldap", self.port, "-brief")
        self.assertIn("Verification: OK", said)
