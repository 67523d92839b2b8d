"""Client mode in front of server mode, with the same protocol: ours, and stunnel4 as one side.

The databases, directories and chats meet themselves where their daemons are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.doubles.backends import echo
from tests.doubles.wire import dial, exchange, read_exactly
from tests.interop.stage import Stage, port_of

if TYPE_CHECKING:
    import socket

#: How a server of each protocol greets.
GREETINGS: Final = {
    "cifs": b"",
    "ftp": b"220 ftp.example.org ready\r\n",
    "imap": b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n",
    "irc": b"",
    "lmtp": b"220 mail.example.org LMTP ready\r\n",
    "nntp": b"200 news.example.org ready\r\n",
    "pop3": b"+OK ready\r\n",
    "smtp": b"220 mail.example.org ESMTP ready\r\n",
}

#: What the two programs have in common where stunnel needs no other peer than ours.
SHARED: Final = ("cifs", "imap", "pop3", "smtp")

#: What is said when TLS is up; more than a TLS record holds.
SAID: Final = b"NOOP\r\n" * 20_000


class MeetingTests(Stage):
    """A plain client, two tunnels that negotiate with each other, and a plain server."""

    def server(self, protocol: str) -> int:
        """A server that greets and then echoes; its port."""

        def talk(sock: socket.socket) -> None:
            sock.sendall(GREETINGS[protocol])
            echo(sock)

        return self.backend(talk).port

    def check(self, protocol: str, client: str, server: str) -> None:
        """The client is greeted, and what it says then comes back."""
        near, _ = self.pair(self.server(protocol), f"protocol = {protocol}\n", client, server)
        with dial(port_of(near, "client")) as sock:
            greeting = b""
            while GREETINGS[protocol] and not greeting.endswith(b"\n"):
                fresh = sock.recv(1)
                self.assertNotEqual(fresh, b"", f"{protocol}: {greeting!r}\n{near.log}")
                greeting += fresh
            self.assertEqual(greeting[:3], GREETINGS[protocol][:3])
            sock.sendall(SAID)
            self.assertEqual(read_exactly(sock, len(SAID)), SAID, f"{protocol}\n{near.log}")

    def test_ours(self) -> None:
        """Both sides are ours."""
        for protocol in GREETINGS:
            self.check(protocol, "stunnel-tx", "stunnel-tx")

    def test_stunnel4_is_the_server(self) -> None:
        """Our client mode, and server mode of stunnel's own."""
        for protocol in SHARED:
            self.check(protocol, "stunnel-tx", "stunnel4")

    def test_stunnel4_is_the_client(self) -> None:
        """Client mode of stunnel's own, and our server mode."""
        for protocol in SHARED:
            self.check(protocol, "stunnel4", "stunnel-tx")

    def test_connect(self) -> None:
        """Our client mode goes where it wants to, through our proxy."""
        port = self.backend(echo).port
        for client in ("stunnel-tx", "stunnel4"):
            far = self.tunnels(
                "[server]\naccept = 127.0.0.1:0\ncert = @server.pem\nprotocol = connect\n"
                f"protocolAllow = 127.0.0.0/8 {port}\n",
                f"proxy-for-{client}",
            )
            more = f"protocol = connect\nprotocolHost = 127.0.0.1:{port}\n"
            near = self.client_mode(port_of(far, "server"), more, program=client)
            self.assertEqual(exchange(port_of(near, "client"), b"hello\n"), b"hello\n")
