"""Tests of MySQL's packets and greeting."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import LimitExceeded, PeerRefused, ProtocolViolation, StunnelTxError
from stunnel_tx.negotiation.mysql_packets import (
    HANDSHAKE_ERROR,
    PACKET,
    SECURE_CONNECTION,
    SSL,
    Greeting,
    Link,
    error,
    packet,
    parse_greeting,
    parse_switch,
)
from tests.doubles.conversations import ScriptedPeer, every_split, run

#: Put together by the field table of the documentation, with all capabilities of MySQL 8.0.
MYSQL = (
    b"\x0a8.0.36\0"  # protocol version, server version
    b"\x08\0\0\0NONCE123\0"  # thread, first part of the nonce, filler
    b"\xff\xff\xff\x02\x00\xff\xdf"  # capabilities, character set, status, capabilities
    b"\x15" + bytes(10) + b"NONCE456789A\0"  # size and second part of the nonce
    b"caching_sha2_password\0"
)


class LinkTests(SynchronousTestCase):
    """:class:`Link`."""

    def test_sequence(self) -> None:
        """Received and sent packets count in one sequence, at every split."""
        data = packet(b"hello", 0) + packet(b"", 2) + b"beyond"
        for splits in every_split(data):
            peer = ScriptedPeer(data, splits=splits)
            link = Link(peer)
            self.assertEqual(run(link.receive()), b"hello")
            run(link.send(b"answer"))
            self.assertEqual(run(link.receive()), b"")
            self.assertEqual((link.sequence, peer.unread), (3, b"beyond"))
            self.assertEqual(peer.sent, b"\x06\0\0\x01answer")

    def test_wraps(self) -> None:
        """After 255 comes 0."""
        link = Link(ScriptedPeer(packet(b"x", 255)), 255)
        run(link.receive())
        self.assertEqual(link.sequence, 0)

    def test_refused(self) -> None:
        """Packets out of sequence and oversized ones are refused before they are read."""
        link = Link(ScriptedPeer(packet(b"x", 1), eof=False))
        self.assertRaises(ProtocolViolation, run, link.receive())
        size = (PACKET + 1).to_bytes(3, "little")
        link = Link(ScriptedPeer(size + b"\0", eof=False))
        self.assertRaises(LimitExceeded, run, link.receive())

    def test_errors(self) -> None:
        """Only after the greeting an error has its SQLSTATE."""
        self.assertEqual(error(HANDSHAKE_ERROR), b"\xff\x13\x04#08S01Bad handshake")
        self.assertEqual(error(HANDSHAKE_ERROR, greeted=False), b"\xff\x13\x04Bad handshake")


class GreetingTests(SynchronousTestCase):
    """:func:`parse_greeting`."""

    def test_fields(self) -> None:
        """The fields are found, and encoded back to the byte."""
        greeting = parse_greeting(MYSQL)
        self.assertEqual(greeting.version, b"8.0.36")
        self.assertEqual(greeting.nonce, b"NONCE123NONCE456789A\0")
        self.assertEqual(greeting.plugin, b"caching_sha2_password")
        self.assertTrue(greeting.capabilities & SSL)
        self.assertEqual(greeting.encode(), MYSQL)

    def test_offering(self) -> None:
        """Only the TLS capability and the plugin are ever changed."""
        greeting = parse_greeting(MYSQL)
        plain = greeting.offering(tls=False, plugin=b"mysql_native_password")
        self.assertEqual(plain.capabilities, greeting.capabilities & ~SSL)
        self.assertEqual(plain.offering(tls=True, plugin=greeting.plugin), greeting)

    def test_variants(self) -> None:
        """A plugin name without its NUL, and a server without plugins, are read too."""
        self.assertEqual(parse_greeting(MYSQL[:-1]), parse_greeting(MYSQL))
        old = Greeting(
            b"5.5.5-10.11.6-MariaDB-1", b"\x01\0\0\0", bytes(range(1, 21)) + b"\0",
            SECURE_CONNECTION | 0x200, b"\x2d", 2, 0, bytes(6) + b"\x1d\0\0\0", b"",
        )  # fmt: skip
        self.assertEqual(parse_greeting(old.encode()), old)

    def test_error_instead(self) -> None:
        """An error in place of the greeting is a refusal; its text is not repeated."""
        with self.assertRaises(PeerRefused) as caught:
            parse_greeting(b"\xff\x10\x04SECRET")
        self.assertEqual(str(caught.exception), "MySQL server refuses the connection (error 1040)")

    def test_malformed(self) -> None:
        """Other versions, unprintable texts, missing and surplus bytes are refused."""
        for data in (
            b"",
            b"\x09" + MYSQL[1:],
            MYSQL.replace(b"8.0.36", b"8\n0.36"),
            MYSQL.replace(b"8.0.36", b"x" * 201),
            MYSQL.replace(b"8.0.36", b""),
            MYSQL.replace(b"caching", b"ca/hing"),
            MYSQL + b"x",
            MYSQL.replace(b"\xff\xff\xff\x02", b"\xff\x7f\xff\x02"),
            MYSQL.replace(b"\xff\xff\xff\x02", b"\xff\xfd\xff\x02"),
            MYSQL.replace(b"\xff\xdf\x15", b"\xf7\xdf\x15"),
        ):
            self.assertRaises(ProtocolViolation, parse_greeting, data)
        for cut in range(MYSQL.index(b"caching") + 1):
            self.assertRaises(ProtocolViolation, parse_greeting, MYSQL[:cut])

    @given(st.binary(max_size=120))
    @settings(deadline=None, max_examples=100)
    def test_noise(self, data: bytes) -> None:
        """Noise is a greeting or an error of ours."""
        try:
            greeting = parse_greeting(b"\x0a" + data)
        except StunnelTxError:
            return
        self.assertLessEqual(len(greeting.encode()), len(data) + 2)

    def test_switch(self) -> None:
        """An AuthSwitchRequest has a plugin and its data; the oldest has neither."""
        self.assertEqual(parse_switch(b"\xfeplugin\0data\0"), (b"plugin", b"data\0"))
        self.assertEqual(parse_switch(b"\xfe"), (b"", b""))
