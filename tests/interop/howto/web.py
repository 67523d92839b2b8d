"""The README, the tutorial, and the pages whose configurations speak no protocol."""

from __future__ import annotations

import re
from typing import Final

from tests.interop.daemon_site import DaemonSite
from tests.interop.directory_site import SlapdSite
from tests.interop.howto.machine import FOLDER, Machine
from tests.interop.howto.pages import text
from tests.interop.redis_server import check_value, redis_with_tls
from tests.interop.web import web_server

#: Larger than a TLS record.
PAGE: Final = b"a page\n" * 10_000


class WebMachine(Machine, DaemonSite):
    """A machine with curl."""

    def curl(self, url: str, *options: str, status: int = 0, authority: str = "ca.pem") -> str:
        """What curl gets from *url*; it trusts *authority*."""
        common = "-sS", "--noproxy", "*", "--cacert", authority
        return self.run_client("curl", *common, *options, url, status=status)


class ReadmeTests(WebMachine):
    """The configuration in the README."""

    def setUp(self) -> None:
        super().setUp()
        self.host("www.example.org", "127.0.0.3")
        self.certificate(FOLDER / "web.pem", "www.example.org")
        self.host("redis.example.org", "127.0.0.11")

    def test_web(self) -> None:
        """A page of nginx is fetched over TLS."""
        web_server(self, {"page.txt": PAGE}, "127.0.0.1:8080")
        ours = self.run_page("README.md")
        self.assertEqual(self.curl("https://www.example.org/page.txt").encode(), PAGE)
        self.check_used(ours, "web")

    def test_redis(self) -> None:
        """A value is stored in Redis, which speaks TLS, and read again."""
        self.certificate(self.site / "server.pem", "redis.example.org")
        redis_with_tls(self, "127.0.0.11:6380")
        ours = self.run_page("README.md")
        check_value(self, 6379)
        self.check_used(ours, "redis")


class TutorialTests(WebMachine):
    """The tutorial."""

    def test_tour(self) -> None:
        """Both configurations, with the certificate that is made there, show the page."""
        page = "docs/tutorial/first-tunnel.md"
        commands = re.findall(r"^(openssl req (?:.*\\\n)*.*)$", text(page), re.MULTILINE)
        self.run_client("sh", "-e", "-c", "\n".join(commands))
        web_server(self, {"index.html": b"hello\n"}, "127.0.0.1:8080")
        server, client = self.run_page(page, 0), self.run_page(page, 1)
        self.assertEqual(self.curl("https://localhost:8443/", authority="cert.pem"), "hello\n")
        self.assertEqual(self.curl("http://127.0.0.1:8081/"), "hello\n")
        self.check_used(server, "web")
        self.check_used(client, "door")


class NamesTests(WebMachine):
    """Several names on one port."""

    def test_names(self) -> None:
        """Each name has its own pages, and some are for clients with a certificate."""
        names = {
            "www": ["www.example.org"],
            "shop": ["shop.example.org", "*.shop.example.org"],
            "partners": ["partners.example.org"],
        }
        for number, (section, served) in enumerate(names.items()):
            self.certificate(FOLDER / f"{section}.pem", *served)
            page = f"pages of {section}\n".encode()
            web_server(self, {"index.html": page}, f"127.0.0.1:{8080 + number}")
        self.papers.authority.pem(FOLDER / "partners-ca.pem")
        asked = ["www", "shop", "old.shop", "partners"]
        for name in asked:
            self.host(f"{name}.example.org", "127.0.0.3")
        ours = self.run_page("docs/howto/names.md")
        for name in asked:
            got = self.curl(f"https://{name}.example.org/", "--cert", "client.pem")
            self.assertEqual(got, f"pages of {name.rpartition('.')[2]}\n")
        # 56: curl has received an alert instead of a page.
        self.curl("https://partners.example.org/", status=56)
        self.check_used(ours, "web")


class LegacyClientTests(Machine, SlapdSite):
    """TLS for a program without it."""

    def test_ldap(self) -> None:
        """Entries are added to slapd, which speaks nothing but TLS, and found."""
        self.host("ldap.example.org", "127.0.0.11")
        self.certificate(self.site / "server.pem", "ldap.example.org")
        self.slapd(tls=True, address="127.0.0.11:636")
        ours = self.run_page("docs/howto/legacy-client.md")
        self.check_entries("ldap://127.0.0.1")
        self.check_used(ours, "ldap")
