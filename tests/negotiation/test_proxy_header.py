"""Tests of PROXY headers, both versions and both ways."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import LimitExceeded, PeerClosed, ProtocolViolation, StunnelTxError
from stunnel_tx.negotiation.peer import Endpoint
from stunnel_tx.negotiation.proxy_header import (
    ALPN,
    AUTHORITY,
    V1_LENGTH,
    V2_LENGTH,
    V2_SIGNATURE,
    Header,
    crc32c,
    encode_v1,
    encode_v2,
    pack_tlv,
    read_header,
)
from tests.doubles.conversations import ScriptedPeer, every_split, run

V4 = Endpoint("192.0.2.1", 56324), Endpoint("198.51.100.2", 443)
V6 = Endpoint("2001:db8::1", 1), Endpoint("2001:db8::2", 65535)
MAPPED = Endpoint("::ffff:192.0.2.1", 56324), Endpoint("::ffff:198.51.100.2", 443)
UNIX = Endpoint("/run/client"), Endpoint("/run/server")
TLVS = ((ALPN, b"h2"), (AUTHORITY, b"a.example"), (0xE0, b""))


def v2(command: int, family: int, body: bytes) -> bytes:
    """A header of version 2, right or wrong."""
    return V2_SIGNATURE + bytes((command, family)) + len(body).to_bytes(2, "big") + body


BODY4 = bytes((192, 0, 2, 1, 198, 51, 100, 2)) + b"\xdc\x04\x01\xbb"


class EncodeTests(SynchronousTestCase):
    """What is sent."""

    def test_version_1(self) -> None:
        """Families are told apart, and v4-mapped addresses are IPv4."""
        tcp4 = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"
        self.assertEqual(encode_v1(*V4), tcp4)
        self.assertEqual(encode_v1(*MAPPED), tcp4)
        self.assertEqual(encode_v1(*V6), b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n")

    def test_version_1_unknown(self) -> None:
        """What is no TCP connection is called unknown, as the specification wants it."""
        for ends in (UNIX, (None, None), (None, V4[1]), (V4[0], UNIX[1])):
            self.assertEqual(encode_v1(*ends), b"PROXY UNKNOWN\r\n")

    def test_mixed_families(self) -> None:
        """Ends of two families are both written as IPv6, which readers insist on."""
        peer = ScriptedPeer(encode_v1(V4[0], V6[1]))
        header = run(read_header(peer))
        self.assertEqual(header.target, V6[1])
        assert header.source is not None
        self.assertTrue(header.source.host.startswith("::ffff:"))

    def test_zone(self) -> None:
        """The zone of a link-local address stays at home."""
        line = encode_v1(Endpoint("fe80::1%eth0", 1), Endpoint("fe80::2%eth0", 2))
        self.assertEqual(line, b"PROXY TCP6 fe80::1 fe80::2 1 2\r\n")

    def test_longest_version_1(self) -> None:
        """The longest header there is keeps to its bound."""
        long = Endpoint("ffff:" * 7 + "ffff", 65535)
        self.assertLessEqual(len(encode_v1(long, long)), V1_LENGTH)

    def test_version_2(self) -> None:
        """The bytes of version 2, without a checksum, are those of the specification."""
        self.assertEqual(encode_v2(*V4, checksum=False), v2(0x21, 0x11, BODY4))
        self.assertEqual(encode_v2(None, None, checksum=False), v2(0x20, 0, b""))

    def test_checksum(self) -> None:
        """CRC-32C has the check value its catalogues give, and closes the header."""
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)
        header = encode_v2(*V4)
        self.assertEqual(header[-7:-4], b"\x03\x00\x04")
        self.assertEqual(header[-4:], crc32c(header[:-4] + bytes(4)).to_bytes(4, "big"))


class ReadTests(SynchronousTestCase):
    """What is received."""

    def read(self, data: bytes, surplus: bytes = b"") -> Header:
        """The header in *data*, however it is cut; *surplus* is left alone."""
        found = set()
        for splits in every_split(data + surplus, samples=3):
            peer = ScriptedPeer(data + surplus, splits=splits)
            found.add(run(read_header(peer)))
            self.assertEqual(peer.unread, surplus)
        self.assertEqual(len(found), 1)
        return found.pop()

    def assertRefused(self, data: bytes, kind: type[StunnelTxError] = ProtocolViolation) -> None:
        """*data* is refused however it is cut."""
        for splits in every_split(data[:300], samples=3):
            self.assertRaises(kind, run, read_header(ScriptedPeer(data, splits=splits)))

    def test_round_trip(self) -> None:
        """What is written is read, at every split, and what follows stays unread."""
        for ends in (V4, V6):
            self.assertEqual(self.read(encode_v1(*ends), b"\x16\x03\x01"), Header(1, *ends))
            self.assertEqual(
                self.read(encode_v2(*ends, TLVS), b"\x16\x03\x01"), Header(2, *ends, TLVS)
            )
        self.assertEqual(run(read_header(ScriptedPeer(encode_v2(*UNIX)))), Header(2, *UNIX))
        self.assertEqual(self.read(encode_v2(None, None), b"\r\n"), Header(2))

    def test_unknown(self) -> None:
        """An unknown connection keeps its own ends, whatever else the line says."""
        for line in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 x 65535 65535\r\n"):
            self.assertEqual(self.read(line, b"PROXY"), Header(1))

    def test_bad_version_1(self) -> None:
        """Every line that is not exactly right is refused."""
        for line in (
            b"PROXY\r\n",
            b"PROXYTCP4 192.0.2.1 198.51.100.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
            b"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n",
            b"PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n",
            b"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 fe80::1%lo fe80::2 1 2\r\n",
            b"PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n",
            b"PROXY TCP4 3221225985 198.51.100.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 \xb2 2\r\n",
            b"PROXY TCP4 192.0.2.1\0 198.51.100.2 1 2\r\n",
        ):
            self.assertRefused(line)

    def test_long_version_1(self) -> None:
        """A line without an end is cut off at its bound, and nothing beyond is taken."""
        peer = ScriptedPeer(b"PROXY UNKNOWN " + b"x" * 1000)
        self.assertRaises(LimitExceeded, run, read_header(peer))
        self.assertEqual(len(peer.consumed), V1_LENGTH)

    def test_something_else(self) -> None:
        """A client that speaks TLS, HTTP or anything else is told apart at its first bytes."""
        for data in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n\r\n"):
            self.assertRefused(data)
        self.assertRefused(b"\r\n" * 40)
        self.assertRaises(ProtocolViolation, run, read_header(ScriptedPeer(b"\x16", eof=False)))

    def test_bad_version_2(self) -> None:
        """Every header of version 2 that is not right is refused."""
        for data in (
            v2(0x22, 0x11, BODY4),
            v2(0x11, 0x11, BODY4),
            v2(0x31, 0x11, BODY4),
            v2(0x21, 0x41, BODY4),
            v2(0x21, 0x13, BODY4),
            v2(0x21, 0x11, BODY4[:-1]),
            v2(0x21, 0x21, BODY4),
            v2(0x21, 0x31, BODY4),
            v2(0x21, 0x11, BODY4 + b"\x01"),
            v2(0x21, 0x11, BODY4 + b"\x01\x00"),
            v2(0x21, 0x11, BODY4 + b"\x01\x00\x02h"),
            v2(0x21, 0x11, BODY4 + pack_tlv(3, b"\0\0\0\0")),
            v2(0x21, 0x11, BODY4 + pack_tlv(3, b"")),
        ):
            self.assertRefused(data)

    def test_too_long_version_2(self) -> None:
        """A body beyond the bound is refused before it is read."""
        data = v2(0x21, 0x11, BODY4 + pack_tlv(4, bytes(V2_LENGTH)))
        peer = ScriptedPeer(data)
        self.assertRaises(LimitExceeded, run, read_header(peer))
        self.assertEqual(len(peer.consumed), 16)
        longest = v2(0x21, 0x11, BODY4 + pack_tlv(4, bytes(V2_LENGTH - len(BODY4) - 3)))
        self.assertEqual(run(read_header(ScriptedPeer(longest))).source, V4[0])

    def test_every_wrong_bit(self) -> None:
        """With a checksum no single wrong bit of the addresses or extensions goes unnoticed."""
        good = encode_v2(*V4, TLVS)
        for place in range(16, len(good)):
            for bit in range(8):
                bad = bytearray(good)
                bad[place] ^= 1 << bit
                try:
                    header = run(read_header(ScriptedPeer(bytes(bad))))
                except ProtocolViolation:
                    continue
                # The one way out: the checksum itself has become another extension.
                self.assertNotIn(3, (bad[-7],))
                self.assertEqual((header.source, header.target), V4)

    def test_local(self) -> None:
        """A health check keeps its own ends, whatever its body says."""
        self.assertEqual(self.read(v2(0x20, 0x11, BODY4 + b"junk"), b"x"), Header(2))

    def test_datagrams_and_unspecified(self) -> None:
        """What is valid and not for streams is taken as if no address was given."""
        for family in (0x12, 0x10):
            self.assertEqual(self.read(v2(0x21, family, BODY4), b"x"), Header(2))
        self.assertEqual(self.read(v2(0x21, 0x00, b""), b"x"), Header(2))

    def test_truncated(self) -> None:
        """A header that breaks off anywhere is no header."""
        for whole in (encode_v1(*V4), encode_v2(*V4, TLVS)):
            for place in range(len(whole)):
                self.assertRaises(PeerClosed, run, read_header(ScriptedPeer(whole[:place])))

    def test_value(self) -> None:
        """An extension is found by its type."""
        header = run(read_header(ScriptedPeer(encode_v2(*V4, TLVS))))
        self.assertEqual(header.value(AUTHORITY), b"a.example")
        self.assertIsNone(header.value(0x05))

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=200))
    def test_anything(self, data: bytes) -> None:
        """No bytes lead to anything but a header or one of our errors."""
        for start in (b"", b"PROXY TCP4 ", v2(0x21, 0x11, bytes(60))[:16]):
            try:
                run(read_header(ScriptedPeer(start + data)))
            except StunnelTxError:
                continue
