"""PROXY headers: from HAProxy to us, and from us to HAProxy and nginx, versions 1 and 2."""

from __future__ import annotations

from typing import Final

from tests.doubles.real_programs import free_port
from tests.doubles.wire import refused
from tests.interop.daemon_site import DaemonSite
from tests.interop.stage import port_of

#: Where clients say they come from; the whole 127.0.0.0/8 is this machine.
CLIENT, STRANGER = "127.0.0.5", "127.0.0.9"

_HAPROXY: Final = """
global
  log stderr format raw local0
defaults
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  log global
frontend told
  mode http
  bind 127.0.0.1:{told} accept-proxy
  http-request return status 200 content-type text/plain \
lf-string "[%[src]] to [%[dst]] sni [%[fc_pp_authority]]\\n"
listen first
  mode tcp
  bind 127.0.0.1:{first}
  server ours 127.0.0.1:{ours} send-proxy
listen second
  mode tcp
  bind 127.0.0.1:{second}
  server ours 127.0.0.1:{ours} send-proxy-v2 proxy-v2-options unique-id,crc32c
"""

_NGINX: Final = """
daemon off; master_process off; pid {site}/nginx.pid; error_log stderr info; user root;
events {{ }}
http {{
  access_log off; default_type text/plain;
  client_body_temp_path {site}/t1; proxy_temp_path {site}/t2; fastcgi_temp_path {site}/t3;
  uwsgi_temp_path {site}/t4; scgi_temp_path {site}/t5;
  server {{
    listen 127.0.0.1:{plain} proxy_protocol;
    listen 127.0.0.1:{tls} ssl proxy_protocol;
    ssl_protocols TLSv1.3;
    ssl_certificate {site}/server.pem;
    ssl_certificate_key {site}/server.pem;
    set $told "[$proxy_protocol_addr] to [$proxy_protocol_server_addr]";
    location / {{ return 200 "$told$ssl_protocol\\n"; }}
  }}
}}
"""


class HeaderSite(DaemonSite):
    """HAProxy or nginx, and curl with an address that can be told from others."""

    def haproxy(self, ours: int = 1) -> dict[str, int]:
        """Run HAProxy, with our program expected at port *ours*; its ports by name."""
        ports = {name: free_port() for name in ("told", "first", "second")}
        path = self.file("haproxy.cfg", _HAPROXY.format(ours=ours, **ports))
        self.daemon("haproxy", ["haproxy", "-db", "-f", str(path)], ports["second"])
        return ports

    def nginx(self) -> dict[str, int]:
        """Run nginx; its ports by name."""
        ports = {name: free_port() for name in ("plain", "tls")}
        path = self.file("nginx.conf", _NGINX.format(site=self.site, **ports))
        command = ["nginx", "-p", str(self.site), "-c", str(path)]
        self.daemon("nginx", command, ports["plain"])
        return ports

    def curl(self, url: str, *options: str, source: str = CLIENT, status: int = 0) -> str:
        """What curl gets from *url*, coming from address *source*."""
        return self.run_client(
            "curl", "-sS", "--noproxy", "*", "--cacert", "ca.pem", "--interface", source,
            *options, url, status=status,
        )  # fmt: skip


class SendingTests(HeaderSite):
    """We tell HAProxy and nginx who the client is."""

    def server(self, connect: int, more: str) -> str:
        """The address of server mode in front of *connect*."""
        ours = self.server_mode(connect, more)
        self.running.append(ours)
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
        self.haproxies = self.haproxy(self.port)
        self.ours = self.tunnels(
            f"[server]\naccept = 127.0.0.1:{self.port}\ncert = @server.pem\n"
            f"connect = 127.0.0.1:{self.haproxies['told']}\n"
            "acceptProxy = 127.0.0.1/32\nsendProxy = 2\n",
            "server",
        )
        self.running.append(self.ours)

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
