"""PostgreSQL and MariaDB, both directions."""

from __future__ import annotations

from typing import Final

from tests.interop.howto.machine import FOLDER, Machine
from tests.interop.mariadb_site import MariaDBSite
from tests.interop.postgresql_site import PostgreSQLSite

PAGE: Final = "docs/howto/upgrade-databases.md"

HOST: Final = "db.example.org"


class PostgreSQLTests(Machine, PostgreSQLSite):
    """A row is stored and selected."""

    def test_server(self) -> None:
        """PostgreSQL knows no TLS; clients want it, and know who must be there."""
        self.host(HOST, "127.0.0.3")
        self.certificate(FOLDER / "database.pem", HOST)
        self.postgresql(tls=False, address="127.0.0.1:15432")
        ours = self.run_page(PAGE, 0)
        verified = f"sslmode=verify-full sslrootcert={self.directory}/ca.pem"
        self.check_rows(f"{HOST}:5432", "none", verified)
        self.check_used(ours, "postgresql")

    def test_client(self) -> None:
        """PostgreSQL talks to nobody without TLS; clients know nothing of it."""
        self.host(HOST, "127.0.0.11")
        self.certificate(self.site / "server.pem", HOST)
        self.postgresql(tls=True, address="127.0.0.11:5432")
        ours = self.run_page(PAGE, 1)
        for mode in ("disable", "prefer"):
            self.assertEqual(self.psql(5432, "SELECT 6 * 7", f"sslmode={mode}"), "42\n")
        self.check_rows(5432, "TLSv1.3", "sslmode=disable")
        self.check_used(ours, "postgresql")


class MariaDBTests(Machine, MariaDBSite):
    """A row is stored and selected."""

    def test_server(self) -> None:
        """MariaDB knows no TLS; clients want it, and know who must be there."""
        self.host(HOST, "127.0.0.3")
        self.certificate(FOLDER / "database.pem", HOST)
        self.mariadb(tls=False, address="127.0.0.1:13306")
        ours = self.run_page(PAGE, 0)
        verified = "--ssl-ca=ca.pem", "--ssl-verify-server-cert"
        self.check_rows(f"{HOST}:3306", "", *verified)
        self.check_used(ours, "mysql")

    def test_client(self) -> None:
        """MariaDB talks to nobody without TLS; clients know nothing of it."""
        self.host(HOST, "127.0.0.11")
        self.certificate(self.site / "server.pem", HOST)
        self.mariadb(tls=True, address="127.0.0.11:3306")
        ours = self.run_page(PAGE, 1)
        self.check_rows(3306, "TLSv1.3", "--skip-ssl")
        self.check_used(ours, "mysql")
