"""Users talk over Prosody with slixmpp, and servers reach it: STARTTLS of XMPP both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.doubles.real_programs import free_port, missing
from tests.doubles.wire import dial, read_to_end
from tests.interop.daemon_site import DaemonSite, as_user

#: The user's, in the script below too.
PASSWORD: Final = "open sesame"

#: An interpreter that has slixmpp, and where it has it: Debian's own.
PYTHON: Final = "/usr/bin/python3"
LIBRARY: Final = Path("/usr/lib/python3/dist-packages/slixmpp")

_PROSODY: Final = """
pidfile = "{data}/pid"
data_path = "{data}"
plugin_paths = {{}}
daemonize = false
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {c2s} }}
s2s_ports = {{ {s2s} }}
modules_enabled = {{ "roster", "saslauth", "dialback", "disco", {modules} }}
authentication = "internal_plain"
log = {{ debug = "*console" }}
{tls}
VirtualHost "example.org"
{ssl}
"""

_TLS: Final = "c2s_require_encryption = true\ns2s_require_encryption = true\n"
_PLAIN: Final = (
    "c2s_require_encryption = false\ns2s_require_encryption = false\n"
    "allow_unencrypted_plain_auth = true\n"
)
_SSL: Final = 'ssl = {{ certificate = "{identity}", key = "{identity}" }}\n'

#: A user who says a sentence to itself: port, TLS or not, file with the authority, patience.
_TALK: Final = """
import asyncio, ssl, sys
import slixmpp

class User(slixmpp.ClientXMPP):
    def __init__(self):
        super().__init__("ann@example.org/here", "open sesame")
        self.add_event_handler("session_start", self.begin)
        self.add_event_handler("message", self.hear)
        self.add_event_handler("failed_all_auth", lambda _: self.disconnect())
        self.add_event_handler("connection_failed", lambda _: self.abort())

    def begin(self, _):
        self.send_presence()
        self.send_message("ann@example.org", "Hello to myself", mtype="chat")

    def hear(self, message):
        print("heard", message["body"], "from", message["from"], flush=True)
        self.disconnect()

user = User()
port, tls, authority, patience = sys.argv[1:]
if tls == "yes":
    user.ca_certs = authority
else:
    user["feature_mechanisms"].unencrypted_plain = True
    user["feature_mechanisms"].unencrypted_scram = True
user.connect(("127.0.0.1", int(port)), disable_starttls=tls == "no", force_starttls=tls == "yes")
try:
    asyncio.get_event_loop().run_until_complete(asyncio.wait_for(user.disconnected, int(patience)))
except asyncio.TimeoutError:
    print("nothing heard")
"""

_STREAM: Final = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:%b' to='example.org' version='1.0'"
    b" xmlns:stream='http://etherx.jabber.org/streams'%b>"
)
CLIENT: Final = _STREAM % (b"client", b"")
SERVER: Final = _STREAM % (b"server", b" from='example.net' xmlns:db='jabber:server:dialback'")


class ProsodySite(DaemonSite):
    """Prosody with one user."""

    def prosody(self, *, tls: bool) -> dict[str, str]:
        """Run it: with *tls* it talks to nobody without, else it knows no TLS; its addresses."""
        data = self.folder("prosody", "prosody")
        accounts = data / "example%2eorg" / "accounts"
        accounts.mkdir(parents=True)
        (accounts / "ann.dat").write_text(f'return {{ ["password"] = "{PASSWORD}" }}\n')
        ports = {"c2s": free_port(), "s2s": free_port()}
        text = _PROSODY.format(
            data=data,
            modules='"tls"' if tls else "",
            tls=_TLS if tls else _PLAIN,
            ssl=_SSL.format(identity=self.identity("prosody")) if tls else "",
            **ports,
        )
        path = self.file("prosody.cfg.lua", text, "prosody")
        command = as_user("prosody", "prosody", "-F", "--config", str(path))
        self.server = self.daemon("prosody", command, ports["c2s"])
        return {name: f"127.0.0.1:{port}" for name, port in ports.items()}

    def talk(self, port: int, *, tls: bool, patience: int = 10) -> str:
        """What a user with slixmpp hears."""
        if not LIBRARY.is_dir():
            missing("python3-slixmpp is not installed")
        words = str(port), "yes" if tls else "no", str(self.directory / "ca.pem"), str(patience)
        return self.run_client(PYTHON, "-c", _TALK, *words)

    def check_talk(self, port: int, *, tls: bool) -> None:
        """A user hears itself."""
        heard = self.talk(port, tls=tls)
        self.assertIn("heard Hello to myself from ann@example.org/here", heard, self.logs())


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
