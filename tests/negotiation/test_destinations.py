"""Tests of the policy on destinations that clients choose."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import Rejected
from stunnel_tx.negotiation.destinations import (
    DestinationPolicy,
    canonical,
    host_text,
    split_host_port,
)
from tests.doubles.destinations import permit

OWN = {ip_address(text) for text in ("198.51.100.7", "2001:db8::7", "10.0.0.7")}
OPEN = DestinationPolicy()

#: Spelling of a destination that must never be reached, and a word of the reason.
FORBIDDEN = {
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "::1": "loopback",
    "::1%lo": "loopback",
    "0.0.0.0": "unspecified",
    "0.0.0.1": "unspecified",
    "0.255.255.255": "unspecified",
    "::": "unspecified",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:0.0.0.0": "unspecified",
    "::127.0.0.1": "loopback",
    "::ffff:0:127.0.0.1": "loopback",
    "64:ff9b::127.0.0.1": "loopback",
    "64:ff9b::a9fe:a9fe": "link-local",
    "64:ff9b:1:7f00:0:100:808:808": "loopback",
    "64:ff9b:1::127.0.0.1": "loopback",
    "2002:7f00:1::": "loopback",
    "2002:a9fe:a9fe::1": "link-local",
    "2001:0:7f00:1::": "loopback",
    "2001:0:5db8:1::80ff:fffe": "loopback",
    "2001:db8::5efe:127.0.0.1": "loopback",
    "2001:db8::200:5efe:127.0.0.1": "loopback",
    "169.254.169.254": "link-local",
    "::ffff:169.254.169.254": "link-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "ff02::1": "multicast",
    "255.255.255.255": "broadcast",
    "240.0.0.1": "reserved",
    "fd00:ec2::254": "metadata",
    "100.100.100.200": "metadata",
    "198.51.100.7": "this machine",
    "::ffff:198.51.100.7": "this machine",
    "2001:db8::7": "this machine",
    "2001:db8::7%eth0": "this machine",
    "64:ff9b::198.51.100.7": "this machine",
    "10.0.0.7": "this machine",
    "localhost": "not an IP address",
    "127.1": "not an IP address",
    "": "not an IP address",
}

ALLOWED = ("192.0.2.1", "10.1.2.3", "192.168.1.1", "2001:db8::1", "fd12::1", "64:ff9b::8.8.8.8")


def is_own(address: IPv4Address | IPv6Address) -> bool:
    """Stands for the machine's interfaces."""
    return address in OWN


class JudgeTests(SynchronousTestCase):
    """What may be reached."""

    def test_forbidden(self) -> None:
        """No spelling of a forbidden address gets through, and the reason is told."""
        for address, reason in FORBIDDEN.items():
            error = self.assertRaises(Rejected, OPEN.judge, address, 80, is_own)
            self.assertIn(reason, error.reason, address)

    def test_allowed(self) -> None:
        """Other addresses can be reached, private networks included."""
        for address in ALLOWED:
            OPEN.judge(address, 80, is_own)

    @settings(deadline=None, max_examples=100)
    @given(st.integers(0, 0xFFFFFF))
    def test_every_loopback_address_in_every_disguise(self, low: int) -> None:
        """All of 127.0.0.0/8 is refused however IPv6 wraps it."""
        address = 127 << 24 | low
        wrapped = (
            0xFFFF << 32 | address,
            0xFFFF0000 << 32 | address,
            0x0064FF9B << 96 | address,
            0x2002 << 112 | address << 80 | 1,
            0x20010000 << 96 | address << 64,
            0x20010000 << 96 | 1 << 64 | (address ^ 0xFFFFFFFF),
        )
        for value in wrapped:
            self.assertRaises(Rejected, OPEN.judge, str(IPv6Address(value)), 1, is_own)

    def test_permit_overrides(self) -> None:
        """What the operator lists can be reached, on the ports that are listed."""
        policy = DestinationPolicy((permit("127.0.0.0/8 80,8000-8002"),))
        for address in ("127.0.0.1", "::ffff:127.0.0.1"):
            for port in (80, 8000, 8001, 8002):
                policy.judge(address, port, is_own)
            for port in (79, 81, 7999, 8003):
                self.assertRaises(Rejected, policy.judge, address, port, is_own)

    def test_permit_is_meant_as_written(self) -> None:
        """A permit for an address is none for what some translator makes of it."""
        policy = DestinationPolicy((permit("127.0.0.1"),))
        for address in ("2002:7f00:1::", "64:ff9b::127.0.0.1", "::127.0.0.1"):
            self.assertRaises(Rejected, policy.judge, address, 80, is_own)

    def test_permit_with_zone(self) -> None:
        """A permit for a link-local network covers its addresses with a zone."""
        DestinationPolicy((permit("fe80::/10"),)).judge("fe80::1%eth0", 80, is_own)

    def test_only_listed(self) -> None:
        """A closed policy lets nothing through but what is listed."""
        policy = DestinationPolicy((permit("192.0.2.0/24 443"),), only_listed=True)
        policy.judge("192.0.2.9", 443, is_own)
        for address, port in (("192.0.2.9", 80), ("192.0.3.1", 443), ("2001:db8::1", 443)):
            self.assertRaises(Rejected, policy.judge, address, port, is_own)

    def test_conceivable(self) -> None:
        """A closed policy knows before any look-up what it will never let through."""
        policy = DestinationPolicy((permit("192.0.2.0/24 443"),), only_listed=True)
        self.assertTrue(policy.conceivable("192.0.2.1", 443))
        self.assertTrue(policy.conceivable("name.example", 443))
        self.assertFalse(policy.conceivable("name.example", 80))
        self.assertFalse(policy.conceivable("192.0.3.1", 443))
        self.assertTrue(OPEN.conceivable("127.0.0.1", 80))


class TextTests(SynchronousTestCase):
    """Texts that become values."""

    def test_host_port(self) -> None:
        """A host and a port are told apart, IPv6 in brackets only."""
        self.assertEqual(split_host_port("a.example:443"), ("a.example", 443))
        self.assertEqual(split_host_port("[2001:DB8::1]:1"), ("2001:db8::1", 1))
        self.assertEqual(split_host_port("192.0.2.1:65535"), ("192.0.2.1", 65535))

    def test_bad_host_port(self) -> None:
        """Everything else is refused."""
        for text in (
            *(
                "",
                "a",
                "a:",
                ":1",
                "a:0",
                "a:65536",
                "a:-1",
                "a:+1",
                "a: 1",
                "a:1 ",
                "a:x",
                "a b:1",
            ),
            *(
                "::1:80",
                "[::1]80",
                "[::1",
                "[x]:80",
                "a/b:80",
                "a@b:80",
                "/run/sock:80",
                "a\r\nb:1",
            ),
            *("a:\uff11", "\u00e9.example:80", "a" * 256 + ":80", "a\0:80"),
        ):
            self.assertRaises(ValueError, split_host_port, text)

    def test_host_text(self) -> None:
        """Names have visible ASCII characters and a bounded length."""
        self.assertEqual(host_text(b"a.example"), "a.example")
        for name in (b"", b"a b", b"a\0", b"\xff", b"a\n", b"x" * 256, b"/run/x"):
            self.assertRaises(ValueError, host_text, name)

    def test_canonical(self) -> None:
        """Only a v4-mapped address has another canonical form."""
        self.assertEqual(canonical("::ffff:1.2.3.4"), IPv4Address("1.2.3.4"))
        self.assertEqual(canonical("64:ff9b::1"), IPv6Address("64:ff9b::1"))
