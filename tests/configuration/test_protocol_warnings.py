"""Tests of stunnel_tx.configuration.protocol_warnings."""

from __future__ import annotations

from stunnel_tx.configuration.check import authentication_warnings
from stunnel_tx.configuration.loader import examine
from stunnel_tx.configuration.sources import text_source
from tests.configuration.test_check import CLIENT, SERVER, WarningCase, warnings

PROXY = SERVER.replace("connect = 80\n", "protocol = socks\n")
HTTP_PROXY = SERVER.replace("connect = 80\n", "protocol = connect\nprotocolAllow = 192.0.2.1\n")
LOGIN = "protocolUsername = joe\nprotocolPassword = hunter2\n"
CERTIFICATE = "verifyChain = yes\nCAfile = ca\n"


class UnusedTests(WarningCase):
    """Options that a protocol does not go by."""

    def assert_unused(self, text: str, *options: str) -> None:
        """See that there is a warning for each option and no other."""
        found = warnings(text)
        self.assertEqual(len(found), len(options), found)
        for warning, option in zip(found, options, strict=True):
            self.assertIn(f"{option}: {option} has no effect", warning)
            self.assertNotIn("hunter2", warning)

    def test_login(self) -> None:
        """A user and a password that nobody is asked for protect nothing."""
        both = ("protocolUsername", "protocolPassword")
        self.assert_unused(f"{SERVER}{LOGIN}protocol = imap\n", *both)
        self.assert_unused(f"{CLIENT}{LOGIN}protocol = imap\n", *both)
        self.assert_unused(f"{SERVER}{LOGIN}protocol = smtp\n", *both)
        self.assert_unused(f"{SERVER}{LOGIN}", *both)
        for text in (f"{PROXY}{LOGIN}", f"{CLIENT}{LOGIN}protocol = smtp\n"):
            self.assertEqual(warnings(text), [])

    def test_others(self) -> None:
        """So do the other options around the protocol."""
        self.assert_unused(f"{CLIENT}protocol = imap\nprotocolHost = h\n", "protocolHost")
        self.assert_unused(
            f"{CLIENT}protocol = smtp\nprotocolHost = h\nprotocolHeader = A: b\n",
            "protocolHeader",
        )
        connect = f"{CLIENT}protocol = connect\nprotocolHost = h:1\nprotocolHeader = A: b\n"
        self.assertEqual(warnings(connect), [])

    def test_global(self) -> None:
        """A line for all services is not held against those that have no use for it."""
        text = f"{LOGIN}{SERVER}protocol = imap\n"
        self.assertEqual(warnings(text), [])

    def test_at_start(self) -> None:
        """Unused credentials are told of at each start, too."""
        source = text_source(f"{SERVER}{LOGIN}protocol = imap\n".encode(), "f")
        configuration = examine(source).configuration
        (service,) = configuration.services
        found = authentication_warnings(service, configuration.globals)
        self.assertEqual(len(found), 2)
        self.assertIn("protocolUsername has no effect", found[0].text)


class ProxyTests(WarningCase):
    """Servers that take clients where they want to go."""

    def test_open(self) -> None:
        """One that asks nobody who he is, is found within hours."""
        self.assert_warning(PROXY, "f:4: protocol: Service [x] is a proxy for everybody")
        self.assert_warning(HTTP_PROXY, "is a proxy for everybody")
        for known in (LOGIN, CERTIFICATE, "PSKsecrets = f\n", f"pinSHA256 = {'A' * 43}=\n"):
            self.assertNotIn("everybody", " ".join(warnings(PROXY + known)), known)

    def test_in_clear(self) -> None:
        """An HTTP proxy is told the password before TLS; a SOCKS proxy inside."""
        self.assert_warning(f"{HTTP_PROXY}{LOGIN}", "protocolPassword: ", "in clear, before TLS")
        self.assertEqual(warnings(f"{HTTP_PROXY}{LOGIN}{CERTIFICATE}"), [])
        self.assertEqual(warnings(f"{PROXY}{LOGIN}"), [])


class TrustingServerTests(WarningCase):
    """Servers that go by who has opened their UNIX socket."""

    def test_paths(self) -> None:
        """The usual names are known, as paths and as endpoint strings."""
        for path in (
            "/run/slapd/ldapi",
            "/var/run/postgresql/.s.PGSQL.5432",
            "/run/mysqld/mysqld.sock",
            "/run/mysqld/mariadb.sock",
            "unix:/run/slapd/ldapi",
            "unix:path=/run/mysqld/mysqld.sock",
        ):
            text = SERVER.replace("connect = 80", f"connect = {path}")
            self.assert_warning(text, "f:4: connect: ", "rights of its own user", "TCP address")

    def test_others(self) -> None:
        """Other sockets, and clients, which show a certificate or nothing, are no such matter."""
        for path in ("/run/app/socket", "/run/slapd/ldapi.d/x"):
            self.assertEqual(warnings(SERVER.replace("connect = 80", f"connect = {path}")), [])
        client = CLIENT.replace("connect = h:443", "connect = /run/slapd/ldapi")
        self.assertEqual(warnings(client), [])
