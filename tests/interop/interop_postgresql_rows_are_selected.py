"""Rows are stored in PostgreSQL and selected again by psql: TLS both ways."""

from __future__ import annotations

import contextlib
from typing import Final

from tests.doubles.real_programs import free_port
from tests.doubles.wire import dial, read_to_end
from tests.interop.daemon_site import DaemonSite, as_user
from tests.interop.stage import port_of

#: Where Debian keeps the server's programs.
PROGRAMS: Final = "/usr/lib/postgresql/15/bin"

PASSWORD: Final = "open sesame"

#: What the server wants of whom: with TLS, nobody gets in without it.
_TLS_ONLY: Final = "hostssl all all 127.0.0.1/32 scram-sha-256\n"
_PLAIN: Final = "host all all 127.0.0.1/32 scram-sha-256\n"

#: A row larger than what a TLS record holds.
SIZE: Final = 200_000

_STORE: Final = f"CREATE TABLE notes (text text); INSERT INTO notes VALUES (repeat('x', {SIZE}));"
_SELECT: Final = (
    "SELECT length(text) FROM notes; SELECT text FROM notes;"
    "SELECT 'tls=' || coalesce(version, 'none') FROM pg_stat_ssl WHERE pid = pg_backend_pid();"
)

#: The first messages of the protocol, in version 3.
SSL_REQUEST: Final = bytes.fromhex("0000000804d2162f")
START: Final = bytes.fromhex("0000001700030000") + b"user\0postgres\0\0"
CANCEL_REQUEST: Final = bytes.fromhex("0000001004d2162e0000000100000002")


class PostgreSQLSite(DaemonSite):
    """PostgreSQL with a new, empty database."""

    def postgresql(self, *, tls: bool) -> str:
        """Run the server: with *tls* it takes nobody without, else it knows no TLS."""
        home = self.folder("postgres", "postgres")
        data, port = home / "data", free_port()
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
            "fsync=off", f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=",
            f"hba_file={access}", f"ssl={'on' if tls else 'off'}", "shared_buffers=16MB",
            f"ssl_cert_file={identity}", f"ssl_key_file={identity}",
            "log_connections=on",
        ]  # fmt: skip
        options = [word for setting in settings for word in ("-c", setting)]
        command = as_user("postgres", f"{PROGRAMS}/postgres", "-D", str(data), *options)
        self.server = self.daemon("postgres", command, port)
        # The look whether it listens is not to be counted later.
        self.server.said("connection received")
        return f"127.0.0.1:{port}"

    def psql(self, address: str | int, sql: str, options: str = "", status: int = 0) -> str:
        """What psql says to *sql*; *options* are words of the connection string."""
        port = str(address).rpartition(":")[2]
        where = f"host=127.0.0.1 port={port} user=postgres dbname=postgres {options}"
        return self.run_client(
            "psql", "-X", "-q", "-A", "-t",
            "-v", "ON_ERROR_STOP=1", where, stdin=sql.encode(), status=status, PGPASSWORD=PASSWORD,
        )  # fmt: skip

    def check_rows(self, port: int, tls: str, options: str) -> None:
        """Store a row and select it; the server must have spoken *tls*."""
        self.assertEqual(self.psql(port, _STORE, options), "")
        rows = self.psql(port, _SELECT, options)
        self.assertEqual(rows, f"{SIZE}\n{'x' * SIZE}\ntls={tls}\n")


class ClientModeTests(PostgreSQLSite):
    """Clients without TLS; PostgreSQL takes nobody without it."""

    def setUp(self) -> None:
        super().setUp()
        self.address = self.postgresql(tls=True)
        self.port = self.behind("pgsql", self.address)

    def test_rows(self) -> None:
        """A psql without TLS stores a row and selects it; without us it is refused."""
        refused = self.psql(self.address, _SELECT, "sslmode=disable", status=2)
        self.assertIn("no encryption", refused)
        self.check_rows(self.port, "TLSv1.3", "sslmode=disable")

    def test_clients_that_prefer_encryption(self) -> None:
        """A psql that asks for TLS or GSSAPI first goes on without them."""
        for options in ("sslmode=prefer", "gssencmode=prefer", "sslmode=allow"):
            self.assertEqual(self.psql(self.port, "SELECT 6 * 7", options), "42\n")
        refused = self.psql(self.port, "SELECT 1", "sslmode=require", status=2)
        self.assertIn("server does not support SSL", refused)

    def test_wrong_password(self) -> None:
        """A wrong password is refused by PostgreSQL, in its own words."""
        refused = self.psql(self.port, "SELECT 1", "sslmode=disable password=wrong", status=2)
        self.assertIn("password authentication failed", refused)


class ServerModeTests(PostgreSQLSite):
    """Clients with TLS; PostgreSQL knows nothing of it."""

    def setUp(self) -> None:
        super().setUp()
        self.address = self.postgresql(tls=False)
        self.port = self.before("pgsql", self.address)

    def test_rows(self) -> None:
        """A psql that checks our certificate stores a row and selects it."""
        root = f"sslrootcert={self.directory}/ca.pem"
        self.check_rows(self.port, "none", f"sslmode=verify-full {root}")
        for options in ("sslmode=require", "sslmode=require gssencmode=prefer"):
            self.assertEqual(self.psql(self.port, "SELECT 6 * 7", options), "42\n")

    def test_both_modes(self) -> None:
        """A psql without TLS works through client mode in front of server mode."""
        port = self.behind("pgsql", f"127.0.0.1:{self.port}")
        self.check_rows(port, "none", "sslmode=disable")

    def test_stunnel4(self) -> None:
        """Either mode may be stunnel's own."""
        for client, server in (("stunnel-tx", "stunnel4"), ("stunnel4", "stunnel-tx")):
            near, far = self.pair(self.address, "protocol = pgsql\n", client, server)
            self.running += [near, far]
            said = self.psql(port_of(near, "client"), "SELECT 6 * 7", "sslmode=disable")
            self.assertEqual(said, "42\n")

    def test_direct_tls(self) -> None:
        """A client that starts TLS at once, as those of PostgreSQL 17 may, gets through."""
        import ssl

        trusting = ssl.create_default_context(cafile=str(self.directory / "ca.pem"))
        trusting.set_alpn_protocols(["postgresql"])
        with trusting.wrap_socket(dial(self.port), server_hostname="localhost") as client:
            self.assertEqual(client.selected_alpn_protocol(), "postgresql")
            client.sendall(START)
            self.assertEqual(client.recv(1), b"R", self.logs())

    def test_no_plain_clients(self) -> None:
        """A client that will have no TLS is told so, and PostgreSQL never hears of it."""
        before = self.server.log.count("connection received")
        refused = self.psql(self.port, "SELECT 1", "sslmode=disable", status=2)
        self.assertIn("FATAL", refused)
        self.assertNotIn("42", refused)
        self.assertEqual(self.server.log.count("connection received"), before)

    def test_no_tls_there(self) -> None:
        """Client mode refuses a server that answers N, and tells the client why."""
        port = self.behind("pgsql", self.address)
        refused = self.psql(port, "SELECT 1", "sslmode=disable", status=2)
        self.assertIn("FATAL", refused)
        self.ours.said("LOG3.*")
        self.assertNotIn("connection authorized", self.server.log)

    def test_cancel_request(self) -> None:
        """A secret in plain text is not passed on."""
        before = self.server.log.count("connection received")
        with dial(self.port) as sock:
            sock.sendall(CANCEL_REQUEST)
            # What was not read makes it a reset.
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(read_to_end(sock), b"")
        self.assertEqual(self.server.log.count("connection received"), before)

    def test_injected_bytes(self) -> None:
        """A start message sent along with the request for TLS reaches nobody."""
        with dial(self.port) as sock:
            sock.sendall(SSL_REQUEST + bytes.fromhex("0000000800030000"))
            with contextlib.suppress(ConnectionResetError):
                self.assertNotIn(b"R", read_to_end(sock)[:1])
        self.ours.said("LOG3.*")

    def test_s_client(self) -> None:
        """The program openssl s_client gets through."""
        said = self.s_client("postgres", self.port, "-brief")
        self.assertIn("Verification: OK", said)
