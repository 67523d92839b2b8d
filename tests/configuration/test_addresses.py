"""Tests of stunnel_tx.configuration.addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.addresses import (
    ENDPOINT_KINDS,
    UNIX_PATH_BYTES,
    EndpointString,
    HostPort,
    UnixPath,
    is_ip,
    parse_address,
    parse_host_port,
    parse_local,
)
from stunnel_tx.configuration.values import InvalidValue

if TYPE_CHECKING:
    import ipaddress

ACCEPTED: dict[str, tuple[str | None, int | str]] = {
    "443": (None, 443),
    "https": (None, "https"),
    "host:443": ("host", 443),
    "host.example.org:imap2": ("host.example.org", "imap2"),
    "192.0.2.1:1": ("192.0.2.1", 1),
    ":::443": ("::", 443),
    "::1:443": ("::1", 443),
    "[::1]:443": ("::1", 443),
    "[fe80::1%eth0]:25": ("fe80::1%eth0", 25),
    "2001:db8::17:65535": ("2001:db8::17", 65535),
    ":443": (None, 443),
    "*:443": (None, 443),
    "under_score:80": ("under_score", 80),
    "bücher.example:80": ("bücher.example", 80),
}

REFUSED = {
    "host.example.org": "port is missing",
    "[::1]": "port is missing",
    "host:": "Invalid port",
    "host:65536": "Invalid port",
    "host:-1": "Invalid port",
    "host:8 0": "Invalid port",
    "http://host:80": "Invalid host",
    "user@host:80": "Invalid host",
    "80 ; web": "Invalid address",
    "80 # web": "Invalid address",
    "2001:db8::zz:443": "Invalid IPv6",
    "[host]:443": "Invalid IPv6",
    "a b:443": "Invalid host",
    "": "address is missing",
    "host:" + "9" * 5000: "Invalid port",
}

HOSTS = st.one_of(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,9}){0,3}", fullmatch=True).filter(
        lambda host: host not in ENDPOINT_KINDS
    ),
    st.ip_addresses().map(str),
)
PORTS = st.one_of(st.integers(1, 65535), st.from_regex(r"[a-z][a-z0-9-]{0,14}", fullmatch=True))


class HostPortTests(SynchronousTestCase):
    """stunnel's [HOST:]PORT."""

    def test_accepted(self) -> None:
        """Each spelling comes apart at its last colon, and keeps its text."""
        for text, (host, port) in ACCEPTED.items():
            self.assertEqual(parse_address(text), HostPort(host, port, text))

    def test_refused(self) -> None:
        """Each mistake is named, and the remedy is not empty."""
        for text, reason in REFUSED.items():
            error = self.assertRaises(InvalidValue, parse_address, text)
            self.assertIn(reason, error.reason)
            self.assertTrue(error.remedy)

    def test_trailing_comment(self) -> None:
        """A comment behind a value is answered with where comments belong."""
        error = self.assertRaises(InvalidValue, parse_address, "80 ; web")
        self.assertIn("comment", error.remedy)

    def test_port_zero(self) -> None:
        """Port 0 can be listened on, not connected to."""
        self.assertEqual(parse_address("h:0", passive=True), HostPort("h", 0, "h:0"))
        error = self.assertRaises(InvalidValue, parse_address, "h:0")
        self.assertIn("from 1 to 65535", error.remedy)

    @settings(deadline=None, max_examples=100)
    @given(HOSTS, PORTS)
    def test_round_trip(self, host: str, port: int | str) -> None:
        """A host and a port written with a colon between are found again."""
        read = parse_address(f"{host}:{port}")
        self.assertEqual(read, HostPort(host, port, f"{host}:{port}"))

    @settings(deadline=None, max_examples=50)
    @given(st.ip_addresses(v=6), st.integers(1, 65535))
    def test_brackets(self, host: ipaddress.IPv6Address, port: int) -> None:
        """Brackets around an IPv6 address make no difference to its meaning."""
        bare, bracketed = parse_host_port(f"{host}:{port}"), parse_host_port(f"[{host}]:{port}")
        self.assertEqual((bare.host, bare.port), (bracketed.host, bracketed.port))


class OtherFormsTests(SynchronousTestCase):
    """UNIX paths and endpoint strings."""

    def test_unix(self) -> None:
        """What begins with a slash is a path, colons and all."""
        self.assertEqual(parse_address("/run/a:b.sock"), UnixPath("/run/a:b.sock"))
        self.assertEqual(str(UnixPath("/x")), "/x")

    def test_unix_length(self) -> None:
        """A path has to fit the kernel's address structure, in bytes."""
        fits = "/" + "x" * (UNIX_PATH_BYTES - 1)
        self.assertEqual(parse_address(fits), UnixPath(fits))
        self.assertRaises(InvalidValue, parse_address, fits + "x")
        self.assertRaises(InvalidValue, parse_address, "/" + "ü" * 54)

    def test_endpoint_kinds(self) -> None:
        """A known first word makes an endpoint string; in other case it is a host."""
        for kind in ENDPOINT_KINDS:
            text = f"{kind}:x:y=1"
            self.assertEqual(parse_address(text), EndpointString(kind, text))
        self.assertEqual(parse_address("TCP:80"), HostPort("TCP", 80, "TCP:80"))
        self.assertEqual(parse_address("tcp"), HostPort(None, "tcp", "tcp"))

    def test_plugins(self) -> None:
        """The kinds of plugins are known by being passed in."""
        kinds = ENDPOINT_KINDS | {"onion"}
        self.assertEqual(parse_address("onion:80", kinds), EndpointString("onion", "onion:80"))
        self.assertEqual(parse_address("onion:80"), HostPort("onion", 80, "onion:80"))

    def test_shown(self) -> None:
        """Every address is shown as it was written."""
        for text in ("host:80", "/run/x", "tcp:80"):
            self.assertEqual(str(parse_address(text)), text)

    @settings(deadline=None, max_examples=100)
    @given(st.text(max_size=60))
    def test_any_text(self, text: str) -> None:
        """Any text at all is an address or refused with a reason."""
        for parse in (parse_address, parse_local):
            try:
                parse(text)
            except InvalidValue as error:
                self.assertTrue(error.reason)


class LocalTests(SynchronousTestCase):
    """The source address."""

    def test_hosts(self) -> None:
        """A host, an IPv4 or an IPv6 address with or without brackets."""
        for text, host in {
            "h": "h",
            "192.0.2.1": "192.0.2.1",
            "::1": "::1",
            "[::1]": "::1",
        }.items():
            self.assertEqual(parse_local(text), host)

    def test_no_port(self) -> None:
        """A port has no meaning there."""
        self.assertIn("without a port", self.assertRaises(InvalidValue, parse_local, "h:1").remedy)


class KindTests(SynchronousTestCase):
    """Addresses and names of hosts."""

    def test_is_ip(self) -> None:
        """Addresses of both kinds are, names are not."""
        texts = ("192.0.2.1", "2001:db8::1", "name.example", "")
        self.assertEqual([is_ip(text) for text in texts], [True, True, False, False])
