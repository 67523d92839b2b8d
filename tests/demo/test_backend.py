"""Tests of the demo's HTTP back end."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.demo.backend import DEADLINE, PageFactory
from stunnel_tx.demo.page import TLSFacts, as_html, as_text
from stunnel_tx.demo.request import MAX_HEAD

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress

_TUNNEL = IPv4Address("TCP", "127.0.0.1", 40000)
_FACTS = TLSFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519", "localhost", "http/1.1")
_GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class _HalfClosingTransport(StringTransport):
    """A StringTransport that remembers closing its own direction."""

    write_closed = False

    def loseWriteConnection(self) -> None:
        """Remember the half-close."""
        self.write_closed = True


def _facts_for(peer: IAddress) -> TLSFacts | None:
    """The facts of the one tunnel there is."""
    return _FACTS if peer == _TUNNEL else None


class PageTests(SynchronousTestCase):
    """One connection to the page."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = _HalfClosingTransport(peerAddress=_TUNNEL)
        self.page = PageFactory(self.clock, _facts_for).buildProtocol(None)
        self.page.makeConnection(self.transport)

    def answer(self) -> tuple[str, bytes]:
        """The answer's status line and its body, after a check of its framing."""
        head, _, body = self.transport.value().partition(b"\r\n\r\n")
        self.assertIn(b"\r\nConnection: close", head)
        if body:
            self.assertIn(b"\r\nContent-Length: %d\r\n" % len(body), head + b"\r\n")
        return head.split(b"\r\n")[0].decode(), body

    def test_text_for_terminals(self) -> None:
        """A client that does not ask for HTML gets its own facts as text."""
        self.page.dataReceived(_GET)
        self.assertEqual(self.answer(), ("HTTP/1.1 200 OK", as_text(_FACTS).encode()))
        self.assertTrue(self.transport.write_closed)

    def test_html_for_browsers(self) -> None:
        """A browser gets the HTML page."""
        self.page.dataReceived(_GET[:-2] + b"Accept: text/html,*/*\r\n\r\n")
        self.assertEqual(self.answer(), ("HTTP/1.1 200 OK", as_html(_FACTS).encode()))
        self.assertIn(b"Content-Type: text/html", self.transport.value())

    def test_stranger(self) -> None:
        """A connection that no tunnel made is answered without facts."""
        transport = _HalfClosingTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 1))
        page = PageFactory(self.clock, _facts_for).buildProtocol(None)
        page.makeConnection(transport)
        page.dataReceived(_GET)
        self.assertIn(as_text(None).encode(), transport.value())

    def test_head(self) -> None:
        """HEAD announces the length of the page and sends no body (RFC 9110 section 9.3.2)."""
        self.page.dataReceived(b"HEAD" + _GET[3:])
        self.assertEqual(self.answer(), ("HTTP/1.1 200 OK", b""))
        self.assertIn(b"Content-Length: %d\r\n" % len(as_text(_FACTS)), self.transport.value())

    def test_every_split(self) -> None:
        """The answer is the same wherever the request is cut in two."""
        for cut in range(1, len(_GET)):
            self.setUp()
            self.page.dataReceived(_GET[:cut])
            self.assertEqual(self.transport.value(), b"")
            self.page.dataReceived(_GET[cut:])
            self.assertEqual(self.answer()[0], "HTTP/1.1 200 OK")

    def test_random_splits(self) -> None:
        """The answer is the same when the request comes in many random pieces."""
        pieces = random.Random(2)
        for _ in range(50):
            self.setUp()
            rest = _GET
            while rest:
                size = pieces.randint(1, 7)
                self.page.dataReceived(rest[:size])
                rest = rest[size:]
            self.assertEqual(self.answer()[0], "HTTP/1.1 200 OK")

    def test_refusals(self) -> None:
        """Each kind of request that is not for this page has its own status."""
        for request, status in (
            (b"POST" + _GET[3:] + b"a=b", "HTTP/1.1 405 Method Not Allowed"),
            (b"GET /favicon.ico HTTP/1.0\r\n\r\n", "HTTP/1.1 404 Not Found"),
            (b"hello\r\n\r\n", "HTTP/1.1 400 Bad Request"),
            (b"PRI * HTTP/2.0\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported"),
            (b"G" * (MAX_HEAD + 1), "HTTP/1.1 431 Request Header Fields Too Large"),
        ):
            self.setUp()
            self.page.dataReceived(request)
            self.assertEqual(self.answer()[0], status)
            self.assertTrue(self.transport.write_closed)

    def test_allow(self) -> None:
        """A 405 names the methods there are (RFC 9110 section 15.5.6)."""
        self.page.dataReceived(b"PUT" + _GET[3:])
        self.assertIn(b"\r\nAllow: GET, HEAD\r\n", self.transport.value())

    def test_one_answer_only(self) -> None:
        """A second request on the same connection is dropped."""
        self.page.dataReceived(_GET)
        before = self.transport.value()
        self.page.dataReceived(_GET)
        self.assertEqual(self.transport.value(), before)

    def test_silent_client(self) -> None:
        """A client that says nothing is told so at the deadline and sent away."""
        self.page.dataReceived(b"GET / HT")
        self.clock.advance(DEADLINE)
        self.assertEqual(self.answer()[0], "HTTP/1.1 408 Request Timeout")
        self.assertTrue(self.transport.disconnecting)

    def test_dripping_client(self) -> None:
        """The deadline is absolute: an octet now and then does not move it."""
        for _ in range(4):
            self.page.dataReceived(b"G")
            self.clock.advance(DEADLINE / 4)
        self.assertEqual(self.answer()[0], "HTTP/1.1 408 Request Timeout")

    def test_client_that_stays(self) -> None:
        """A client that keeps the connection open after the answer is cut off."""
        self.page.dataReceived(_GET)
        self.clock.advance(DEADLINE)
        self.assertTrue(self.transport.disconnected)

    def test_no_timer_left(self) -> None:
        """A closed connection leaves nothing behind in the reactor."""
        self.page.dataReceived(_GET)
        IHalfCloseableProtocol(self.page).readConnectionLost()
        self.assertTrue(self.transport.disconnecting)
        self.page.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])
