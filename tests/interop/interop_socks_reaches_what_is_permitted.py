"""SOCKS inside TLS: our client mode with microsocks and Dante, curl with our server mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.doubles.real_programs import free_port
from tests.interop.daemon_site import DaemonSite, need_users
from tests.interop.proxy_programs import microsocks
from tests.interop.stage import port_of
from tests.interop.web import web_server

if TYPE_CHECKING:
    from collections.abc import Collection

USER, PASSWORD = "ann", "sesame"

PAGE: Final = b"a page\n" * 10_000

_DANTE: Final = """
logoutput: stderr
internal: 127.0.0.1 port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 127.0.0.0/8 }}
"""

#: What curl ends with when a SOCKS server refuses.
REFUSED: Final = 97

#: What it ends with when its connection is reset: while it reads, while it writes, or before both.
RESET: Final = (56, 55, 7)


class SocksSite(DaemonSite):
    """A web server to be reached."""

    def setUp(self) -> None:
        super().setUp()
        self.web = web_server(self, {"page.txt": PAGE})
        self.web_port = self.web.rpartition(":")[2]

    def curl(self, url: str, *options: str, status: int | Collection[int] = 0) -> str:
        """What curl gets from *url*."""
        return self.run_client("curl", "-sS", "--noproxy", "", *options, url, status=status)


class ClientModeTests(SocksSite):
    """SOCKS servers behind a TLS server; the client knows neither SOCKS nor TLS."""

    def through(self, server: int, more: str = "", host: str = "") -> str:
        """The address of a page behind the SOCKS server at port *server*."""
        far = self.server_mode(server)
        place = host or self.web
        port = self.behind(
            "socks", f"127.0.0.1:{port_of(far, 'server')}", f"protocolHost = {place}\n{more}"
        )
        return f"http://127.0.0.1:{port}/page.txt"

    def test_dante(self) -> None:
        """A page comes through Dante, by address and by name; a refusal ends it."""
        port = free_port()
        need_users()
        path = self.file("danted.conf", _DANTE.format(port=port))
        self.daemon("danted", ["danted", "-f", str(path)], port)
        self.assertEqual(self.curl(self.through(port)).encode(), PAGE)
        by_name = self.through(port, host=f"localhost:{self.web_port}")
        self.assertEqual(self.curl(by_name).encode(), PAGE)
        self.curl(self.through(port, host="192.0.2.77:80"), status=RESET)
        self.ours.said("SOCKS5 request failed.*not allowed|SOCKS.*failed.*rul")

    def test_password(self) -> None:
        """A page comes through microsocks, which wants a password; a wrong one ends it."""
        port = free_port()
        microsocks(self, f"127.0.0.1:{port}", (USER, PASSWORD))
        secret = "protocolUsername = {}\nprotocolPassword = {}\n"
        url = self.through(port, secret.format(USER, PASSWORD))
        self.assertEqual(self.curl(url).encode(), PAGE)
        self.assertNotIn(PASSWORD, self.ours.log)
        self.curl(self.through(port, secret.format(USER, "wrong-one")), status=RESET)
        self.ours.said("refused user and password")
        self.assertNotIn("wrong-one", self.ours.log)


class ServerModeTests(SocksSite):
    """curl speaks SOCKS, through our client mode without a protocol, to our server mode."""

    def proxy(self, more: str = "") -> str:
        """The address of the SOCKS server as a local one."""
        self.ours = self.tunnels(
            f"[server]\naccept = 127.0.0.1:0\ncert = @server.pem\nprotocol = socks\n{more}",
            "server",
        )
        near = self.client_mode(port_of(self.ours, "server"))
        return f"127.0.0.1:{port_of(near, 'client')}"

    def test_versions(self) -> None:
        """Every version of SOCKS that curl speaks reaches what is listed, and nothing else."""
        proxy = self.proxy(f"protocolAllow = 127.0.0.1/32 {self.web_port}\n")
        for option in ("--socks4", "--socks4a", "--socks5", "--socks5-hostname"):
            page = self.curl(f"http://{self.web}/page.txt", option, proxy)
            self.assertEqual(page.encode(), PAGE, option)
            self.curl("http://127.0.0.1:1/", option, proxy, status=REFUSED)
            self.curl(f"http://127.0.0.2:{self.web_port}/", option, proxy, status=REFUSED)
        said = self.curl("http://127.0.0.1:1/", "--socks5", proxy, status=REFUSED)
        self.assertIn("(2)", said)

    def test_nothing_local(self) -> None:
        """Unless it is listed nothing of this machine is reached, in whatever way it is written."""
        proxy = self.proxy()
        for host in ("127.0.0.1", "0.0.0.0", "localhost", "0", "127.1", "[::1]", "[::]",
                     "[::ffff:127.0.0.1]", "[::127.0.0.1]", "2130706433", "169.254.169.254",
                     "224.0.0.1", "[fe80::1]", "[64:ff9b::7f00:1]"):  # fmt: skip
            url = f"http://{host}:{self.web_port}/page.txt"
            said = self.curl(url, "--socks5-hostname", proxy, status=REFUSED)
            self.assertIn("(2)", said, host)

    def test_true_outcome(self) -> None:
        """The answer tells what became of the connection: refused is 5."""
        closed = free_port()
        proxy = self.proxy(f"protocolAllow = 127.0.0.1/32 {closed}\n")
        said = self.curl(f"http://127.0.0.1:{closed}/", "--socks5", proxy, status=REFUSED)
        self.assertIn("(5)", said)

    def test_password(self) -> None:
        """Clients have to know the password, where there is one."""
        proxy = self.proxy(
            f"protocolAllow = 127.0.0.1/32 {self.web_port}\n"
            f"protocolUsername = {USER}\nprotocolPassword = {PASSWORD}\n"
        )
        url = f"http://{self.web}/page.txt"
        page = self.curl(url, "--socks5", proxy, "--proxy-user", f"{USER}:{PASSWORD}")
        self.assertEqual(page.encode(), PAGE)
        self.curl(url, "--socks5", proxy, "--proxy-user", f"{USER}:wrong-one", status=REFUSED)
        self.curl(url, "--socks5", proxy, status=REFUSED)
        self.curl(url, "--socks4", proxy, status=REFUSED)
        for secret in (PASSWORD, "wrong-one"):
            self.assertNotIn(secret, self.ours.log)

    def test_both_modes(self) -> None:
        """A curl that knows neither SOCKS nor TLS gets a page through both our modes."""
        self.proxy(f"protocolAllow = 127.0.0.1/32 {self.web_port}\n")
        port = self.behind(
            "socks", f"127.0.0.1:{port_of(self.ours, 'server')}", f"protocolHost = {self.web}\n"
        )
        self.assertEqual(self.curl(f"http://127.0.0.1:{port}/page.txt").encode(), PAGE)
