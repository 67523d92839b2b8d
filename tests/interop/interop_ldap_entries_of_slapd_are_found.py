"""Entries are added to slapd and found again with LDAP: StartTLS both ways, and ldaps."""

from __future__ import annotations

from tests.interop.directory_site import (
    CONFIDENTIALITY_REQUIRED,
    MANAGER,
    OPERATIONS_ERROR,
    SECRET,
    SlapdSite,
)


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
        # The connection goes while it waits for its answer (254), or before it has asked (255).
        said = self.ldap("ldapsearch", f"ldap://127.0.0.1:{port}", "-b", "", status=(254, 255))
        self.assertIn("Can't contact LDAP server", said)
        self.ours.said("LOG3.*")

    def test_s_client(self) -> None:
        """The program openssl s_client gets through."""
        said = self.s_client("ldap", self.port, "-brief")
        self.assertIn("Verification: OK", said)
