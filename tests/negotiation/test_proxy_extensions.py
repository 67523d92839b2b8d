"""Tests of what a PROXY header tells about TLS."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation.peer import Session
from stunnel_tx.negotiation.proxy_extensions import MAX_TEXT, session_tlvs

PLAIN = Session("TLSv1.3", "TLS_AES_128_GCM_SHA256")


def ssl(session: Session, *, certificate: bool = False) -> tuple[int, int, dict[int, bytes]]:
    """Client bits, verify code and inner extensions of a session."""
    data = dict(session_tlvs(session, certificate=certificate))[0x20]
    bits, verify, rest = data[0], int.from_bytes(data[1:5], "big"), data[5:]
    inner = {}
    while rest:
        size = int.from_bytes(rest[1:3], "big")
        inner[rest[0]] = rest[3 : 3 + size]
        rest = rest[3 + size :]
    return bits, verify, inner


class SessionTests(SynchronousTestCase):
    """TLS as the far end learns of it."""

    def test_no_tls(self) -> None:
        """A client without TLS has no extensions."""
        self.assertEqual(session_tlvs(None), ())

    def test_without_certificate(self) -> None:
        """Version and cipher are told, and that nobody was verified."""
        inner = {0x21: b"TLSv1.3", 0x23: b"TLS_AES_128_GCM_SHA256"}
        self.assertEqual(ssl(PLAIN), (0x01, 1, inner))

    def test_names(self) -> None:
        """Server name and application protocol are extensions of their own."""
        session = Session("TLSv1.3", "x", server_name="a.example", alpn=b"h2")
        tlvs = dict(session_tlvs(session))
        self.assertEqual((tlvs[0x01], tlvs[0x02]), (b"h2", b"a.example"))

    def test_with_certificate(self) -> None:
        """A verified certificate is told with its name; the certificate itself when asked for."""
        session = Session("v", "c", certificate=b"DER", common_name="me", verified=True)
        bits, verify, inner = ssl(session)
        self.assertEqual((bits, verify, inner[0x22]), (0x07, 0, b"me"))
        self.assertNotIn(0x28, inner)
        self.assertEqual(ssl(session, certificate=True)[2][0x28], b"DER")

    def test_resumed(self) -> None:
        """In a resumed connection the certificate belongs to the session."""
        session = Session("v", "c", certificate=b"DER", verified=True, resumed=True)
        self.assertEqual(ssl(session)[:2], (0x05, 0))

    def test_unverified(self) -> None:
        """A certificate that nobody has judged is never called verified."""
        self.assertEqual(ssl(Session("v", "c", certificate=b"DER"))[:2], (0x07, 1))
        self.assertEqual(ssl(Session("v", "c", verified=True))[:2], (0x01, 1))

    def test_long_names(self) -> None:
        """A long name is cut at a character."""
        session = Session("v", "c", certificate=b"D", common_name="\u00e9" * 300)
        name = ssl(session)[2][0x22]
        self.assertLessEqual(len(name), MAX_TEXT)
        self.assertEqual(name.decode("utf-8"), "\u00e9" * 127)
