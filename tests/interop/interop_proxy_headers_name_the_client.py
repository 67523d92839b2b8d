"""PROXY headers: from HAProxy to us, and from us to HAProxy and nginx, versions 1 and 2."""

from __future__ import annotations

from tests.doubles.real_programs import free_port
from tests.doubles.wire import refused
from tests.interop.header_site import CLIENT, STRANGER, HeaderSite
from tests.interop.stage import port_of


class SendingTests(HeaderSite):
    """We tell HAProxy and nginx who the client is."""

    def server(self, connect: int | str, more: str) -> str:
        """The address of server mode in front of *connect*."""
        ours = self.server_mode(connect, more)
        return f"https://127.0.0.1:{port_of(ours, 'server')}/"

    def test_server_mode(self) -> None:
        """Both learn the client's address from either version, and from protocol = proxy."""
        haproxy, nginx = self.haproxy()["told"], self.nginx()["plain"]
        for more in ("protocol = proxy\n", "sendProxy = 1\n", "sendProxy = 2\n"):
            said = self.curl(self.server(haproxy, more))
            self.assertIn(f"[{CLIENT}] to [127.0.0.1] sni ", said, more)
            said = self.curl(self.server(nginx, more))
            self.assertEqual(said, f"[{CLIENT}] to [127.0.0.1]\n", more)

    def test_server_name(self) -> None:
        """With version 2 HAProxy also learns the name that the client asked for."""
        url = self.server(self.haproxy()["told"], "sendProxy = 2\n")
        host = url.replace("127.0.0.1", "localhost")
        said = self.curl(host, "--ipv4")
        self.assertIn("sni [localhost]", said)

    def test_client_mode(self) -> None:
        """The header comes before TLS, and nginx learns who the plain client is."""
        tls = self.nginx()["tls"]
        for version in (1, 2):
            ours = self.client_mode(tls, f"sendProxy = {version}\n")
            said = self.curl(f"http://127.0.0.1:{port_of(ours, 'client')}/")
            self.assertEqual(said, f"[{CLIENT}] to [127.0.0.1]TLSv1.3\n")


class AcceptingTests(HeaderSite):
    """HAProxy tells us who the client is; nobody else may."""

    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()
        self.haproxies = self.haproxy(f"127.0.0.1:{self.port}")
        self.ours = self.tunnels(
            f"[server]\naccept = 127.0.0.1:{self.port}\ncert = @server.pem\n"
            f"connect = 127.0.0.1:{self.haproxies['told']}\n"
            "acceptProxy = 127.0.0.1/32\nsendProxy = 2\n",
            "server",
        )

    def test_versions(self) -> None:
        """Either version is understood, logged, and told to the next program."""
        for name in ("first", "second"):
            said = self.curl(f"https://127.0.0.1:{self.haproxies[name]}/")
            self.assertIn(f"[{CLIENT}] to [127.0.0.1]", said, name)
        for version in (1, 2):
            self.ours.said(f"PROXY header of version {version}: client {CLIENT}:")

    def test_stranger(self) -> None:
        """Who is not listed is who it is, and refused with a header."""
        url = f"https://127.0.0.1:{self.port}/"
        self.assertIn(f"[{STRANGER}] to [127.0.0.1]", self.curl(url, source=STRANGER))
        said = self.curl(url, "--haproxy-protocol", source=STRANGER, status=35)
        self.assertIn("curl: (35)", said)
        self.ours.said("LOG3.*")

    def test_no_header(self) -> None:
        """Who is listed and sends none is refused."""
        self.assertTrue(refused(self.port))
        self.ours.said("LOG3.*")

    def test_curl(self) -> None:
        """The client curl sends a header of its own."""
        url = f"https://127.0.0.1:{self.port}/"
        said = self.curl(url, "--haproxy-protocol", source="127.0.0.1")
        self.assertIn("[127.0.0.1] to [127.0.0.1]", said)


class BalancedTests(HeaderSite):
    """An address that HAProxy alone reaches, as an endpoint string."""

    def test_endpoint(self) -> None:
        """Behind haproxy: the client is named from the first line on, and to the next program."""
        port = free_port()
        balancer = self.haproxy(f"127.0.0.1:{port}")
        ours = self.tunnels(
            f"[server]\naccept = haproxy:tcp:{port}:interface=127.0.0.1\ncert = @server.pem\n"
            f"connect = 127.0.0.1:{balancer['told']}\nsendProxy = 2\n",
            "server",
        )
        for name in ("first", "second"):
            said = self.curl(f"https://127.0.0.1:{balancer[name]}/")
            self.assertIn(f"[{CLIENT}] to [127.0.0.1]", said, name)
        ours.said(rf"Service \[server\] accepted connection from {CLIENT}:\d+$", 2)
        self.assertEqual(ours.matches(r"accepted connection from 127\.0\.0\.1"), [])
