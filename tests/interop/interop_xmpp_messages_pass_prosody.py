"""Users talk over Prosody with slixmpp, and servers reach it: STARTTLS of XMPP both ways."""

from __future__ import annotations

from tests.doubles.wire import dial, read_to_end
from tests.interop.xmpp_site import CLIENT, SERVER, ProsodySite


class ClientModeTests(ProsodySite):
    """Users without TLS; Prosody talks to nobody without it."""

    def test_users(self) -> None:
        """A user without TLS logs in and hears itself; without us it is refused."""
        address = self.prosody(tls=True)["c2s"]
        port = self.behind("xmpp", address)
        direct = int(address.rpartition(":")[2])
        self.assertIn("nothing heard", self.talk(direct, tls=False, patience=2))
        self.check_talk(port, tls=False)
        self.server.said("Authenticated as ann@example.org")

    def test_servers(self) -> None:
        """What claims to be a server gets to the dialback of Prosody, over TLS."""
        port = self.behind("xmpp-server", self.prosody(tls=True)["s2s"])
        with dial(port) as sock:
            sock.sendall(SERVER)
            said = b""
            while b"</stream:features>" not in said:
                fresh = sock.recv(4096)
                self.assertNotEqual(fresh, b"", said)
                said += fresh
        self.assertIn(b"dialback", said)
        self.assertNotIn(b"starttls", said)


class ServerModeTests(ProsodySite):
    """Users with TLS; Prosody knows nothing of it."""

    def setUp(self) -> None:
        super().setUp()
        self.addresses = self.prosody(tls=False)

    def test_users(self) -> None:
        """A user hears itself with TLS, or with client mode in front; none gets in without."""
        port = self.before("xmpp", self.addresses["c2s"], "protocolHost = example.org\n")
        self.check_talk(port, tls=True)
        both = self.behind("xmpp", f"127.0.0.1:{port}")
        self.check_talk(both, tls=False)
        before = self.server.log.count("Client connected")
        self.assertIn("nothing heard", self.talk(port, tls=False, patience=2))
        self.assertEqual(self.server.log.count("Client connected"), before)

    def test_servers(self) -> None:
        """The program openssl s_client, as a server, begins a stream with Prosody."""
        port = self.before("xmpp-server", self.addresses["s2s"])
        said = self.s_client(
            "xmpp-server", port, "-xmpphost", "example.org", "-quiet", "-ign_eof",
            stdin=SERVER + b"</stream:stream>",
        )  # fmt: skip
        self.assertIn("<stream:features>", said)
        self.assertIn("</stream:stream>", said)

    def test_s_client(self) -> None:
        """The program openssl s_client, as a client, begins a stream with Prosody."""
        port = self.before("xmpp", self.addresses["c2s"])
        said = self.s_client(
            "xmpp", port, "-xmpphost", "example.org", "-quiet", "-ign_eof",
            stdin=CLIENT + b"</stream:stream>",
        )  # fmt: skip
        self.assertIn("urn:ietf:params:xml:ns:xmpp-sasl", said)
        self.assertNotIn("starttls", said)

    def test_no_tls_there(self) -> None:
        """Client mode refuses a server without TLS, and tells the user with a stream error."""
        port = self.behind("xmpp", self.addresses["c2s"])
        with dial(port) as sock:
            sock.sendall(CLIENT)
            said = read_to_end(sock)
        self.assertIn(b"<stream:error>", said)
        self.ours.said("LOG3.*")
