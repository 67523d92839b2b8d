"""Tests of the ClientHello parser: real hellos, every split, and strangers."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.client_hello import (
    MAX_HELLO,
    MAX_RECORDS,
    ClientHello,
    NeedMore,
    NotTLS,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def real_hello(
    name: bytes | None = b"www.example.com", alpn: Sequence[bytes] = (b"h2", b"http/1.1")
) -> bytes:
    """The first flight of OpenSSL's own client."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if alpn:
        context.set_alpn_protos(list(alpn))
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    if name is not None:
        connection.set_tlsext_host_name(name)
    with contextlib.suppress(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(65535)


def vector(width: int, content: bytes) -> bytes:
    """*content* behind its length in *width* bytes."""
    return len(content).to_bytes(width, "big") + content


def hello(extensions: bytes | None = b"", session_id: bytes = b"") -> bytes:
    """The body of a small ClientHello; ``None`` for one without an extensions vector."""
    body = b"\x03\x03" + bytes(32) + vector(1, session_id) + vector(2, b"\x13\x01") + b"\x01\0"
    return body if extensions is None else body + vector(2, extensions)


def message(body: bytes) -> bytes:
    """The handshake message around *body*."""
    return b"\x01" + vector(3, body)


def records(payload: bytes, sizes: Sequence[int] = (), minor: int = 1) -> bytes:
    """*payload* in records of the given *sizes*, the rest in a last one."""
    out = []
    for size in sizes:
        piece, payload = payload[:size], payload[size:]
        if piece:
            out.append(b"\x16\x03" + bytes([minor]) + vector(2, piece))
    if payload:
        out.append(b"\x16\x03" + bytes([minor]) + vector(2, payload))
    return b"".join(out)


def extension(kind: int, content: bytes) -> bytes:
    """One extension."""
    return struct.pack("!H", kind) + vector(2, content)


def server_name(name: bytes) -> bytes:
    """A server_name extension with one host name."""
    return extension(0, vector(2, b"\0" + vector(2, name)))


def parsed(data: bytes) -> ClientHello:
    """The hello in *data*, which must be whole."""
    found = parse(data)
    assert isinstance(found, ClientHello), found
    return found


class WholeTests(SynchronousTestCase):
    """Hellos that are all there."""

    def test_openssl(self) -> None:
        """OpenSSL's own hello with a hybrid key share is understood."""
        data = real_hello()
        found = parsed(data)
        self.assertEqual(found.server_name, "www.example.com")
        self.assertEqual(found.alpn, (b"h2", b"http/1.1"))
        self.assertEqual(found.length, len(data))

    def test_without_name_and_alpn(self) -> None:
        """What was not sent is None or empty."""
        found = parsed(real_hello(None, ()))
        self.assertIsNone(found.server_name)
        self.assertEqual(found.alpn, ())

    def test_without_extensions(self) -> None:
        """A hello of old ends after the compression methods."""
        data = records(message(hello(None)))
        self.assertEqual(parsed(data), ClientHello(None, (), len(data)))

    def test_memoryview(self) -> None:
        """A view of a larger buffer does as well as bytes."""
        data = real_hello()
        self.assertEqual(parse(memoryview(bytearray(data))), parse(data))

    def test_bytes_behind_the_hello(self) -> None:
        """What follows the hello is no business of the parser."""
        data = real_hello()
        self.assertEqual(parse(data + b"\x14\x03\x03\0\x01\x01"), parse(data))
        self.assertEqual(parsed(data + b"x").length, len(data))

    def test_record_version_is_ignored(self) -> None:
        """The minor version of a record must be ignored (RFC 8446 §5.1)."""
        for minor in (0, 1, 3, 4, 0x7F):
            self.assertIsInstance(parse(records(message(hello()), minor=minor)), ClientHello)

    def test_longest_session_id(self) -> None:
        """A session id may have 32 bytes (RFC 8446 §4.1.2)."""
        data = records(message(hello(server_name(b"a.example"), session_id=bytes(32))))
        self.assertEqual(parsed(data), ClientHello("a.example", (), len(data)))

    def test_address_as_name(self) -> None:
        """IP addresses, which some clients send, count as no name."""
        for text in (b"192.0.2.1", b"2001:db8::1", b"[2001:db8::1]", b"::ffff:1.2.3.4"):
            self.assertIsNone(parsed(records(message(hello(server_name(text))))).server_name)

    def test_names_that_look_odd(self) -> None:
        """Underscores, digits and a trailing dot are the business of whoever matches names."""
        for text in ("_a.example", "host1", "example.com.", "1.2.3", "x"):
            data = records(message(hello(server_name(text.encode()))))
            self.assertEqual(parsed(data).server_name, text)


class SplitTests(SynchronousTestCase):
    """Hellos that arrive in pieces, or lie in several records."""

    def feed(self, data: bytes) -> tuple[ClientHello, int]:
        """Peek as told by the parser until it is content; the hello and the number of tries."""
        have = 0
        for tries in range(1, len(data) + 2):
            answer = parse(data[:have])
            if isinstance(answer, ClientHello):
                return answer, tries
            self.assertGreater(answer.at_least, have)
            self.assertLessEqual(answer.at_least, len(data))
            have = answer.at_least
        self.fail("the parser never had enough")
        raise AssertionError

    def test_every_prefix_of_one_record(self) -> None:
        """Each prefix asks for more, and never for more than there will be."""
        data = real_hello()
        for size in range(len(data)):
            answer = parse(data[:size])
            assert isinstance(answer, NeedMore)
            self.assertTrue(size < answer.at_least <= len(data), (size, answer))
        self.assertIsInstance(parse(data), ClientHello)

    def test_few_tries(self) -> None:
        """A hello in one record takes five looks at most when each gets just what was asked for."""
        found, tries = self.feed(real_hello())
        self.assertEqual(found.server_name, "www.example.com")
        self.assertLessEqual(tries, 5)

    def test_two_records_at_every_place(self) -> None:
        """The hello may be cut into two records anywhere."""
        payload = real_hello()[5:]
        whole = parsed(records(payload))
        for size in range(1, len(payload)):
            data = records(payload, (size,))
            found = parsed(data)
            self.assertEqual(found.server_name, whole.server_name)
            self.assertEqual(found.alpn, whole.alpn)
            self.assertEqual(found.length, len(data))

    def test_one_byte_in_the_last_record(self) -> None:
        """Never is more asked for than a last record of one byte will bring."""
        payload = message(hello(server_name(b"a.example")))
        self.feed(records(payload, (len(payload) - 1,)))
        self.feed(records(payload, (1, len(payload) - 2)))

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.integers(1, 400), max_size=40))
    def test_any_records(self, sizes: list[int]) -> None:
        """Any cut into records, fed as asked for, gives the same hello."""
        payload = message(hello(server_name(b"a.example") + extension(21, bytes(3000))))
        data = records(payload, sizes)
        found, _ = self.feed(data)
        self.assertEqual(found.server_name, "a.example")
        self.assertEqual(found.length, len(data))

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.integers(1, 60), max_size=12), st.data())
    def test_prefixes_of_any_records(self, sizes: list[int], data: st.DataObject) -> None:
        """Any prefix of a hello in several records asks for more, in bounds."""
        whole = records(message(hello(server_name(b"a.example"))), sizes)
        size = data.draw(st.integers(0, len(whole) - 1))
        answer = parse(whole[:size])
        assert isinstance(answer, NeedMore)
        self.assertTrue(size < answer.at_least <= len(whole))


class StrangerTests(SynchronousTestCase):
    """Bytes that are no ClientHello."""

    def reason(self, data: bytes) -> str:
        """Why *data* is refused."""
        return str(self.assertRaises(NotTLS, parse, data))

    def test_other_protocols_are_named(self) -> None:
        """The log tells what the stranger seems to speak."""
        for data, word in (
            (b"GET / HTTP/1.1\r\n", "HTTP request on a TLS port"),
            (b"CONNECT a:1 HTTP/1.0\r\n", "HTTP request"),
            (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
            (b"EHLO client\r\n", "SMTP"),
            (b"PROXY TCP4 1.2.3.4 ", "PROXY protocol"),
            (b"\r\n\r\n\0\r\nQUIT\n", "PROXY protocol version 2"),
            (b"\x03\0\0\x13\x0e", "RDP"),
            (b"\x05\x01\0", "SOCKS5"),
            (b"hello there\r\n", "plain text"),
            (b"\x80\x2e\x01\x03\x01", "SSLv2"),
            (b"\x15\x03\x01\0\x02\x02\x28", "alert"),
            (b"\0\xff\0\xff", "not a TLS record"),
            (b"\x16\xfe\xff", "not a TLS record"),
            (b"\x16\x02\0\0\x2f", "record version 2.0"),
            (b"\x16\x03\x01\0\0", "a record of 0 bytes"),
            (b"\x16\x03\x01\x40\x01", "a record of 16385 bytes"),
            (b"\x16\x03\x01\0\x30\x02", "not a ClientHello"),
            (b"\x16\x03\x01\0\x30\x02\0\0\x2c", "handshake message 2"),
            (b"\x16\x03\x01\0\x04\x01\0\0\0", "a ClientHello of 0 bytes"),
            (b"\x16\x03\x01\x10\0\x01\xff\xff\xff", "a ClientHello of 16777215 bytes"),
        ):
            self.assertIn(word, self.reason(data), data)

    def test_interrupted_by_another_record(self) -> None:
        """Nothing may come between the records of one message (RFC 8446 §5.1)."""
        payload = message(hello(server_name(b"a.example")))
        start = records(payload[:20])
        self.assertIn("alert", self.reason(start + b"\x15\x03\x01\0\x02\x01\0"))
        self.assertIn("type 23", self.reason(start + b"\x17\x03\x01\0\x02\x01\0"))
        self.assertIn("0 bytes", self.reason(start + b"\x16\x03\x01\0\0"))

    def test_too_many_records(self) -> None:
        """A hello in crumbs is refused before it costs anything."""
        payload = message(hello(server_name(b"a.example")))
        self.assertIn("records", self.reason(records(payload, [1] * (MAX_RECORDS + 1))))

    def test_too_long(self) -> None:
        """A hello that would never fit the receive buffer is refused when its length is known."""
        body = hello(extension(21, bytes(MAX_HELLO - 60)))
        whole = records(message(body), [16384] * 3)
        self.assertIsInstance(parse(whole), ClientHello)
        longer = records(message(hello(extension(21, bytes(MAX_HELLO)))), [16384] * 3)
        self.assertIn("a ClientHello of", self.reason(longer[:9]))
        crumbs = records(message(body), [1, 1, 1, 1, *[600] * 60])
        self.assertIn("more than", self.refused_on_the_way(crumbs))

    def refused_on_the_way(self, data: bytes) -> str:
        """The reason found at some prefix of *data*."""
        for size in range(0, len(data), 50):
            try:
                parse(data[:size])
            except NotTLS as error:
                return str(error)
        return ""

    def test_malformed_fields(self) -> None:
        """Lengths that contradict each other are refused, with what is malformed."""
        good = server_name(b"a.example")
        cut = hello(good)[:-1]
        for body, word in (
            (cut, "wrong length of the extensions"),
            (hello(None) + b"\0", "length"),
            (hello(good, session_id=bytes(33)), "session id"),
            (hello(good + good), "repeated"),
            (hello(good + b"\0\x10\0"), "cut or repeated extension"),
            (hello(good + b"\0\x10\0\x05"), "cut or repeated"),
            (hello(extension(0, b"")), "server_name"),
            (hello(extension(0, b"\0\x05\0\0\x01ab")), "server_name"),
            (hello(extension(0, b"\0\x06\0\0\x02abc")), "server_name"),
            (hello(server_name(b"")), "server_name"),
            (hello(server_name(b"a" * 256)), "server_name"),
            (hello(server_name(b"a\0.example")), "not a host name"),
            (hello(server_name(b"a b")), "not a host name"),
            (hello(server_name("ü.example".encode())), "not a host name"),
            (hello(extension(16, b"\0\x01\0")), "ALPN"),
            (hello(extension(16, b"\0\x03\x05h2")), "ALPN"),
            (hello(extension(16, b"\0\x03\0h2")), "ALPN"),
            (hello(None)[:-2], "malformed"),
            (b"\x03\x03" + bytes(32) + b"\xff" * 4, "malformed"),
        ):
            self.assertIn(word, self.reason(records(message(body))), body)

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=200))
    def test_noise(self, data: bytes) -> None:
        """Random bytes are refused, or more is asked for; nothing else happens."""
        self.answers(lambda: parse(data))

    @settings(deadline=None, max_examples=100)
    @given(st.binary(min_size=1, max_size=120), st.integers(0, 200))
    def test_noise_inside(self, noise: bytes, place: int) -> None:
        """Random bytes inside a hello lead to an answer or a refusal."""
        payload = bytearray(message(hello(server_name(b"a.example") + extension(43, b"\2\3\4"))))
        payload[place : place + len(noise)] = noise
        self.answers(lambda: parse(records(bytes(payload))))

    def answers(self, call: Callable[[], object]) -> None:
        """*call* gives a hello, asks for more, or raises NotTLS."""
        try:
            found = call()
        except NotTLS as error:
            self.assertTrue(str(error))
        else:
            self.assertIsInstance(found, (ClientHello, NeedMore))
