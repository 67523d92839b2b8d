"""Prosody, and users with slixmpp."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.doubles.real_programs import free_port, missing
from tests.interop.daemon_site import DaemonSite, as_user, host_and_port

if TYPE_CHECKING:
    from collections.abc import Sequence

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
c2s_interfaces = {{ "{c2s[0]}" }}
s2s_interfaces = {{ "{s2s[0]}" }}
c2s_ports = {{ {c2s[1]} }}
s2s_ports = {{ {s2s[1]} }}
modules_enabled = {{ "roster", "saslauth", "dialback", "disco", {modules} }}
authentication = "internal_plain"
log = {{ debug = "*console" }}
{tls}
{domains}
"""

_TLS: Final = "c2s_require_encryption = true\ns2s_require_encryption = true\n"
_PLAIN: Final = (
    "c2s_require_encryption = false\ns2s_require_encryption = false\n"
    "allow_unencrypted_plain_auth = true\n"
)
_SSL: Final = 'ssl = {{ certificate = "{identity}", key = "{identity}" }}\n'

#: A user who says a sentence to itself: host, port, TLS or not, file with the authority, patience.
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
host, port, tls, authority, patience = sys.argv[1:]
if tls == "yes":
    user.ca_certs = authority
else:
    user["feature_mechanisms"].unencrypted_plain = True
    user["feature_mechanisms"].unencrypted_scram = True
user.connect((host, int(port)), disable_starttls=tls == "no", force_starttls=tls == "yes")
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

    def prosody(
        self, *, tls: bool, c2s: str = "", s2s: str = "", domains: Sequence[str] = ("example.org",)
    ) -> dict[str, str]:
        """Run it: with *tls* it talks to nobody without, else it knows no TLS; its addresses.

        It listens at *c2s* for clients and at *s2s* for servers, on free ports without them, and
        serves all *domains*; the user is of ``example.org``.
        """
        data = self.folder("prosody", "prosody")
        accounts = data / "example%2eorg" / "accounts"
        accounts.mkdir(parents=True)
        (accounts / "ann.dat").write_text(f'return {{ ["password"] = "{PASSWORD}" }}\n')
        c2s, s2s = c2s or f"127.0.0.1:{free_port()}", s2s or f"127.0.0.1:{free_port()}"
        places = {name: host_and_port(each) for name, each in (("c2s", c2s), ("s2s", s2s))}
        ssl = _SSL.format(identity=self.identity("prosody")) if tls else ""
        text = _PROSODY.format(
            data=data,
            modules='"tls"' if tls else "",
            tls=_TLS if tls else _PLAIN,
            domains="".join(f'VirtualHost "{domain}"\n{ssl}' for domain in domains),
            **places,
        )
        path = self.file("prosody.cfg.lua", text, "prosody")
        command = as_user("prosody", "prosody", "-F", "--config", str(path))
        self.server = self.daemon("prosody", command, c2s)
        self.accepts(self.server, s2s)
        return {"c2s": c2s, "s2s": s2s}

    def talk(self, address: int | str, *, tls: bool, patience: int = 50) -> str:
        """What a user with slixmpp hears."""
        if not LIBRARY.is_dir():
            missing("python3-slixmpp is not installed")
        host, port = host_and_port(address)
        words = (
            host,
            str(port),
            "yes" if tls else "no",
            str(self.directory / "ca.pem"),
            str(patience),
        )
        return self.run_client(PYTHON, "-c", _TALK, *words)

    def check_talk(self, address: int | str, *, tls: bool) -> None:
        """A user hears itself."""
        heard = self.talk(address, tls=tls)
        wanted = "heard Hello to myself from ann@example.org/here"
        self.assertIn(wanted, heard, f"{heard}\n{self.logs()}")
