"""slapd with one empty database, and its clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.doubles.real_programs import free_port
from tests.interop.daemon_site import DaemonSite

if TYPE_CHECKING:
    from collections.abc import Collection

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

    def slapd(self, *, tls: bool, address: str = "") -> str:
        """Run slapd: with *tls* it answers nobody without, else it knows no TLS; its address.

        That is *address*, HOST:PORT, if there is one.
        """
        self.folder("entries")
        text = _SLAPD.format(
            site=self.site,
            manager=MANAGER,
            secret=SECRET,
            tls=_TLS.format(site=self.site) if tls else "",
        )
        path = self.file("slapd.conf", text)
        address = address or f"127.0.0.1:{free_port()}"
        command = ["slapd", "-f", str(path), "-h", url_of(address), "-d", "stats"]
        self.server = self.daemon("slapd", command, address)
        return address

    def ldap(self, program: str, url: str, *options: str, status: int | Collection[int] = 0) -> str:
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


def url_of(address: str) -> str:
    """*address* as the programs of OpenLDAP want it; on port 636 there is TLS from the start."""
    return f"ldap{'s' if address.endswith(':636') else ''}://{address}"
