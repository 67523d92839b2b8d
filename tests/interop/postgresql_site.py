"""PostgreSQL with a new, empty database, and psql."""

from __future__ import annotations

from typing import Final

from tests.doubles.real_programs import free_port
from tests.interop.daemon_site import DaemonSite, as_user, host_and_port

#: Where Debian keeps the server's programs.
PROGRAMS: Final = "/usr/lib/postgresql/15/bin"

PASSWORD: Final = "open sesame"

#: What the server wants of whom: with TLS, nobody gets in without it.
_TLS_ONLY: Final = "hostssl all all 127.0.0.1/32 scram-sha-256\n"
_PLAIN: Final = "host all all 127.0.0.1/32 scram-sha-256\nlocal all all scram-sha-256\n"

#: A row larger than what a TLS record holds.
SIZE: Final = 200_000

STORE: Final = f"CREATE TABLE notes (text text); INSERT INTO notes VALUES (repeat('x', {SIZE}));"
SELECT: Final = (
    "SELECT length(text) FROM notes; SELECT text FROM notes;"
    "SELECT 'tls=' || coalesce(version, 'none') FROM pg_stat_ssl WHERE pid = pg_backend_pid();"
)


class PostgreSQLSite(DaemonSite):
    """PostgreSQL with a new, empty database."""

    def postgresql(self, *, tls: bool, address: str = "") -> str:
        """Run the server: with *tls* it takes nobody without, else it knows no TLS.

        It listens at *address*, HOST:PORT, on a free port without.
        """
        home = self.folder("postgres", "postgres")
        address = address or f"127.0.0.1:{free_port()}"
        host, _, port = address.rpartition(":")
        places = f"listen_addresses={host} unix_socket_directories= port={port}"
        data = home / "data"
        password = self.file("password", PASSWORD, "postgres")
        self.run_client(
            *as_user(
                "postgres", f"{PROGRAMS}/initdb", "--no-sync", "-D", str(data),
                "--auth=scram-sha-256", f"--pwfile={password}", "--locale=C", "--encoding=UTF8",
            )
        )  # fmt: skip
        access = self.file("access", _TLS_ONLY if tls else _PLAIN, "postgres")
        identity = self.identity("postgres")
        settings = [
            *places.split(), "fsync=off", f"hba_file={access}", f"ssl={'on' if tls else 'off'}",
            "shared_buffers=16MB",
            f"ssl_cert_file={identity}", f"ssl_key_file={identity}",
            "log_connections=on",
        ]  # fmt: skip
        options = [word for setting in settings for word in ("-c", setting)]
        command = as_user("postgres", f"{PROGRAMS}/postgres", "-D", str(data), *options)
        self.server = self.daemon("postgres", command, address)
        # The look whether it listens is not to be counted later.
        self.server.said("connection received")
        return address

    def psql(self, address: str | int, sql: str, options: str = "", status: int = 0) -> str:
        """What psql says to *sql*; *options* are words of the connection string."""
        host, port = host_and_port(address)
        where = f"host={host} port={port} user=postgres dbname=postgres {options}"
        return self.run_client(
            "psql", "-X", "-q", "-A", "-t",
            "-v", "ON_ERROR_STOP=1", where, stdin=sql.encode(), status=status, PGPASSWORD=PASSWORD,
        )  # fmt: skip

    def check_rows(self, address: int | str, tls: str, options: str) -> None:
        """Store a row and select it; the server must have spoken *tls*."""
        self.assertEqual(self.psql(address, STORE, options), "")
        rows = self.psql(address, SELECT, options)
        self.assertEqual(rows, f"{SIZE}\n{'x' * SIZE}\ntls={tls}\n")
