"""Tests of the demo's request parser."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.demo.request import MAX_HEAD, BadRequest, Request, find_head, parse_head

_HEAD = (
    b"GET /?a=b HTTP/1.1\r\nHost: localhost:8443\r\nUser-Agent: curl/8.5.0\r\n"
    b"Accept: text/html\r\naccept:  */* \r\nX-Empty:"
)


class FindHeadTests(SynchronousTestCase):
    """Where a head ends."""

    def test_every_prefix_is_incomplete(self) -> None:
        """No prefix of a request short of its empty line counts as a head."""
        whole = _HEAD + b"\r\n\r\n"
        for end in range(len(whole)):
            self.assertIsNone(find_head(whole[:end]), end)
        self.assertEqual(find_head(whole), _HEAD)

    def test_surplus_is_left_out(self) -> None:
        """What follows the empty line is no part of the head."""
        self.assertEqual(find_head(_HEAD + b"\r\n\r\nGET / HTTP/1.1"), _HEAD)

    def test_bare_line_feeds(self) -> None:
        """A request typed by hand, with LF line ends only, is found."""
        self.assertEqual(find_head(b"GET / HTTP/1.0\n\n"), b"GET / HTTP/1.0")

    def test_leading_empty_lines(self) -> None:
        """Empty lines before the request line are dropped, and are no request themselves."""
        self.assertIsNone(find_head(b"\r\n\r\n"))
        self.assertEqual(find_head(b"\r\n\r\nGET / HTTP/1.0\r\n\r\n"), b"GET / HTTP/1.0")

    def test_longest_head(self) -> None:
        """A head of exactly the limit passes; one octet more is refused with 431."""
        fixed = len(b"GET / HTTP/1.0\r\nX: \r\n\r\n")
        longest = b"GET / HTTP/1.0\r\nX: " + b"y" * (MAX_HEAD - fixed) + b"\r\n\r\n"
        self.assertEqual(find_head(longest), longest[:-4])
        problem = self.assertRaises(BadRequest, find_head, b"y" + longest)
        self.assertEqual(problem.status, 431)

    def test_endless_head(self) -> None:
        """A head that never ends is refused as soon as it is longer than the limit."""
        self.assertIsNone(find_head(b"x" * MAX_HEAD))
        self.assertEqual(
            self.assertRaises(BadRequest, find_head, b"x" * (MAX_HEAD + 1)).status, 431
        )


class ParseHeadTests(SynchronousTestCase):
    """What a head says."""

    def test_fields(self) -> None:
        """Method and target are taken verbatim, field names in any case, repeated fields joined."""
        self.assertEqual(parse_head(_HEAD), Request("GET", "/?a=b", "text/html, */*", "curl/8.5.0"))

    def test_browsers_want_html(self) -> None:
        """HTML goes to clients that ask for it, except curl; everybody else gets text."""
        for accept, user_agent, expected in (
            ("text/html,*/*;q=0.8", "Mozilla/5.0", True),
            ("text/html", "curl/8.5.0", False),
            ("*/*", "Mozilla/5.0", False),
            ("", "", False),
        ):
            request = Request("GET", "/", accept, user_agent)
            self.assertEqual(request.wants_html, expected, request)

    def test_broken_syntax(self) -> None:
        """Each way of breaking the grammar, or of leaving Host out, is answered with 400."""
        for head in (
            b"",
            b"GET /",
            b"GET  / HTTP/1.1\r\nHost: a",
            b"GET / HTTP/1.1",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b",
            b"GET / HTTP/1.0\r\nHost: a\r\nhost: a",
            b"GET / HTTP/1.1\r\nHost : a",
            b"GET / HTTP/1.1\r\nHost: a\r\n folded",
            b"GET / HTTP/1.1\r\nHost: a\x00",
            b"GET / HTTP/1.1\r\nHost: a\rX: b",
            b"G\xc3\x89T / HTTP/1.1\r\nHost: a",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ):
            self.assertEqual(self.assertRaises(BadRequest, parse_head, head).status, 400, head)

    def test_other_versions(self) -> None:
        """A version that is not 1.x is answered with 505."""
        problem = self.assertRaises(BadRequest, parse_head, b"PRI * HTTP/2.0")
        self.assertEqual(problem.status, 505)

    def test_http_1_0_needs_no_host(self) -> None:
        """HTTP/1.0 had no Host field, so it may be missing there."""
        self.assertEqual(parse_head(b"GET / HTTP/1.0"), Request("GET", "/", "", ""))

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=200) | st.binary(max_size=60).map(_HEAD.__add__))
    def test_random_octets(self, head: bytes) -> None:
        """Whatever arrives is either a request or a BadRequest, never another exception."""
        try:
            request = parse_head(head)
        except BadRequest as problem:
            self.assertIn(problem.status, {400, 505})
        else:
            self.assertTrue(request.method)
