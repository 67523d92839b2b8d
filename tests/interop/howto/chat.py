"""XMPP with Prosody and IRC with InspIRCd, both directions."""

from __future__ import annotations

from typing import Final

from tests.doubles.wire import read_to_end
from tests.interop.daemon_site import dial
from tests.interop.howto.machine import FOLDER, Machine
from tests.interop.irc_site import InspIRCdSite, User
from tests.interop.xmpp_site import SERVER, ProsodySite

PAGE: Final = "docs/howto/upgrade-chat.md"


class ChatMachine(Machine):
    """A machine whose names are known."""

    def be_known(self) -> None:
        """Have a certificate for our own names."""
        for name in ("xmpp.example.org", "irc.example.org"):
            self.host(name, "127.0.0.3")
        self.certificate(FOLDER / "chat.pem", "example.org", "irc.example.org")

    def know_others(self) -> None:
        """Know the servers of others."""
        self.host("xmpp.example.org", "127.0.0.11")
        self.host("xmpp.example.net", "127.0.0.12")
        self.host("irc.example.org", "127.0.0.13")


class XMPPTests(ChatMachine, ProsodySite):
    """A user hears itself, and what claims to be a server begins a stream."""

    def test_server(self) -> None:
        """Prosody knows no TLS; clients and servers want it, and know who must be there."""
        self.be_known()
        self.prosody(tls=False, c2s="127.0.0.1:15222", s2s="127.0.0.1:15269")
        ours = self.run_page(PAGE, 0)
        # By its address: slixmpp takes a name for the domain that the certificate has to be for.
        self.check_talk("127.0.0.3:5222", tls=True)
        said = self.s_client(
            "xmpp-server", "xmpp.example.org:5269", "-xmpphost", "example.org", "-quiet",
            "-ign_eof", stdin=SERVER + b"</stream:stream>", name="example.org",
        )  # fmt: skip
        self.assertIn("<stream:features>", said)
        self.assertIn("</stream:stream>", said)
        self.check_used(ours, "xmpp", "xmpp-server")

    def test_client(self) -> None:
        """Prosody talks to nobody without TLS; a user and a server know nothing of it."""
        self.know_others()
        domains = "example.org", "example.net"
        self.certificate(self.site / "server.pem", *domains)
        self.prosody(tls=True, c2s="127.0.0.11:5222", s2s="127.0.0.12:5269", domains=domains)
        ours = self.run_page(PAGE, 1)
        self.check_talk(5222, tls=False)
        with dial(5269) as sock:
            # To the domain that is asked for there.
            # From a domain that is not served here to the one that is asked for there.
            stream = SERVER.replace(b"'example.net'", b"'example.com'")
            sock.sendall(stream.replace(b"'example.org'", b"'example.net'"))
            said = b""
            while b"</stream:features>" not in said:
                fresh = sock.recv(4096)
                self.assertNotEqual(fresh, b"", f"{said!r}\n{self.logs()}")
                said += fresh
            sock.sendall(b"</stream:stream>")
            said += read_to_end(sock)
        self.assertIn(b"from='example.net'", said)
        self.assertIn(b"dialback", said)
        self.assertIn(b"</stream:stream>", said)
        self.check_used(ours, "xmpp", "xmpp-server")


class IRCTests(ChatMachine, InspIRCdSite):
    """One user speaks, another one hears it."""

    def test_server(self) -> None:
        """InspIRCd knows no TLS; users want it, and know who must be there."""
        self.be_known()
        self.inspircd(tls=False, address="127.0.0.1:16667")
        ours = self.run_page(PAGE, 0)
        place = "irc.example.org:6667"
        ann, bob = User.connect("ann", place), User.connect("bob", place)
        for user in (ann, bob):
            user.start_tls(str(self.directory / "ca.pem"), "irc.example.org")
        self.check_talk(ann, bob)
        self.check_used(ours, "irc")

    def test_client(self) -> None:
        """InspIRCd lets nobody register without TLS; users know nothing of it."""
        self.know_others()
        self.certificate(self.site / "server.pem", "irc.example.org")
        self.inspircd(tls=True, address="127.0.0.13:6667")
        ours = self.run_page(PAGE, 1)
        self.check_talk(User.connect("ann", 6667), User.connect("bob", 6667))
        self.check_used(ours, "irc")
