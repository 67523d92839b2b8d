"""Rows are stored in PostgreSQL and selected again by psql: TLS both ways."""

from __future__ import annotations

import contextlib
from typing import Final

from tests.doubles.wire import dial, read_to_end
from tests.interop.postgresql_site import SELECT, PostgreSQLSite
from tests.interop.stage import port_of

#: The first messages of the protocol, in version 3.
SSL_REQUEST: Final = bytes.fromhex("0000000804d2162f")
START: Final = bytes.fromhex("0000001700030000") + b"user\0postgres\0\0"
CANCEL_REQUEST: Final = bytes.fromhex("0000001004d2162e0000000100000002")


class ClientModeTests(PostgreSQLSite):
    """Clients without TLS; PostgreSQL takes nobody without it."""

    def setUp(self) -> None:
        super().setUp()
        self.address = self.postgresql(tls=True)
        self.port = self.behind("pgsql", self.address)

    def test_rows(self) -> None:
        """A psql without TLS stores a row and selects it; without us it is refused."""
        refused = self.psql(self.address, SELECT, "sslmode=disable", status=2)
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
            near, _ = self.pair(self.address, "protocol = pgsql\n", client, server)
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
        # Nothing but the error: no row.
        self.assertNotIn("\n", refused.strip())
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
