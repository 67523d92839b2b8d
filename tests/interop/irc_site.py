"""InspIRCd, and users who talk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.doubles.real_programs import free_port
from tests.interop.daemon_site import DaemonSite, as_user, dial, host_and_port

if TYPE_CHECKING:
    import socket
    from typing import Self

_INSPIRCD: Final = """
<server name="irc.example.org" description="A test" network="Example" id="1AB">
<admin name="Ann" nick="ann" email="ann@example.org">
<bind address="{host}" port="{port}" type="clients">
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
    def connect(cls, nick: str, address: int | str) -> Self:
        """Connect to *address*, a loopback port or HOST:PORT, and say nothing."""
        return cls(nick, dial(address))

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

    def start_tls(self, authority: str, host: str = "localhost", *, ask: bool = True) -> None:
        """Ask for TLS unless told otherwise, and begin it; the server must be *host*."""
        if ask:
            self.say("STARTTLS")
            self.hear(" 670 ")
        import ssl

        context = ssl.create_default_context(cafile=authority)
        self._socket = context.wrap_socket(self._socket, server_hostname=host)
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

    def inspircd(self, *, tls: bool, address: str = "") -> str:
        """Run it: with *tls* it lets nobody register without, else it knows no TLS.

        It listens at *address*, on a free port without one.
        """
        folder = self.folder("irc", "irc")
        host, port = host_and_port(address or free_port())
        text = _INSPIRCD.format(
            host=host,
            port=port,
            folder=folder,
            classes=_TLS_ONLY if tls else _CLASS.format("all", ""),
            tls=_TLS.format(identity=self.identity("irc")) if tls else "",
        )
        path = self.file("inspircd.conf", text, "irc")
        command = as_user("irc", "inspircd", "--nofork", "--nopid", "--config", str(path))
        self.server = self.daemon("inspircd", command, f"{host}:{port}")
        return f"{host}:{port}"

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
