"""Rows are stored in MariaDB and selected again by its client: TLS both ways."""

from __future__ import annotations

from typing import Final

from tests.doubles.real_programs import free_port
from tests.doubles.wire import dial
from tests.interop.daemon_site import DaemonSite

PASSWORD: Final = "open sesame"

#: One user for each way to log in that the server of Debian has.
_USERS: Final = f"""
CREATE DATABASE notes;
CREATE USER native@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';
INSTALL SONAME 'auth_ed25519';
CREATE USER ed25519@'127.0.0.1' IDENTIFIED VIA ed25519 USING PASSWORD('{PASSWORD}');
GRANT ALL ON notes.* TO native@'127.0.0.1', ed25519@'127.0.0.1';
"""

#: A row larger than what a TLS record holds.
SIZE: Final = 200_000

_STORE: Final = (
    f"CREATE OR REPLACE TABLE text (text longtext); INSERT INTO text VALUES (repeat('x', {SIZE}));"
)
_SELECT: Final = "SELECT length(text), text FROM text; SHOW STATUS LIKE 'Ssl_version';"


class MariaDBSite(DaemonSite):
    """MariaDB with a database ``notes`` and two users."""

    def mariadb(self, *, tls: bool) -> str:
        """Run the server: with *tls* it takes nobody without, else it knows no TLS."""
        data, port = self.folder("mysql", "mysql"), free_port()
        temporary = self.folder("temporary", "mysql")
        self.run_client(
            "mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={data}",
            "--auth-root-authentication-method=normal", "--skip-test-db",
            TMPDIR=str(temporary),
        )  # fmt: skip
        setup = self.file("setup.sql", _USERS, "mysql")
        socket = f"{data}/socket"
        command = [
            "mariadbd", "--no-defaults", "--user=mysql", f"--datadir={data}", f"--port={port}",
            "--bind-address=127.0.0.1", f"--socket={socket}", f"--init-file={setup}",
            f"--pid-file={data}/pid", f"--tmpdir={temporary}", "--skip-name-resolve",
            "--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0",
            "--log-warnings=9",
        ]  # fmt: skip
        if tls:
            identity = self.identity("mysql")
            command += [f"--ssl-cert={identity}", f"--ssl-key={identity}"]
            command += ["--require-secure-transport=ON"]
        else:
            command += ["--skip-ssl"]
        self.server = self.daemon("mariadbd", command, port)
        return f"127.0.0.1:{port}"

    def sql(
        self, address: str | int, sql: str, *options: str, user: str = "native", status: int = 0
    ) -> str:
        """What the client says to *sql*."""
        port = str(address).rpartition(":")[2]
        return self.run_client(
            "mariadb", "--no-defaults", "-h", "127.0.0.1",
            "-P", port, "-u", user, "-N", "-B", *options, "notes",
            stdin=sql.encode(), status=status, MYSQL_PWD=PASSWORD,
        )  # fmt: skip

    def check_rows(self, port: int, tls: str, *options: str) -> None:
        """Every user stores a row and selects it; the server must have spoken *tls*."""
        for user in ("native", "ed25519"):
            self.assertEqual(self.sql(port, _STORE, *options, user=user), "")
            rows = self.sql(port, _SELECT, *options, user=user)
            self.assertEqual(rows, f"{SIZE}\t{'x' * SIZE}\nSsl_version\t{tls}\n")


class ClientModeTests(MariaDBSite):
    """Clients without TLS; MariaDB takes nobody without it."""

    def setUp(self) -> None:
        super().setUp()
        self.address = self.mariadb(tls=True)
        self.port = self.behind("mysql", self.address)

    def test_rows(self) -> None:
        """Clients without TLS store a row and select it; without us they are refused."""
        refused = self.sql(self.address, _SELECT, "--skip-ssl", status=1)
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
