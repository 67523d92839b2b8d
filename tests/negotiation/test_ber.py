"""Tests of BER: every form of length, at every split, and everything that is not BER."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import LimitExceeded, ProtocolViolation, StunnelTxError
from stunnel_tx.negotiation.ber import (
    ELEMENTS,
    ENUMERATED,
    INTEGER,
    SEQUENCE,
    Element,
    decode_integer,
    elements,
    encode,
    encode_integer,
    read_element,
)
from tests.doubles.conversations import ScriptedPeer, every_split, run

#: The length 5 in every form of up to eight bytes.
FORMS = (b"\x05", *(bytes((0x80 | width,)) + (5).to_bytes(width, "big") for width in range(1, 9)))


class ReadTests(SynchronousTestCase):
    """:func:`read_element`."""

    def test_length_forms(self) -> None:
        """Every definite length is read, at every split, and nothing beyond the element."""
        for form in FORMS:
            data = b"\x30" + form + b"hello"
            for splits in every_split(data):
                peer = ScriptedPeer(data + b"!", splits=splits)
                element = run(read_element(peer, SEQUENCE, 100))
                self.assertEqual(element, Element(SEQUENCE, b"hello"))
                self.assertEqual(peer.unread, b"!")

    def test_refused(self) -> None:
        """Indefinite, reserved and huge lengths, and another tag, end it before the content."""
        for data, error in (
            (b"\x30\x80hello\0\0", ProtocolViolation),
            (b"\x30\xff" + bytes(127), ProtocolViolation),
            (b"\x30\x89" + bytes(9), ProtocolViolation),
            (b"\x31\x05hello", ProtocolViolation),
            (b"\x30\x62" + bytes(98), None),
            (b"\x30\x63" + bytes(99), LimitExceeded),
            (b"\x30\x84\xff\xff\xff\xff", LimitExceeded),
            (b"\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff", LimitExceeded),
        ):
            peer = ScriptedPeer(data)
            if error is None:
                self.assertEqual(len(run(read_element(peer, SEQUENCE, 100)).content), 98)
            else:
                self.assertRaises(error, run, read_element(peer, SEQUENCE, 100))

    def test_empty(self) -> None:
        """An element without content needs no further byte."""
        peer = ScriptedPeer(b"\x30\x00", eof=False)
        self.assertEqual(run(read_element(peer, SEQUENCE, 2)), Element(SEQUENCE, b""))


class ElementsTests(SynchronousTestCase):
    """:func:`elements`, and numbers."""

    def test_exact_fit(self) -> None:
        """Elements must fill their place: a cut or overlong one is refused at every byte."""
        data = encode_integer(300) + b"\x04\x82\x00\x02ab" + encode(0x78)
        found = elements(data)
        self.assertEqual([element.tag for element in found], [INTEGER, 4, 0x78])
        self.assertEqual(found[1].content, b"ab")
        whole = {0, 4, 10, len(data)}
        for cut in range(len(data)):
            if cut not in whole:
                self.assertRaises(ProtocolViolation, elements, data[:cut])

    def test_bounds(self) -> None:
        """Too many elements, tags of several bytes and bad lengths are refused."""
        self.assertEqual(len(elements(b"\x04\0" * ELEMENTS)), ELEMENTS)
        for data in (b"\x04\0" * (ELEMENTS + 1), b"\x1f\x81\x01\0", b"\x04\x80\0\0", b"\x04\x82\0"):
            self.assertRaises(ProtocolViolation, elements, data)

    def test_numbers(self) -> None:
        """Numbers come back from their shortest form; longer forms are read too."""
        for value in (0, 1, 127, 128, 255, 256, 2**31 - 1, -1, -128, -129):
            self.assertEqual(decode_integer(elements(encode_integer(value))[0]), value)
        self.assertEqual(encode_integer(1), b"\x02\x01\x01")
        self.assertEqual(decode_integer(Element(INTEGER, b"\0\0\x05")), 5)
        self.assertEqual(decode_integer(Element(ENUMERATED, b"\x05"), ENUMERATED), 5)
        for element in (Element(INTEGER, b""), Element(INTEGER, bytes(9)), Element(4, b"\x01")):
            self.assertRaises(ProtocolViolation, decode_integer, element)

    @given(st.binary(max_size=300))
    @settings(deadline=None, max_examples=100)
    def test_round_trip(self, content: bytes) -> None:
        """What is encoded is decoded again, whatever its size."""
        self.assertEqual(elements(encode(4, content)), (Element(4, content),))

    @given(st.binary(max_size=60))
    @settings(deadline=None, max_examples=100)
    def test_noise(self, data: bytes) -> None:
        """Noise is either elements that fill it or an error of ours, never anything else."""
        try:
            found = elements(data)
        except StunnelTxError:
            return
        self.assertLessEqual(sum(len(element.content) + 2 for element in found), len(data))
