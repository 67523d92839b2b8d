"""Tests of the tag reader: what XMPP may send before TLS, and all that it may not."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import LimitExceeded, ProtocolViolation, StunnelTxError
from stunnel_tx.negotiation.xml_stream import (
    DEPTH,
    ELEMENTS,
    STREAM,
    Element,
    Tag,
    XMLStream,
    parse_start,
)
from tests.doubles.conversations import ScriptedPeer, every_split, run

HEADER = b"<s:stream xmlns='jabber:client' xmlns:s='urn:streams' to=\"a>b\" version='1.0'>"


async def whole(peer: ScriptedPeer, children: int) -> tuple[Tag, list[Element | None], bytes]:
    """A header and so many children, and the bytes they were made from."""
    stream = XMLStream(peer)
    header = await stream.header()
    return header, [await stream.child() for _ in range(children)], stream.raw


class StreamTests(SynchronousTestCase):
    """:class:`XMLStream`."""

    def test_stream(self) -> None:
        """Header, nested child and end are read at every split, and nothing beyond them."""
        data = (
            b"<?xml version='1.0' encoding='utf-8'?>\n" + HEADER + b" \n<s:features>"
            b"<starttls xmlns='urn:tls'><required/></starttls>"
            b"<m:list xmlns:m='urn:m'><m:one>text &amp; more</m:one></m:list></s:features>"
            b"<proceed xmlns='urn:tls'/>"
        )
        for splits in every_split(data, samples=4):
            peer = ScriptedPeer(data + b"</s:stream>", splits=splits)
            header, children, raw = run(whole(peer, 2))
            self.assertEqual(header.name, ("urn:streams", "stream"))
            self.assertEqual(header.attributes["to"], "a>b")
            self.assertEqual(
                children,
                [
                    Element(
                        ("urn:streams", "features"),
                        (
                            ("urn:tls", "starttls"),
                            ("urn:tls", "required"),
                            ("urn:m", "list"),
                            ("urn:m", "one"),
                        ),
                    ),
                    Element(("urn:tls", "proceed"), ()),
                ],
            )
            self.assertEqual(peer.unread, b"</s:stream>")
            self.assertEqual(raw.replace(b" \n<s:f", b"<s:f"), data.replace(b" \n<s:f", b"<s:f"))

    def test_closed(self) -> None:
        """The end of the stream is no child."""
        _, children, _ = run(whole(ScriptedPeer(HEADER + b"</s:stream>"), 1))
        self.assertEqual(children, [None])

    def test_end_tag_in_full(self) -> None:
        """An empty element written with an end tag is read with it, and no further."""
        peer = ScriptedPeer(HEADER + b"<p></p ><next/>")
        run(whole(peer, 1))
        self.assertEqual(peer.unread, b"<next/>")

    def test_forbidden(self) -> None:
        """No comments, document types, instructions, entities, unbound prefixes, stray text."""
        for child in (
            b"<!-- x -->", b"<!DOCTYPE x>", b"<!ENTITY x 'y'>", b"<![CDATA[x]]>", b"<?php x?>",
            b"<x:y/>", b"text<y/>", b"<y a='1' a='2'/>", b"<y a=1/>", b"<y a='<'/>", b"<y",
            b"</other>", b"<y></z>", b"<y a='1'b='2'/>", b"< y/>", b"<y/ >", b"<y\0/>", b"\0<y/>",
            b"<y>\0</y>", b"<y a='\xff'/>", b"<1/>", b"<y xmlns:x='' x:a=''><x:z/></y>", b"&lt;y/>",
            b"<y\xc2\xa0a='1'/>", b"<?xml version='1.0'?><y/>",
        ):  # fmt: skip
            peer = ScriptedPeer(HEADER + child + b"<z>")
            self.assertRaises(ProtocolViolation, run, whole(peer, 1))

    def test_headers(self) -> None:
        """What cannot open a stream is refused."""
        for data in (
            b"<?xml version='1.0' encoding='latin1'?><a>",
            b"<?xml version='2.0'?><a>",
            b"<?xml version='1.0'?><?xml version='1.0'?><a>",
            b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>",
            b"<a/>",
            b"</a>",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\xff\xfe<\0a\0>\0",
        ):
            self.assertRaises(ProtocolViolation, run, whole(ScriptedPeer(data), 0))

    def test_bounds(self) -> None:
        """Depth, number and size are bounded."""
        for child in (
            b"<a>" * (DEPTH + 1),
            b"<a>" + b"<b/>" * (ELEMENTS + 1),
            b"<a b='" + b"x" * STREAM,
            b"<a>" + b"x" * STREAM,
            b" " * STREAM,
        ):
            self.assertRaises(LimitExceeded, run, whole(ScriptedPeer(HEADER + child), 1))

    @given(st.text(alphabet="<>/a:= '\"xmlns!?&;", max_size=60))
    @settings(deadline=None, max_examples=100)
    def test_noise(self, text: str) -> None:
        """Noise is either tags or an error of ours, and what was read is kept."""
        peer = ScriptedPeer(HEADER + text.encode())
        with contextlib.suppress(StunnelTxError):
            _, _, raw = run(whole(peer, 1))
            self.assertEqual(raw, peer.consumed)

    def test_hostile_blanks(self) -> None:
        """A tag made to make a pattern backtrack is refused as quickly as any."""
        hostile = "<a" + " b='c'" * 2000 + " " * 4000 + "!>"
        self.assertRaises(ProtocolViolation, parse_start, hostile, {})
