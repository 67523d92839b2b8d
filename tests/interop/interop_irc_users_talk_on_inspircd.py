"""Users talk on InspIRCd: STARTTLS both ways, TLS from the start too."""

from __future__ import annotations

from tests.interop.irc_site import InspIRCdSite, User


class ClientModeTests(InspIRCdSite):
    """Users without TLS; InspIRCd lets nobody register without it."""

    def test_talk(self) -> None:
        """Users without TLS talk; without us they are turned away."""
        address = self.inspircd(tls=True)
        direct = User.connect("ann", int(address.rpartition(":")[2]))
        direct.say("NICK ann\r\nUSER ann 0 * :ann")
        direct.hear("ERROR ")
        port = self.behind("irc", address)
        self.check_talk(User.connect("ann", port), User.connect("bob", port))


class ServerModeTests(InspIRCdSite):
    """Users with TLS; InspIRCd knows nothing of it."""

    def setUp(self) -> None:
        super().setUp()
        self.address = self.inspircd(tls=False)
        self.port = self.before("irc", self.address)

    def test_talk(self) -> None:
        """Users talk after STARTTLS, or with TLS from the start."""
        ann, bob = User.connect("ann", self.port), User.connect("bob", self.port)
        authority = str(self.directory / "ca.pem")
        ann.start_tls(authority)
        bob.start_tls(authority, ask=False)
        self.check_talk(ann, bob)

    def test_both_modes(self) -> None:
        """Users without TLS talk through client mode in front of server mode."""
        port = self.behind("irc", f"127.0.0.1:{self.port}")
        self.check_talk(User.connect("ann", port), User.connect("bob", port))

    def test_registration_has_to_wait(self) -> None:
        """Who registers without TLS is refused, and begins anew after STARTTLS."""
        ann, bob = User.connect("ann", self.port), User.connect("bob", self.port)
        authority = str(self.directory / "ca.pem")
        ann.say("PASS secret\r\nNICK eve\r\nUSER eve 0 * :eve")
        ann.hear("ERROR", " 451 ", "NOTICE", " 691 ")
        self.assertNotIn("secret", self.ours.log)
        bob.say("CAP LS 302")
        self.assertIn("tls", bob.hear(" CAP "))
        bob.start_tls(authority)
        bob.join()
        bob.leave()

    def test_s_client(self) -> None:
        """The program openssl s_client registers and leaves."""
        said = self.s_client("irc", self.port, "-quiet", "-ign_eof", "-crlf", stdin=b"QUIT :bye\n")
        self.assertIn("ERROR :Closing", said)

    def test_no_tls_there(self) -> None:
        """Client mode leaves a server that does not answer STARTTLS, and says so in an ERROR."""
        port = self.behind("irc", self.address, "TIMEOUTbusy = 1\n")
        user = User.connect("ann", port)
        user.say("NICK ann\r\nUSER ann 0 * :ann")
        user.hear("ERROR ")
        self.ours.said("LOG3.*")
