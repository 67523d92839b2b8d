"""MariaDB with a new database, and its client."""

from __future__ import annotations

from typing import Final

from tests.doubles.real_programs import free_port
from tests.interop.daemon_site import DaemonSite, host_and_port

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

STORE: Final = (
    f"CREATE OR REPLACE TABLE text (text longtext); INSERT INTO text VALUES (repeat('x', {SIZE}));"
)
SELECT: Final = "SELECT length(text), text FROM text; SHOW STATUS LIKE 'Ssl_version';"


class MariaDBSite(DaemonSite):
    """MariaDB with a database ``notes`` and two users."""

    def mariadb(self, *, tls: bool, address: str = "") -> str:
        """Run the server: with *tls* it takes nobody without, else it knows no TLS.

        It listens at *address*, on a free port without one.
        """
        data = self.folder("mysql", "mysql")
        host, port = host_and_port(address or free_port())
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
            f"--bind-address={host}", f"--socket={socket}", f"--init-file={setup}",
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
        self.server = self.daemon("mariadbd", command, f"{host}:{port}")
        return f"{host}:{port}"

    def sql(
        self, address: str | int, sql: str, *options: str, user: str = "native", status: int = 0
    ) -> str:
        """What the client says to *sql*."""
        host, port = host_and_port(address)
        return self.run_client(
            "mariadb", "--no-defaults", "-h", host,
            "-P", str(port), "-u", user, "-N", "-B", *options, "notes",
            stdin=sql.encode(), status=status, MYSQL_PWD=PASSWORD,
        )  # fmt: skip

    def check_rows(self, address: int | str, tls: str, *options: str) -> None:
        """Every user stores a row and selects it; the server must have spoken *tls*."""
        for user in ("native", "ed25519"):
            self.assertEqual(self.sql(address, STORE, *options, user=user), "")
            rows = self.sql(address, SELECT, *options, user=user)
            self.assertEqual(rows, f"{SIZE}\t{'x' * SIZE}\nSsl_version\t{tls}\n")
