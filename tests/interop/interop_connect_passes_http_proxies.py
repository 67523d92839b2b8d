"""HTTP CONNECT: through tinyproxy to a TLS server, and by curl and openssl through ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.doubles.real_programs import free_port
from tests.interop.daemon_site import DaemonSite
from tests.interop.proxy_programs import tinyproxy
from tests.interop.stage import port_of
from tests.interop.web import web_server

if TYPE_CHECKING:
    from collections.abc import Collection

USER, PASSWORD = "ann", "sesame"

PAGE: Final = b"a page\n" * 10_000

#: What curl ends with when a proxy refuses.
REFUSED: Final = 56

#: What it ends with when its connection is reset: while it reads, while it writes, or before both.
RESET: Final = (56, 55, 7)


class ConnectSite(DaemonSite):
    """A web server, with and without our TLS in front of it."""

    def setUp(self) -> None:
        super().setUp()
        self.web = web_server(self, {"page.txt": PAGE})

    def curl(self, url: str, *options: str, status: int | Collection[int] = 0) -> str:
        """What curl gets from *url*; it trusts the test's authority."""
        return self.run_client(
            "curl", "-sS", "--noproxy", "", "--cacert", "ca.pem", *options, url, status=status
        )


class ClientModeTests(ConnectSite):
    """tinyproxy, which wants a password, on the way to a TLS server."""

    def setUp(self) -> None:
        super().setUp()
        far = self.server_mode(self.web)
        self.reached = port_of(far, "server")
        self.proxy = f"127.0.0.1:{free_port()}"
        self.server = tinyproxy(self, self.proxy, self.reached, (USER, PASSWORD))

    def through(self, host: str, password: str = PASSWORD) -> str:
        """The address of a page behind the proxy at *host*."""
        port = self.behind(
            "connect",
            self.proxy,
            f"protocolHost = {host}\nprotocolUsername = {USER}\nprotocolPassword = {password}\n"
            "protocolHeader = X-Test: yes\n",
        )
        return f"http://127.0.0.1:{port}/page.txt"

    def test_page(self) -> None:
        """A curl without TLS and without a proxy gets a page through both."""
        url = self.through(f"127.0.0.1:{self.reached}")
        self.assertEqual(self.curl(url).encode(), PAGE)
        self.server.said(f"CONNECT 127.0.0.1:{self.reached} HTTP/1.1")
        self.assertNotIn(PASSWORD, self.ours.log)

    def test_wrong_password(self) -> None:
        """The proxy's refusal ends it, and the log tells why."""
        url = self.through(f"127.0.0.1:{self.reached}", "wrong-one")
        self.curl(url, status=RESET)
        self.ours.said("the proxy answered 40[17]")
        self.assertNotIn("wrong-one", self.ours.log)

    def test_forbidden_port(self) -> None:
        """So does a refusal of the destination."""
        self.curl(self.through("127.0.0.1:1"), status=RESET)
        self.ours.said("the proxy answered 403")


class ServerModeTests(ConnectSite):
    """We are the proxy, with TLS behind the answer, and reach what is listed only."""

    def setUp(self) -> None:
        super().setUp()
        listed = self.web.rpartition(":")[2]
        self.ours = self.tunnels(
            "[server]\naccept = 127.0.0.1:0\ncert = @server.pem\n"
            f"protocol = connect\nprotocolAllow = 127.0.0.1/32 {listed}\n",
            "server",
        )
        self.port = port_of(self.ours, "server")
        self.options = ("--proxytunnel", "-x", f"http://127.0.0.1:{self.port}")

    def test_page(self) -> None:
        """Both curl and openssl s_client get a page from a server without TLS."""
        self.assertEqual(self.curl(f"https://{self.web}/page.txt", *self.options).encode(), PAGE)
        said = self.run_client(
            "openssl", "s_client", "-proxy", f"127.0.0.1:{self.port}", "-connect", self.web,
            "-CAfile", "ca.pem", "-verify_return_error", "-quiet", "-ign_eof", "-crlf",
            stdin=b"GET /page.txt HTTP/1.0\n\n",
        )  # fmt: skip
        self.assertIn(PAGE.decode(), said)

    def test_not_listed(self) -> None:
        """Nothing else is reached, in whatever way it is written."""
        port = self.web.rpartition(":")[2]
        for place in ("127.0.0.1:1", f"[::1]:{port}", f"0.0.0.0:{port}", f"127.0.0.2:{port}"):
            before = len(self.ours.matches("LOG3"))
            said = self.curl(f"https://{place}/page.txt", "-k", *self.options, status=REFUSED)
            self.assertIn("403", said)
            self.ours.said("LOG3", before + 1)
