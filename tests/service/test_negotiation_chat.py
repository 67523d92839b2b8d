"""Whole tunnels for XMPP, IRC and FTP, in both modes."""

from __future__ import annotations

from tests.doubles.negotiated import NegotiatedCase, Party

NAMESPACE = "http://etherx.jabber.org/streams"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
START_TLS = f"<starttls xmlns='{TLS}'/>".encode()
PROCEED = f"<proceed xmlns='{TLS}'/>".encode()


def header(content: str, more: str = "") -> bytes:
    """A stream header."""
    return (
        f"<?xml version='1.0'?><stream:stream xmlns='{content}' "
        f"xmlns:stream='{NAMESPACE}'{more} version='1.0'>"
    ).encode()


class XMPPTests(NegotiatedCase):
    """XMPP of clients and of servers."""

    def test_client(self) -> None:
        """The user's own stream header is passed on when TLS is up."""
        user = self.client_mode("protocol = xmpp")
        opening = header("jabber:client", " to='a.example'")
        user.say(opening)
        server = self.server()
        server.hear(opening)
        server.say(header("jabber:client", " from='a.example' id='1'"))
        server.say(f"<stream:features><starttls xmlns='{TLS}'/></stream:features>".encode())
        server.hear(START_TLS)
        server.say(PROCEED)
        server.takes_tls()
        server.hear(opening)
        self.relays(user, server)

    def test_server(self) -> None:
        """A stream of our own offers TLS and nothing else."""
        user = self.server_mode("protocol = xmpp-server")
        user.say(header("jabber:server", " to='a.example' from='b.example'"))
        sent = b""
        while not sent.endswith(b"</stream:features>"):
            sent += user.read(1)
        self.assertIn(b"<required/>", sent)
        user.say(START_TLS)
        user.hear(PROCEED)
        user.starts_tls()
        self.relays(user, self.server())

    def test_no_tls(self) -> None:
        """A server without TLS ends in a stream error for the user."""
        user = self.client_mode("protocol = xmpp")
        user.say(header("jabber:client", " to='a.example'"))
        server = self.server()
        server.hear(header("jabber:client", " to='a.example'"))
        server.say(header("jabber:client") + b"<stream:features></stream:features>")
        said = b""
        while not said.endswith(b"</stream:stream>"):
            said += user.read(1)
        self.assertIn(b"remote-connection-failed", said)
        user.leave()
        self.over("Server does not support TLS")


class IRCTests(NegotiatedCase):
    """IRC."""

    def test_client(self) -> None:
        """Notices before TLS are dropped."""
        user = self.client_mode("protocol = irc")
        server = self.server()
        server.say(b":irc NOTICE * :looking you up\r\n")
        server.hear(b"STARTTLS\r\n")
        server.say(b":irc 670 * :go\r\n")
        server.takes_tls()
        self.relays(user, server)

    def test_server(self) -> None:
        """Nothing said before STARTTLS counts, a password least of all."""
        user = self.server_mode("protocol = irc", "debug = 7")
        user.say(b"PASS hunter2\r\n")
        while user.read(1) != b"\n":
            pass
        user.say(b"STARTTLS\r\n")
        while user.read(1) != b"\n":
            pass
        user.starts_tls()
        self.relays(user, self.server())
        self.assertNotIn("hunter2", " ".join(self.rig.log.texts))


class FTPTests(NegotiatedCase):
    """FTP, its control connection."""

    def joined(self, user: Party, server: Party) -> None:
        """The relay has begun, without complaints."""
        self.relays(user, server)
        self.assertEqual(self.rig.errors(), [])

    def test_client(self) -> None:
        """AUTH TLS, then data connections without TLS are agreed on."""
        user = self.client_mode("protocol = ftp")
        server = self.server()
        server.say(b"220 files\r\n")
        server.hear(b"AUTH TLS\r\n")
        server.say(b"234 go\r\n")
        server.takes_tls()
        server.hear(b"PBSZ 0\r\n")
        server.say(b"200 0\r\n")
        server.hear(b"PROT C\r\n")
        server.say(b"200 C\r\n")
        self.assertEqual(user.read(4), b"220 ")
        while user.read(1) != b"\n":
            pass
        self.joined(user, server)

    def test_server(self) -> None:
        """PROT P is refused honestly; the first other command is the server's."""
        user = self.server_mode("protocol = ftp")
        server = self.server()
        server.say(b"220 files\r\n")
        for command, code in ((b"", b"220"), (b"USER joe\r\n", b"5"), (b"AUTH TLS\r\n", b"234")):
            user.say(command)
            self.assertTrue(user.read(3).startswith(code))
            while user.read(1) != b"\n":
                pass
        user.starts_tls()
        for command, code in ((b"PBSZ 0\r\n", b"200"), (b"PROT P\r\n", b"536")):
            user.say(command)
            user.hear(code)
            while user.read(1) != b"\n":
                pass
        user.say(b"USER joe\r\n")
        server.hear(b"USER joe\r\n")
        self.joined(user, server)
