"""Whole tunnels through proxies and as one, and with PROXY headers."""

from __future__ import annotations

import socket

from stunnel_tx.negotiation.peer import Endpoint
from stunnel_tx.negotiation.proxy_header import encode_v1
from tests.doubles.negotiated import NegotiatedCase, Party

SOURCE, TARGET = Endpoint("192.0.2.1", 1025), Endpoint("192.0.2.2", 443)

GREETED = b"\x05\x01\x00"
NO_LOGIN = b"\x05\x00"


def socks_request(host: bytes, port: int) -> bytes:
    """A request of SOCKS 5 for a name, or a numeric address as text."""
    return b"\x05\x01\x00\x03" + bytes((len(host),)) + host + port.to_bytes(2, "big")


class HTTPProxyTests(NegotiatedCase):
    """``protocol = connect``."""

    def test_client(self) -> None:
        """TLS runs inside the tunnel that the proxy makes; the name is that of its end."""
        user = self.client_mode("protocol = connect", "protocolHost = a.example:443")
        server = self.server()
        server.hear(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n")
        server.say(b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n")
        server.takes_tls()
        assert server.connection is not None
        self.assertEqual(server.connection.get_servername(), b"a.example")
        self.relays(user, server)
        self.assertEqual(self.rig.errors(), [])

    def test_password(self) -> None:
        """A proxy that refuses the password costs one line, in which it is not."""
        user = self.client_mode(
            *("protocol = connect", "protocolHost = a.example:443", "debug = 7"),
            *("protocolUsername = joe", "protocolPassword = hunter2"),
        )
        server = self.server()
        server.hear(
            b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n"
            b"Proxy-Authorization: Basic am9lOmh1bnRlcjI=\r\n\r\n"
        )
        server.say(
            b"HTTP/1.1 407 am9lOmh1bnRlcjI=\r\nProxy-Authenticate: Negotiate\r\n"
            b"Proxy-Authenticate: hunter2\r\n\r\n"
        )
        self.assertEqual(user.end(), "reset")
        answer = "the proxy answered 407 (it offers Negotiate)"
        self.over(f"CONNECT request rejected: {answer}: client 127.0.0.1:")
        shown = " ".join(self.rig.log.texts)
        self.assertNotIn("hunter2", shown)
        self.assertNotIn("am9lOmh1bnRlcjI", shown)

    def test_server(self) -> None:
        """A listed destination is connected once TLS has shown who asks."""
        user = self.server_mode(
            *("protocol = connect", f"protocolAllow = 127.0.0.0/8 {self.rig.connect}"),
            connect=False,
        )
        user.say(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % self.rig.connect)
        user.hear(b"HTTP/1.1 200 OK\r\n\r\n")
        user.starts_tls()
        self.relays(user, self.server())
        self.assertEqual(self.rig.errors(), [])

    def test_unlisted(self) -> None:
        """Any other destination is refused in clear, with one line."""
        user = self.server_mode(
            *("protocol = connect", "protocolAllow = 192.0.2.0/24 443"), connect=False
        )
        user.say(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % self.rig.connect)
        user.hear(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over(
            f"CONNECT request rejected: 127.0.0.1:{self.rig.connect} is not listed",
            "client 127.0.0.1:",
        )

    def test_server_password(self) -> None:
        """A service with user and password asks for them before it serves anybody."""
        user = self.server_mode(
            *("protocol = connect", f"protocolAllow = 127.0.0.0/8 {self.rig.connect}"),
            *("protocolUsername = joe", "protocolPassword = hunter2", "debug = 7"),
            connect=False,
        )
        user.say(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % self.rig.connect)
        user.hear(
            b"HTTP/1.1 407 Proxy Authentication Required\r\n"
            b'Proxy-Authenticate: Basic realm="stunnel", charset="UTF-8"\r\n'
            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("CONNECT request rejected: user and password are missing", "client 127.0.0.1:")
        again = self.user()
        again.say(
            b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nProxy-Authorization: Basic am9lOmh1bnRlcjI=\r\n\r\n"
            % self.rig.connect
        )
        again.hear(b"HTTP/1.1 200 OK\r\n\r\n")
        again.starts_tls()
        self.relays(again, self.server())
        shown = " ".join(self.rig.log.texts)
        self.assertNotIn("hunter2", shown)
        self.assertNotIn("am9l", shown)


class SOCKSTests(NegotiatedCase):
    """``protocol = socks``, inside TLS."""

    def test_client(self) -> None:
        """A program that knows nothing of SOCKS reaches a host behind the proxy."""
        user = self.client_mode("protocol = socks", "protocolHost = a.example:80")
        server = self.server()
        server.takes_tls()
        assert server.connection is not None
        self.assertIsNone(server.connection.get_servername())
        server.hear(GREETED)
        server.say(NO_LOGIN)
        server.hear(socks_request(b"a.example", 80))
        server.say(b"\x05\x00\x00\x01\x7f\0\0\1\0\x50first words")
        user.hear(b"first words")
        self.relays(user, server)
        self.assertEqual(self.rig.errors(), [])

    def ask(self, user: Party, host: bytes, port: int) -> None:
        """Greet and ask, inside TLS."""
        user.starts_tls()
        user.say(GREETED)
        user.hear(NO_LOGIN)
        user.say(socks_request(host, port))

    def test_server(self) -> None:
        """The answer tells the outcome of the real connection, and the relay starts at once."""
        user = self.server_mode("protocol = socks", "protocolAllow = 127.0.0.0/8", connect=False)
        self.ask(user, b"127.0.0.1", self.rig.connect)
        server = self.server()
        ours = server.socket.getpeername()[1]
        user.hear(b"\x05\x00\x00\x01\x7f\0\0\1" + ours.to_bytes(2, "big"))
        self.relays(user, server)
        self.assertEqual(self.rig.errors(), [])

    def test_impatient_client(self) -> None:
        """Data in the same TLS record as the request is relayed, not lost."""
        user = self.server_mode("protocol = socks", "protocolAllow = 127.0.0.0/8", connect=False)
        user.starts_tls()
        user.say(GREETED + socks_request(b"127.0.0.1", self.rig.connect) + b"first words")
        self.server().hear(b"first words")

    def test_loopback(self) -> None:
        """No spelling of an address of this machine is reached unless it is listed.

        Names that lead there are a matter of the tests of the look-up.
        """
        user = self.server_mode("protocol = socks", connect=False)
        for host in (b"127.0.0.1", b"0.0.0.0", b"::", b"::1", b"::ffff:127.0.0.1"):
            self.ask(user, host, self.rig.connect)
            self.assertEqual(user.read(2), b"\x05\x02", host)
            user.leave()
            user = self.user()
        self.assertRaises(BlockingIOError, self.rig.backend.accept)

    def test_refused(self) -> None:
        """A port that nobody listens on has its own code."""
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            user = self.server_mode(
                "protocol = socks", "protocolAllow = 127.0.0.0/8", connect=False
            )
            self.ask(user, b"127.0.0.1", nobody.getsockname()[1])
            self.assertEqual(user.read(2), b"\x05\x05")
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("s_connect: connect 127.0.0.1")

    def test_resolve(self) -> None:
        """A look-up is a whole service: both sides end well."""
        user = self.server_mode("protocol = socks", "protocolAllow = 127.0.0.0/8", connect=False)
        user.starts_tls()
        user.say(GREETED)
        user.hear(NO_LOGIN)
        user.say(b"\x05\xf0\x00\x03\x09127.0.0.1\0\0")
        user.hear(b"\x05\x00\x00\x01\x7f\0\0\1\0\0")
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.ends_well()


class HeaderTests(NegotiatedCase):
    """``protocol = proxy``, ``sendProxy`` and ``acceptProxy``."""

    def ends(self, user: Party) -> tuple[Endpoint, Endpoint]:
        """Both ends of the user's connection."""
        return Endpoint(*user.socket.getsockname()), Endpoint(*user.socket.getpeername())

    def test_protocol_server(self) -> None:
        """The server learns who the client is before the client's first byte."""
        user = self.server_mode("protocol = proxy")
        user.starts_tls()
        server = self.server()
        server.hear(encode_v1(*self.ends(user)))
        self.relays(user, server)

    def test_protocol_client(self) -> None:
        """A TLS server learns it in front of the ClientHello."""
        user = self.client_mode("protocol = proxy")
        server = self.server()
        server.hear(encode_v1(*self.ends(user)))
        server.takes_tls()
        self.relays(user, server)

    def test_version_2(self) -> None:
        """Version 2 tells about TLS as well."""
        user = self.server_mode("sendProxy = 2")
        user.starts_tls()
        server = self.server()
        self.assertEqual(server.read(12), b"\r\n\r\n\0\r\nQUIT\n")
        self.assertEqual(server.read(2), b"\x21\x11")
        body = server.read(int.from_bytes(server.read(2), "big"))
        self.assertIn(b"TLSv1.3", body)
        self.relays(user, server)

    def test_beside_a_protocol(self) -> None:
        """Headers go along with any protocol: one comes in, and the same goes out."""
        user = self.server_mode("protocol = imap", "sendProxy = 1", "acceptProxy = 127.0.0.0/8")
        user.say(encode_v1(SOURCE, TARGET))
        server = self.server()
        server.hear(encode_v1(SOURCE, TARGET))
        server.say(b"* OK hi\r\n")
        user.read(len(b"* OK [CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED] IMAP ready\r\n"))
        user.say(b"a STARTTLS\r\n")
        user.hear(b"a OK Begin TLS negotiation now\r\n")
        user.starts_tls()
        self.relays(user, server)

    def test_named_client(self) -> None:
        """The log calls the client by the address in the header."""
        user = self.server_mode("acceptProxy = 127.0.0.1")
        user.say(encode_v1(SOURCE, TARGET) + b"no TLS at all")
        self.assertEqual(user.end(), "reset")
        self.over("SSL_accept: ", "client 192.0.2.1:1025")
        came = [text for text in self.rig.log.texts if "accepted connection from" in text]
        self.assertEqual(came, ["Service [test] accepted connection from 192.0.2.1:1025"])

    def test_named_path(self) -> None:
        """A header that names a UNIX socket gives its path to the log, without a port."""
        user = self.server_mode("acceptProxy = 127.0.0.1")
        ends = b"/run/app".ljust(108, b"\0") + b"/run/service".ljust(108, b"\0")
        user.say(b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8" + ends + b"no TLS at all")
        self.assertEqual(user.end(), "reset")
        self.over("SSL_accept: ", "client /run/app")
        self.assertIn("Service [test] accepted connection from /run/app", self.rig.log.texts)

    def test_missing_header(self) -> None:
        """A listed peer must send one; from all others it is bad TLS."""
        user = self.server_mode("acceptProxy = 127.0.0.1")
        user.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00")
        self.assertEqual(user.end(), "reset")
        self.over("PROXY")
        self.rig.write(self.server_service("acceptProxy = 192.0.2.1"))
        self.rig.reload()
        other = self.user()
        other.say(encode_v1(SOURCE, TARGET))
        self.assertEqual(other.end(), "reset")
        self.assertIn("SSL_accept: ", self.rig.errors()[1])
