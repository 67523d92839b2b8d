"""Users talk on InspIRCd: STARTTLS both ways, TLS from the start too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.doubles.real_programs import free_port
from tests.doubles.wire import dial
from tests.interop.daemon_site import DaemonSite, as_user

if TYPE_CHECKING:
    import socket
    from typing import Self

_INSPIRCD: Final = """
<server name="irc.example.org" description="A test" network="Example" id="1AB">
<admin name="Ann" nick="ann" email="ann@example.org">
<bind address="127.0.0.1" port="{port}" type="clients">
{classes}
<files motd="">
<log method="file" type="*" level="debug" target="{folder}/log">
{tls}
"""

_CLASS: Final = '<connect name="{0}" allow="*" resolvehostnames="no" localmax="50" {1}>\n'

#: Who has no TLS when it connects is judged again when it registers, and has no such password.
_TLS_ONLY: Final = _CLASS.format("tls", 'requiressl="yes"') + _CLASS.format(
    "plain", 'password="nobody knows"'
)

_TLS: Final = """
<module name="sslinfo"><module name="ssl_gnutls"><module name="cap"><module name="starttls">
<sslprofile name="Clients" provider="gnutls" certfile="{identity}" keyfile="{identity}"
  requestclientcert="no">
<starttls sslprofile="Clients">
"""


class User:
    """A user on a connection that is plain at first."""

    def __init__(self, nick: str, sock: socket.socket) -> None:
        self.nick = nick
        self._socket = sock
        self._lines = sock.makefile("rb")

    @classmethod
    def connect(cls, nick: str, port: int) -> Self:
        """Connect to *port*, and say nothing."""
        return cls(nick, dial(port))

    def say(self, line: str) -> None:
        """Send a line."""
        self._socket.sendall(line.encode() + b"\r\n")

    def hear(self, *expected: str) -> str:
        """The next line that contains one of *expected*, whatever comes before."""
        heard = []
        while line := self._lines.readline().decode():
            heard.append(line)
            if line.startswith("PING "):
                self.say(line.replace("PING", "PONG", 1).rstrip())
            if any(each in line for each in expected):
                return line.rstrip()
        raise AssertionError(f"{self.nick} has not heard {expected}: {heard}")

    def start_tls(self, authority: str, *, ask: bool = True) -> None:
        """Ask for TLS unless told otherwise, and begin it."""
        if ask:
            self.say("STARTTLS")
            self.hear(" 670 ")
        import ssl

        context = ssl.create_default_context(cafile=authority)
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost")
        self._lines = self._socket.makefile("rb")

    def join(self) -> None:
        """Register and join the channel."""
        self.say(f"NICK {self.nick}\r\nUSER {self.nick} 0 * :{self.nick}")
        self.hear(f" 001 {self.nick} ")
        self.say("JOIN #tea")
        self.hear(" 366 ")

    def leave(self) -> None:
        """Say goodbye."""
        self.say("QUIT :gone")
        self.hear("ERROR ")
        self._lines.close()
        self._socket.close()


class InspIRCdSite(DaemonSite):
    """InspIRCd with users who talk."""

    def inspircd(self, *, tls: bool) -> str:
        """Run it: with *tls* it lets nobody register without, else it knows no TLS."""
        folder, port = self.folder("irc", "irc"), free_port()
        text = _INSPIRCD.format(
            port=port,
            folder=folder,
            classes=_TLS_ONLY if tls else _CLASS.format("all", ""),
            tls=_TLS.format(identity=self.identity("irc")) if tls else "",
        )
        path = self.file("inspircd.conf", text, "irc")
        command = as_user("irc", "inspircd", "--nofork", "--nopid", "--config", str(path))
        self.server = self.daemon("inspircd", command, port)
        return f"127.0.0.1:{port}"

    def check_talk(self, ann: User, bob: User) -> None:
        """Both join, one speaks, the other one hears it."""
        ann.join()
        bob.join()
        ann.hear(":bob!", "JOIN")
        bob.say("PRIVMSG #tea :hello " + "x" * 300)
        self.assertTrue(ann.hear("PRIVMSG").endswith("hello " + "x" * 300))
        ann.leave()
        bob.hear(":ann!")
        bob.leave()


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
