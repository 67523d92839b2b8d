"""Rows are stored in MariaDB and selected again by its client: TLS both ways."""

from __future__ import annotations

from tests.doubles.wire import dial
from tests.interop.mariadb_site import SELECT, MariaDBSite


class ClientModeTests(MariaDBSite):
    """Clients without TLS; MariaDB takes nobody without it."""

    def setUp(self) -> None:
        super().setUp()
        self.address = self.mariadb(tls=True)
        self.port = self.behind("mysql", self.address)

    def test_rows(self) -> None:
        """Clients without TLS store a row and select it; without us they are refused."""
        refused = self.sql(self.address, SELECT, "--skip-ssl", status=1)
        self.assertRegex(refused, "insecure transport|Access denied")
        self.check_rows(self.port, "TLSv1.3", "--skip-ssl")

    def test_wrong_password(self) -> None:
        """A wrong password is refused by MariaDB, in its own words."""
        for user in ("native", "ed25519"):
            refused = self.sql(self.port, "", "--skip-ssl", "-pwrong", user=user, status=1)
            self.assertIn("Access denied", refused)

    def test_many_statements(self) -> None:
        """What follows the login is relayed as it is, in messages of any number."""
        said = self.sql(self.port, "SELECT 6 * 7;" * 500, "--skip-ssl")
        self.assertEqual(said, "42\n" * 500)


class ServerModeTests(MariaDBSite):
    """Clients with TLS; MariaDB knows nothing of it."""

    def setUp(self) -> None:
        super().setUp()
        self.address = self.mariadb(tls=False)
        self.port = self.before("mysql", self.address)

    def test_rows(self) -> None:
        """Clients that check our certificate store a row and select it."""
        verified = ("--ssl-ca=ca.pem", "--ssl-verify-server-cert")
        self.check_rows(self.port, "", *verified)
        self.check_rows(self.port, "", "--ssl", "--compress")

    def test_both_modes(self) -> None:
        """A client without TLS works through client mode in front of server mode."""
        port = self.behind("mysql", f"127.0.0.1:{self.port}")
        self.check_rows(port, "", "--skip-ssl")

    def test_no_plain_clients(self) -> None:
        """A client that will have no TLS is refused before MariaDB has heard its name."""
        refused = self.sql(self.port, "SELECT 42", "--skip-ssl", status=1)
        self.assertNotIn("42\n", refused)
        self.assertNotIn("user: 'native'", self.server.log)

    def test_wrong_password(self) -> None:
        """A wrong password is refused by MariaDB, in its own words."""
        for user in ("native", "ed25519"):
            refused = self.sql(self.port, "", "--ssl", "-pwrong", user=user, status=1)
            self.assertIn("Access denied", refused)

    def test_no_tls_there(self) -> None:
        """Client mode refuses a server without TLS."""
        port = self.behind("mysql", self.address)
        refused = self.sql(port, "SELECT 42", "--skip-ssl", status=1)
        self.assertIn("ERROR", refused)
        self.ours.said("LOG3.*")

    def test_s_client(self) -> None:
        """The program openssl s_client gets through."""
        said = self.s_client("mysql", self.port, "-brief")
        self.assertIn("Verification: OK", said)

    def test_port_scanner(self) -> None:
        """A client that leaves after the greeting leaves nothing behind."""
        with dial(self.port) as sock:
            self.assertIn(b"MariaDB", sock.recv(200))
        self.ours.said(r"finished \(0 left\)")
