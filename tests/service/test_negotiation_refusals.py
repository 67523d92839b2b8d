"""Whole tunnels in server mode that fail once TLS is up: the client is told in its own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stunnel_tx.negotiation.mysql_packets import CANNOT_CONNECT, HANDSHAKE_ERROR, error, packet
from stunnel_tx.negotiation.mysql_packets import SSL as TLS_FLAG
from stunnel_tx.negotiation.protocols.ldap import notice
from stunnel_tx.negotiation.protocols.pgsql import error_response
from tests.doubles.negotiated import NegotiatedCase
from tests.service.test_negotiation_chat import PROCEED, START_TLS, header
from tests.service.test_negotiation_databases import (
    CAPABILITIES,
    LDAP_GRANTED,
    LDAP_REQUEST,
    PROOF,
    SSL_REQUEST,
    WITH_TLS,
    WITHOUT_TLS,
    fixed,
)

if TYPE_CHECKING:
    from tests.doubles.negotiated import Party

CONDITION = b"<remote-connection-failed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"


class BackendDownTests(NegotiatedCase):
    """Protocols that connect after TLS, and nobody there to connect to."""

    def asked(self, protocol: str, *turns: tuple[bytes, bytes]) -> Party:
        """A user who asks for TLS with *turns*, or starts it at once."""
        self.rig.refuse()
        user = self.server_mode(f"protocol = {protocol}")
        for said, answer in turns:
            user.say(said)
            heard = b""
            while not heard.endswith(answer):
                heard += user.read(1)
        return user

    def told(self, user: Party, words: bytes, names: tuple[bytes, ...] = ()) -> None:
        """Inside TLS the user reads *words*, and the orderly end of TLS and TCP."""
        user.starts_tls(names)
        user.hear(words)
        self.assertEqual(user.read(1), b"")
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("s_connect: connect 127.0.0.1:", "refused")

    def test_ldap(self) -> None:
        """LDAP after StartTLS: a notice of disconnection with ``unavailable``."""
        user = self.asked("ldap", (LDAP_REQUEST, LDAP_GRANTED))
        self.told(user, notice(52, b"The directory server cannot be reached"))

    def test_ldaps(self) -> None:
        """The same where TLS came first."""
        self.told(self.asked("ldap"), notice(52, b"The directory server cannot be reached"))

    def test_pgsql(self) -> None:
        """PostgreSQL after SSLRequest: a fatal error that its clients show."""
        user = self.asked("pgsql", (SSL_REQUEST, b"S"))
        self.told(user, error_response("08006", "the database server cannot be reached"))

    def test_pgsql_direct(self) -> None:
        """The same where TLS came first."""
        words = error_response("08006", "the database server cannot be reached")
        self.told(self.asked("pgsql"), words, (b"postgresql",))

    def test_irc(self) -> None:
        """IRC after STARTTLS: ERROR."""
        user = self.asked("irc", (b"STARTTLS\r\n", b"\r\n"))
        self.told(user, b"ERROR :Closing link: the server cannot be reached\r\n")

    def test_ircs(self) -> None:
        """The same where TLS came first."""
        user = self.asked("irc")
        self.told(user, b"ERROR :Closing link: the server cannot be reached\r\n")

    def test_cifs(self) -> None:
        """CIFS: a negative session response."""
        user = self.asked("cifs", (b"\x81\0\0\x44" + bytes(68), b"\x83\0\0\1\x8e"))
        self.told(user, b"\x83\0\0\1\x8f")

    def stream_error(self, user: Party) -> None:
        """Inside TLS the user reads a stream of its own that says what is wrong."""
        user.starts_tls()
        said = b""
        while not said.endswith(b"</stream:stream>"):
            said += user.read(1)
        self.assertTrue(said.startswith(b"<?xml version='1.0'?><stream:stream "), said)
        self.assertIn(CONDITION, said)
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("s_connect: connect 127.0.0.1:", "refused")

    def test_xmpp(self) -> None:
        """XMPP after STARTTLS: a stream error, in a new stream."""
        opening = header("jabber:client", " to='a.example'")
        features = b"</stream:features>"
        self.stream_error(self.asked("xmpp", (opening, features), (START_TLS, PROCEED)))

    def test_xmpp_direct(self) -> None:
        """The same where TLS came first."""
        self.stream_error(self.asked("xmpp"))

    def test_xmpp_server(self) -> None:
        """The same among servers."""
        opening = header("jabber:server", " to='a.example' from='b.example'")
        features = b"</stream:features>"
        self.stream_error(self.asked("xmpp-server", (opening, features), (START_TLS, PROCEED)))

    def test_xmpp_server_direct(self) -> None:
        """The same among servers where TLS came first."""
        self.stream_error(self.asked("xmpp-server"))


class PostgreSQLTests(NegotiatedCase):
    """PostgreSQL: TLS at once needs ALPN."""

    def test_without_name(self) -> None:
        """A client that names no protocol reads why it is turned away."""
        user = self.server_mode("protocol = pgsql")
        user.starts_tls()
        user.hear(error_response("08P01", "TLS without the ALPN protocol postgresql"))
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("without ALPN postgresql")


class MySQLTests(NegotiatedCase):
    """MySQL: the login takes place inside TLS."""

    def greeted(self) -> tuple[Party, Party]:
        """A user inside TLS who is about to log in, and the server."""
        user = self.server_mode("protocol = mysql")
        server = self.server()
        server.say(WITHOUT_TLS)
        user.hear(WITH_TLS)
        user.say(packet(fixed(CAPABILITIES | TLS_FLAG), 1))
        user.starts_tls()
        return user, server

    def test_malformed_response(self) -> None:
        """A response that cannot be one is refused with the number that the client expects."""
        user, _ = self.greeted()
        user.say(packet(b"\0", 2))
        user.hear(packet(error(HANDSHAKE_ERROR), 3))
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("malformed MySQL response")

    def test_server_leaves(self) -> None:
        """A server that goes away during the login is told of."""
        user, server = self.greeted()
        user.say(packet(fixed(CAPABILITIES | TLS_FLAG) + PROOF, 2))
        server.hear(packet(fixed(CAPABILITIES) + PROOF, 1))
        server.leave()
        user.hear(packet(error(CANNOT_CONNECT), 3))
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("the remote side closed the connection")


class FTPTests(NegotiatedCase):
    """FTP: PBSZ and PROT are answered inside TLS."""

    CLOSING = b"421 Service not available, closing control connection\r\n"

    def inside(self, *lines: str) -> tuple[Party, Party]:
        """A user inside TLS who has not logged in yet, and the server."""
        user = self.server_mode("protocol = ftp", *lines)
        server = self.server()
        server.say(b"220 files\r\n")
        user.hear(b"220 Service ready\r\n")
        user.say(b"AUTH TLS\r\n")
        user.hear(b"234 Proceed with TLS\r\n")
        user.starts_tls()
        return user, server

    def test_long_line(self) -> None:
        """A line beyond the limit ends in 421."""
        user, _ = self.inside()
        user.say(b"PROT " + b"P" * 3000)
        user.hear(self.CLOSING)
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("line length in bytes exceeds 2048")

    def test_dripping(self) -> None:
        """So does a line that is not finished in time."""
        user, _ = self.inside("TIMEOUTbusy = 10")
        user.say(b"PROT ")
        self.rig.turner.turn()
        self.rig.turner.advance(11)
        user.hear(self.CLOSING)
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("TIMEOUTbusy exceeded (10 s)")

    def test_idle(self) -> None:
        """A client that thinks before it logs in has TIMEOUTidle to do so."""
        user, server = self.inside("TIMEOUTbusy = 10", "TIMEOUTidle = 100", "debug = 7")
        self.until(lambda: "TLS accepted: new session negotiated" in self.rig.log.texts)
        self.rig.turner.advance(50)
        user.say(b"PBSZ 0\r\n")
        user.hear(b"200 PBSZ=0\r\n")
        self.rig.turner.advance(50)
        user.say(b"USER joe\r\n")
        server.hear(b"USER joe\r\n")
        self.relays(user, server)

    def test_too_idle(self) -> None:
        """And no longer."""
        user, _ = self.inside("TIMEOUTbusy = 10", "TIMEOUTidle = 100", "debug = 7")
        self.until(lambda: "TLS accepted: new session negotiated" in self.rig.log.texts)
        self.rig.turner.turn()
        self.rig.turner.advance(103)
        user.hear(self.CLOSING)
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("TIMEOUTidle exceeded (100 s)")

    def test_server_hangs_up(self) -> None:
        """A server that has waited long enough is heard before the client has said anything."""
        user, server = self.inside()
        server.say(b"421 Timeout\r\n")
        server.leave()
        user.hear(b"421 Timeout\r\n")
        self.assertEqual(user.read(1), b"")
        assert user.connection is not None
        user.connection.shutdown()
        user.leave()
        self.ends_well()


class SilentClientTests(NegotiatedCase):
    """A client that does not ask for TLS in time is told that, and not that the server is down."""

    def told(self, protocol: str, words: bytes) -> None:
        """The user says nothing for longer than TIMEOUTbusy."""
        user = self.server_mode(f"protocol = {protocol}", "TIMEOUTbusy = 10")
        self.until(lambda: self.rig.application.runtime.tunnels)
        self.rig.turner.advance(11)
        user.hear(words)
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("TIMEOUTbusy exceeded (10 s)")

    def test_ldap(self) -> None:
        """LDAP: ``adminLimitExceeded``."""
        self.told("ldap", notice(11, b"StartTLS did not come in time"))

    def test_pgsql(self) -> None:
        """PostgreSQL: what the server says when authentication takes too long."""
        self.told("pgsql", error_response("57014", "the client did not ask for TLS in time"))

    def test_irc(self) -> None:
        """IRC."""
        self.told("irc", b"ERROR :Closing link: STARTTLS did not come in time\r\n")

    def test_xmpp(self) -> None:
        """XMPP: ``connection-timeout``."""
        user = self.server_mode("protocol = xmpp", "TIMEOUTbusy = 10")
        self.until(lambda: self.rig.application.runtime.tunnels)
        self.rig.turner.advance(11)
        said = b""
        while not said.endswith(b"</stream:stream>"):
            said += user.read(1)
        self.assertIn(b"<connection-timeout ", said)

    def test_pgsql_client(self) -> None:
        """In client mode, too, it is not the server's fault."""
        user = self.client_mode("protocol = pgsql", "TIMEOUTbusy = 10")
        self.until(lambda: self.rig.application.runtime.tunnels)
        self.rig.turner.advance(11)
        user.hear(error_response("57014", "no start message came in time"))
        user.leave()
        self.over("TIMEOUTbusy exceeded (10 s)")
