"""HAProxy and nginx, which understand PROXY headers, and curl."""

from __future__ import annotations

from typing import Final

from tests.doubles.real_programs import free_port
from tests.interop.daemon_site import DaemonSite

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
  {source}
  server ours {ours} send-proxy
listen second
  mode tcp
  bind 127.0.0.1:{second}
  {source}
  server ours {ours} send-proxy-v2 proxy-v2-options unique-id,crc32c
"""

_NGINX: Final = """
daemon off; master_process off; pid {site}/nginx.pid; error_log stderr info; user root;
events {{ }}
http {{
  access_log off; default_type text/plain;
  client_body_temp_path {site}/t1; proxy_temp_path {site}/t2; fastcgi_temp_path {site}/t3;
  uwsgi_temp_path {site}/t4; scgi_temp_path {site}/t5;
  server {{
    listen {plain} proxy_protocol;
    listen {tls} ssl proxy_protocol;
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

    def haproxy(self, ours: str = "127.0.0.1:1", source: str = "") -> dict[str, int]:
        """Run HAProxy; its ports by name.

        It expects our program at *ours*, an address as it writes them, and goes there from
        address *source* if that is given.
        """
        ports = {name: free_port() for name in ("told", "first", "second")}
        source = f"source {source}" if source else ""
        text = _HAPROXY.format(ours=ours, source=source, **ports)
        path = self.file("haproxy.cfg", text)
        self.daemon("haproxy", ["haproxy", "-db", "-f", str(path)], ports["second"])
        return ports

    def nginx(self, **addresses: str) -> dict[str, str]:
        """Run nginx; where it listens without TLS (``plain``) and with it (``tls``).

        That is a free port where *addresses* have nothing.
        """
        for name in ("plain", "tls"):
            addresses.setdefault(name, f"127.0.0.1:{free_port()}")
        path = self.file("nginx.conf", _NGINX.format(site=self.site, **addresses))
        command = ["nginx", "-p", str(self.site), "-c", str(path)]
        self.daemon("nginx", command, addresses["plain"])
        return addresses

    def curl(self, url: str, *options: str, source: str = CLIENT, status: int = 0) -> str:
        """What curl gets from *url*, coming from address *source*."""
        return self.run_client(
            "curl", "-sS", "--noproxy", "*", "--cacert", "ca.pem", "--interface", source,
            *options, url, status=status,
        )  # fmt: skip
