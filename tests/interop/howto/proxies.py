"""HTTP CONNECT and SOCKS, as client and as proxy, and PROXY headers."""

from __future__ import annotations

import smtplib
from pathlib import Path
from typing import Final

from tests.doubles.real_programs import free_port
from tests.interop.daemon_site import DaemonSite
from tests.interop.header_site import CLIENT, HeaderSite
from tests.interop.howto.machine import FOLDER, Machine
from tests.interop.mail_site import MAILBOX, PASSWORD, USER, Site, message
from tests.interop.proxy_programs import microsocks, tinyproxy
from tests.interop.redis_server import check_value, redis_with_tls
from tests.interop.web import web_server

PAGE: Final = "docs/howto/upgrade-proxies.md"

TEXT: Final = b"a page\n" * 10_000

#: What curl ends with when a SOCKS server refuses.
REFUSED: Final = 97


class ThroughTests(Machine, DaemonSite):
    """Clients that know of no proxy, and of no TLS."""

    ADDRESSES: Final = {
        "db.example.org": "127.0.0.11",
        "desktop.example.org": "127.0.0.12",
        "proxy.example.net": "127.0.0.13",
        "socks.example.net": "127.0.0.14",
    }

    def setUp(self) -> None:
        super().setUp()
        for name, address in self.ADDRESSES.items():
            self.host(name, address)
        self.certificate(self.site / "server.pem", "db.example.org", "socks.example.net")

    def test_http(self) -> None:
        """A Redis server with TLS is reached through tinyproxy, which wants a password."""
        redis_with_tls(self, "127.0.0.11:6380")
        login = "joe", "correct-horse-battery-staple"
        proxy = tinyproxy(self, "127.0.0.13:3128", 6380, login)
        ours = self.run_page(PAGE, 0)
        check_value(self, 6380)
        proxy.said("CONNECT db.example.org:6380 HTTP/1.1")
        self.check_used(ours, "through-http")

    def test_socks(self) -> None:
        """A desktop is reached through microsocks behind TLS of stunnel4."""
        web_server(self, {"page.txt": TEXT}, "127.0.0.12:5900")
        inside = f"127.0.0.1:{free_port()}"
        microsocks(self, inside)
        self.tunnels(
            f"[socks]\naccept = 127.0.0.14:1443\nconnect = {inside}\n"
            f"cert = {self.site}/server.pem\n",
            program="stunnel4",
        )
        ours = self.run_page(PAGE, 0)
        page = self.run_client("curl", "-sS", "--noproxy", "*", "http://127.0.0.1:5901/page.txt")
        self.assertEqual(page.encode(), TEXT)
        self.check_used(ours, "through-socks")


class ProxyTests(Machine, DaemonSite):
    """Clients that have shown a certificate go where they may."""

    HOST: Final = "proxy.example.net"

    def setUp(self) -> None:
        super().setUp()
        self.host(self.HOST, "127.0.0.3")
        self.certificate(FOLDER / "proxy.pem", self.HOST)
        self.papers.authority.pem(FOLDER / "clients-ca.pem")

    def test_socks(self) -> None:
        """A curl gets there by way of client mode of stunnel4."""
        web = web_server(self, {"page.txt": TEXT}, "127.0.0.1:5909")
        ours = self.run_page(PAGE, 1)
        near = f"127.0.0.1:{free_port()}"
        self.tunnels(
            f"[socks]\nclient = yes\naccept = {near}\nconnect = {self.HOST}:1443\n"
            f"verifyChain = yes\nCAfile = @ca.pem\ncheckHost = {self.HOST}\ncert = @client.pem\n",
            program="stunnel4",
        )
        curl = "curl", "-sS", "--noproxy", "", "--socks5-hostname", near
        self.assertEqual(self.run_client(*curl, f"http://{web}/page.txt").encode(), TEXT)
        self.run_client(*curl, "http://127.0.0.1:8080/", status=REFUSED)
        self.check_used(ours, "socks")

    def test_http(self) -> None:
        """A session of openssl s_client gets there, and not without a certificate."""
        web = web_server(self, {"page.txt": TEXT}, "192.0.2.80:8080")
        ours = self.run_page(PAGE, 1)
        session = (
            "openssl", "s_client", "-proxy", f"{self.HOST}:3128", "-connect", web, "-CAfile",
            "ca.pem", "-verify_return_error", "-verify_hostname", self.HOST, "-quiet", "-ign_eof",
            "-crlf",
        )  # fmt: skip
        request = b"GET /page.txt HTTP/1.0\n\n"
        self.run_client(*session, stdin=request, status=1)
        said = self.run_client(*session, "-cert", "client.pem", stdin=request)
        self.assertIn(TEXT.decode(), said)
        self.check_used(ours, "http")


class HeaderTests(Machine, HeaderSite, Site):
    """Servers and a balancer that talk of the client."""

    HOST: Final = "web.example.org"

    def setUp(self) -> None:
        super().setUp()
        self.host(self.HOST, "127.0.0.1")
        self.certificate(FOLDER / "web.pem", self.HOST)

    def test_web(self) -> None:
        """Nginx learns who the client is."""
        self.nginx(plain="127.0.0.1:8080")
        ours = self.run_page(PAGE, 2)
        told = self.curl(f"https://{self.HOST}/")
        self.assertEqual(told, f"[{CLIENT}] to [127.0.0.1]\n")
        self.check_used(ours, "web")

    def test_mail(self) -> None:
        """Dovecot learns who its client is, and Postfix who that of haproxy is."""
        ports = {"imap": 10143, "pop3": 10110, "lmtp": 10024, "sieve": 14190}
        store = self.dovecot(tls=False, hosts=["127.0.0.1"], ports=ports, told=True)
        self.postfix(store.address("lmtp"), tls=False, address="127.0.0.1:10587", told=True)
        ours = self.run_page(PAGE, 2)
        said = self.run_client(
            "curl", "-sS", "--cacert", "ca.pem", "--ssl-reqd", "--interface", CLIENT,
            "-u", f"{USER}:{PASSWORD}", f"imap://{self.HOST}/", "-X", "EXAMINE INBOX",
        )  # fmt: skip
        self.assertIn("EXISTS", said)
        store.program.said(f"Login: user=<{USER}>.* rip={CLIENT},")
        balancer = self.haproxy("127.0.0.1:587", "10.0.0.7")
        for version in ("first", "second"):
            source = CLIENT, 0
            with smtplib.SMTP(self.HOST, balancer[version], source_address=source) as client:
                client.starttls(context=self.trusting())
                client.sendmail("bob@example.net", [MAILBOX], message(version))
            self.assertIn(f"[{CLIENT}])", self.delivered(version))
        self.check_used(ours, "imap", "submission")

    def test_client(self) -> None:
        """The nginx of others learns who the client of haproxy is."""
        self.host(self.HOST, "127.0.0.11")
        Path("/run/out").mkdir()
        self.certificate(self.site / "server.pem", self.HOST)
        self.nginx(tls="127.0.0.11:443")
        ours = self.run_page(PAGE, 3)
        balancer = self.haproxy("unix@/run/out/socket")
        for version in ("first", "second"):
            told = self.curl(f"http://127.0.0.1:{balancer[version]}/")
            self.assertEqual(told, f"[{CLIENT}] to [127.0.0.1]TLSv1.3\n")
        self.check_used(ours, "out")
