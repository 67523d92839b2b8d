"""Whole tunnels for directories, databases and file servers, in both modes."""

from __future__ import annotations

from stunnel_tx.negotiation.mysql_packets import SSL as TLS_FLAG
from stunnel_tx.negotiation.mysql_packets import packet, parse_greeting
from stunnel_tx.negotiation.protocols.ldap import (
    EXTENDED_RESPONSE,
    START_TLS,
    notice,
    response,
)
from tests.doubles.negotiated import NegotiatedCase, Party
from tests.negotiation.test_mysql_packets import MYSQL

LDAP_REQUEST = bytes.fromhex("301d02010177188016") + START_TLS
LDAP_GRANTED = response(1, EXTENDED_RESPONSE, 0, b"", START_TLS)

SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
GSS_REQUEST = (8).to_bytes(4, "big") + (80877104).to_bytes(4, "big")
START = (20).to_bytes(4, "big") + (196608).to_bytes(4, "big")
AUTHENTICATED = b"R" + (8).to_bytes(4, "big") + bytes(4)

WITH_TLS = packet(MYSQL, 0)
_GREETING = parse_greeting(MYSQL)
WITHOUT_TLS = packet(_GREETING.offering(tls=False, plugin=_GREETING.plugin).encode(), 0)
CAPABILITIES = 0x00BF_A28D & ~TLS_FLAG
PROOF = b"joe\0\x14" + b"h" * 20 + b"mysql_native_password\0"
OK = b"\0\0\0\2\0\0\0"


def fixed(capabilities: int) -> bytes:
    """What SSLRequest and a login start with."""
    return capabilities.to_bytes(4, "little") + b"\0\0\0\x01\x2d" + bytes(23)


class DirectoryTests(NegotiatedCase):
    """LDAP."""

    def test_client(self) -> None:
        """The server is asked for StartTLS before the user's first byte goes out."""
        user = self.client_mode("protocol = ldap")
        user.say(b"bind")
        server = self.server()
        server.hear(LDAP_REQUEST)
        server.say(LDAP_GRANTED)
        server.takes_tls()
        server.hear(b"bind")
        self.relays(user, server)
        self.assertEqual(self.rig.errors(), [])

    def test_server(self) -> None:
        """StartTLS is answered here; the server hears nothing before TLS."""
        user = self.server_mode("protocol = ldap")
        user.say(LDAP_REQUEST)
        user.hear(LDAP_GRANTED)
        user.starts_tls()
        self.relays(user, self.server())
        self.assertEqual(self.rig.errors(), [])

    def test_nobody_there(self) -> None:
        """A directory that is down is told as LDAP tells it."""
        self.rig.refuse()
        user = self.client_mode("protocol = ldap")
        user.hear(notice(52, b"The directory server cannot be reached"))
        self.assertEqual(user.end(), "fin")


class PostgreSQLTests(NegotiatedCase):
    """PostgreSQL."""

    def test_client(self) -> None:
        """The user's questions about encryption are answered no, the server's with TLS."""
        user = self.client_mode("protocol = pgsql")
        user.say(SSL_REQUEST)
        user.hear(b"N")
        user.say(START + b"user\0joe\0\0\0\0")
        server = self.server()
        server.hear(SSL_REQUEST)
        server.say(b"S")
        server.takes_tls()
        server.hear(START + b"user\0joe\0\0\0\0")
        server.say(AUTHENTICATED)
        user.hear(AUTHENTICATED)
        self.relays(user, server)

    def test_server(self) -> None:
        """GSSAPI is declined, TLS accepted."""
        user = self.server_mode("protocol = pgsql")
        user.say(GSS_REQUEST)
        user.hear(b"N")
        user.say(SSL_REQUEST)
        user.hear(b"S")
        user.starts_tls()
        self.relays(user, self.server())

    def test_direct(self) -> None:
        """A client may start TLS at once if it names the protocol, as with PostgreSQL 17."""
        user = self.server_mode("protocol = pgsql")
        user.starts_tls((b"postgresql",))
        self.relays(user, self.server())
        other = self.user()
        other.starts_tls()
        self.assertEqual(other.end(), "fin")
        self.assertIn("without ALPN postgresql", self.rig.errors()[0])

    def test_injected_answer(self) -> None:
        """Bytes behind the S are refused (CVE-2021-23222)."""
        user = self.client_mode("protocol = pgsql")
        user.say(START)
        server = self.server()
        server.hear(SSL_REQUEST)
        server.say(b"SR\0\0\0\x08\0\0\0\0")
        self.assertEqual(user.read(1), b"E")
        user.leave()
        self.over("more in plaintext")


class MySQLTests(NegotiatedCase):
    """MySQL and MariaDB."""

    def test_client(self) -> None:
        """TLS is asked for in the user's place, and the login renumbered."""
        user = self.client_mode("protocol = mysql")
        server = self.server()
        server.say(WITH_TLS)
        user.hear(WITHOUT_TLS)
        user.say(packet(fixed(CAPABILITIES) + PROOF, 1))
        server.hear(packet(fixed(CAPABILITIES | TLS_FLAG), 1))
        server.takes_tls()
        server.hear(packet(fixed(CAPABILITIES | TLS_FLAG) + PROOF, 2))
        server.say(packet(OK, 3))
        user.hear(packet(OK, 2))
        self.relays(user, server)

    def test_server(self) -> None:
        """TLS is offered in the server's place, and the login renumbered."""
        user = self.server_mode("protocol = mysql")
        server = self.server()
        server.say(WITHOUT_TLS)
        user.hear(WITH_TLS)
        user.say(packet(fixed(CAPABILITIES | TLS_FLAG), 1))
        user.starts_tls()
        user.say(packet(fixed(CAPABILITIES | TLS_FLAG) + PROOF, 2))
        server.hear(packet(fixed(CAPABILITIES) + PROOF, 1))
        server.say(packet(OK, 2))
        user.hear(packet(OK, 3))
        self.relays(user, server)


class FileServerTests(NegotiatedCase):
    """CIFS."""

    REFUSED_WITH_TLS = b"\x83\0\0\1\x8e"

    def joined(self, user: Party, server: Party) -> None:
        """The relay has begun, without complaints."""
        self.relays(user, server)
        self.assertEqual(self.rig.errors(), [])

    def test_client(self) -> None:
        """The server refuses plain sessions for want of TLS."""
        user = self.client_mode("protocol = cifs")
        server = self.server()
        server.hear(b"\x81\0\0\0")
        server.say(self.REFUSED_WITH_TLS)
        server.takes_tls()
        self.joined(user, server)

    def test_server(self) -> None:
        """We do, too."""
        user = self.server_mode("protocol = cifs")
        user.say(b"\x81\0\0\x44" + bytes(68))
        user.hear(self.REFUSED_WITH_TLS)
        user.starts_tls()
        self.joined(user, self.server())
