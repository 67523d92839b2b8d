"""Tests of ``protocol = connect``, both ways."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import (
    DeadlineExceeded,
    LimitExceeded,
    OperatingError,
    PeerClosed,
    PeerRefused,
    ProtocolViolation,
    Rejected,
    StunnelTxError,
)
from stunnel_tx.negotiation.destinations import DestinationPolicy
from stunnel_tx.negotiation.limits import LONG_LINE
from stunnel_tx.negotiation.peer import Endpoint, NegotiationOptions
from stunnel_tx.negotiation.protocols.connect import NEGOTIATION
from tests.doubles.conversations import (
    Notes,
    ScriptedPeer,
    Turns,
    conversation,
    every_split,
    run,
)
from tests.doubles.destinations import permit

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation
    from stunnel_tx.negotiation.stages import Dialogue

SURPLUS = b"220 injected\r\n"
REQUEST = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"


class ClientTests(SynchronousTestCase):
    """Asking a proxy."""

    def setUp(self) -> None:
        assert NEGOTIATION.client is not None
        assert NEGOTIATION.client.middle is not None
        self.dialogue: Dialogue = NEGOTIATION.client.middle
        self.note = Notes()

    def ask(self, answer: bytes, splits: tuple[int, ...] = (), **options: Any) -> ScriptedPeer:
        """The proxy, after a dialogue in which it gave *answer*."""
        self.local = ScriptedPeer(b"not to be read")
        self.proxy = ScriptedPeer(Turns([(b"\r\n\r\n", answer)]), splits=splits)
        chosen = NegotiationOptions(**{"host": "a.example:443", **options})
        talk = conversation(self.local, self.proxy, options=chosen, note=self.note)
        run(self.dialogue(talk))
        return self.proxy

    def refused(self, answer: bytes, kind: type[StunnelTxError], **options: Any) -> str:
        """The error's text when *answer* is refused, at every split, with nothing leaked."""
        texts = set()
        for splits in every_split(answer[:200], samples=3):
            error = self.assertRaises(kind, self.ask, answer, splits, **options)
            texts.add(str(error))
            self.assertEqual((self.local.sent, self.local.consumed), (b"", b""))
        self.assertEqual(len(texts), 1)
        return texts.pop()

    def test_tunnel(self) -> None:
        """A 2xx answer with headers makes a tunnel; what follows stays for TLS."""
        for answer in (
            b"HTTP/1.1 200 Connection established\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nVia: x\r\nContent-Length: 14\r\n\r\n",
            b"HTTP/1.1 204\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 \n\n",
            b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ):
            for splits in every_split(answer + SURPLUS, samples=3):
                proxy = self.ask(answer + SURPLUS, splits)
                self.assertEqual(proxy.sent, REQUEST)
                self.assertEqual(proxy.unread, SURPLUS)
                self.assertEqual((self.local.sent, self.local.consumed), (b"", b""))

    def test_headers_and_credentials(self) -> None:
        """Basic credentials and the operator's headers go along, and neither into the log."""
        proxy = self.ask(
            b"HTTP/1.1 200 OK\r\n\r\n",
            username="me",
            password="s\u00e9cret",
            headers=("X-A: 1", "X-B: 2"),
        )
        self.assertEqual(
            proxy.sent,
            REQUEST[:-2]
            + b"Proxy-Authorization: Basic bWU6c8OpY3JldA==\r\nX-A: 1\r\nX-B: 2\r\n\r\n",
        )
        self.assertNotIn("cret", "".join(self.note.texts))
        self.assertNotIn("bWU6", "".join(self.note.texts))

    def test_user_without_password(self) -> None:
        """Half a pair of credentials is a mistake, and nothing is sent."""
        self.assertRaises(OperatingError, self.ask, b"", username="me")
        self.assertEqual(self.proxy.sent, b"")

    def test_ipv6(self) -> None:
        """An IPv6 destination stands in brackets."""
        proxy = self.ask(b"HTTP/1.1 200 OK\r\n\r\n", host="[2001:db8:0::1]:443")
        self.assertTrue(proxy.sent.startswith(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\n"))

    def test_refusals(self) -> None:
        """Every other status is a refusal, and the log says which."""
        for status in (b"101 Switching", b"302 Found", b"403 No", b"404", b"500 x", b"502 Bad"):
            text = self.refused(b"HTTP/1.1 " + status + b"\r\n\r\n" + SURPLUS, PeerRefused)
            self.assertIn(f"CONNECT request rejected: the proxy answered {status.decode()}", text)
        self.assertEqual(self.note.texts, [])

    def test_repeated_credentials(self) -> None:
        """A proxy that repeats what it was sent does not get it into the log."""
        for status in (b"403", b"407"):
            answer = (
                b"HTTP/1.1 " + status + b" bWU6c2VjcmV0 me:secret\r\n"
                b"Proxy-Authenticate: bWU6c2VjcmV0\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"
            )
            text = self.refused(answer, PeerRefused, username="me", password="secret")
            self.assertIn(status.decode(), text)
            self.assertNotIn("bWU6", text)
            self.assertNotIn("secret", text)
            self.assertEqual("(it offers Basic)" in text, status == b"407")

    def test_authentication_required(self) -> None:
        """A 407 names the schemes the proxy offers, and is not answered in another way."""
        answer = (
            b"HTTP/1.1 407 Authentication Required\r\nproxy-authenticate: NTLM TlRMTVNTUAAC\r\n"
            b"Proxy-Authenticate: Basic realm=x\r\n\r\nbody"
        )
        text = self.refused(answer, PeerRefused)
        self.assertIn("407", text)
        self.assertIn("NTLM, Basic", text)
        self.assertNotIn("TlRM", text)
        self.assertEqual(self.proxy.sent, REQUEST)

    def test_not_http(self) -> None:
        """What is no HTTP/1.x answer is refused."""
        for answer in (
            b"HTTP/2 200 OK\r\n\r\n",
            b"HTTP/1.2 200 OK\r\n\r\n",
            b"HTTP/1.1 200OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1  200 OK\r\n\r\n",
            b" HTTP/1.1 200 OK\r\n\r\n",
            b"ICY 200 OK\r\n\r\n",
            b"\r\n",
            b"HTTP/1.1 200 O\0K\r\n\r\n",
            b"HTTP/1.1 200 OK\r\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
        ):
            self.refused(answer, ProtocolViolation)

    def test_truncated(self) -> None:
        """An answer that breaks off anywhere makes no tunnel."""
        answer = b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n"
        for place in range(len(answer)):
            self.assertRaises(PeerClosed, self.ask, answer[:place])

    def test_late(self) -> None:
        """A proxy that stays silent is cut off by the deadline."""
        talk = conversation(
            ScriptedPeer(),
            ScriptedPeer(b"HTTP/1.1 200 OK\r\n", eof=False),
            options=NegotiationOptions(host="a.example:443"),
        )
        self.assertRaises(DeadlineExceeded, run, self.dialogue(talk))

    def test_endless(self) -> None:
        """Endless headers, a huge one, and endless informational answers are cut off."""
        for answer in (
            b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000,
            b"HTTP/1.1 200 OK\r\nA: " + b"b" * LONG_LINE,
            b"HTTP/1.1 100 x\r\n\r\n" * 1000,
            b"HTTP/1.1 200 " + b"x" * LONG_LINE,
        ):
            self.assertRaises(LimitExceeded, self.ask, answer)

    def test_ntlm(self) -> None:
        """NTLM is refused, before anything is sent."""
        error = self.assertRaises(
            OperatingError, self.ask, b"", authentication="NTLM", username="u", password="p"
        )
        self.assertIn("protocolAuthentication", str(error))
        self.assertEqual(self.proxy.sent, b"")

    def test_bad_options(self) -> None:
        """Options that would break the request are refused, and their secrets not told."""
        rows: tuple[dict[str, Any], ...] = (
            {"host": None},
            {"host": "a.example"},
            {"host": "a.example:443\r\nX: y"},
            {"headers": ("A: b\r\nC: d",)},
            {"headers": ("A: b\nC: d",)},
            {"headers": ("A: \0",)},
            {"username": "a:b", "password": "secret"},
        )
        for options in rows:
            error = self.assertRaises(OperatingError, self.ask, b"", **options)
            self.assertNotIn("secret", str(error))
            self.assertEqual(self.proxy.sent, b"")


LISTED = DestinationPolicy((permit("192.0.2.0/24 443"),), only_listed=True)


class ServerTests(SynchronousTestCase):
    """Being a small proxy."""

    def setUp(self) -> None:
        assert NEGOTIATION.server is not None
        assert NEGOTIATION.server.early is not None
        assert NEGOTIATION.server.refuse is not None
        self.dialogue: Dialogue = NEGOTIATION.server.early
        self.refuse = NEGOTIATION.server.refuse
        self.note = Notes()

    def talk(
        self,
        said: bytes,
        splits: tuple[int, ...] = (),
        policy: object = LISTED,
        **options: Any,
    ) -> Conversation:
        """A conversation in which the client says *said*."""
        self.local = ScriptedPeer(said, splits=splits)
        chosen = NegotiationOptions(extra={"destinations": policy}, **options)
        return conversation(self.local, options=chosen, note=self.note)

    def refused(
        self,
        said: bytes,
        kind: type[StunnelTxError],
        policy: object = LISTED,
        **options: Any,
    ) -> bytes:
        """The status line with which *said* is refused, at every split."""
        answers = set()
        for splits in every_split(said[:200], samples=3):
            talk = self.talk(said, splits, policy, **options)
            error = self.assertRaises(kind, run, self.dialogue(talk))
            run(self.refuse(talk, error))
            self.assertIsNone(talk.destination)
            self.assertTrue(self.local.sent.endswith(b"Connection: close\r\n\r\n"))
            answers.add(self.local.sent)
        self.assertEqual(len(answers), 1)
        return answers.pop().partition(b"\r\n")[0]

    def test_accepted(self) -> None:
        """A listed destination is accepted; what follows the request stays for TLS."""
        for said, endpoint in (
            (REQUEST, Endpoint("a.example", 443)),
            (b"CONNECT 192.0.2.1:443 HTTP/1.0\n\n", Endpoint("192.0.2.1", 443)),
        ):
            for splits in every_split(said + SURPLUS, samples=3):
                talk = self.talk(said + SURPLUS, splits)
                run(self.dialogue(talk))
                self.assertEqual(talk.destination, endpoint)
                self.assertEqual(self.local.sent, b"HTTP/1.1 200 OK\r\n\r\n")
                self.assertEqual(self.local.unread, SURPLUS)
        self.assertIn("CONNECT request accepted", self.note.texts)

    def test_refused_requests(self) -> None:
        """Each bad request gets its status, and never a destination; methods have one case."""
        for said, status in (
            (b"GET http://a.example/ HTTP/1.1\r\n\r\n", b"405"),
            (b"connect 192.0.2.1:443 HTTP/1.1\r\n\r\n", b"405"),
            (b"CONNECT 192.0.2.1:443\r\n\r\n", b"400"),
            (b"CONNECT 192.0.2.1:443 HTTP/2\r\n\r\n", b"400"),
            (b"CONNECT  192.0.2.1:443 HTTP/1.1\r\n\r\n", b"400"),
            (b"CONNECT 192.0.2.1 HTTP/1.1\r\n\r\n", b"400"),
            (b"CONNECT 443 HTTP/1.1\r\n\r\n", b"400"),
            (b"CONNECT /run/backend HTTP/1.1\r\n\r\n", b"400"),
            (b"CONNECT 192.0.2.1:0 HTTP/1.1\r\n\r\n", b"400"),
            (b"CONNECT 192.0.2.1:http HTTP/1.1\r\n\r\n", b"400"),
            (b"CONNECT 192.0.2.1:443 HTTP/1.1\r\nA: \0\r\n\r\n", b"400"),
            (b"\x16\x03\x01\x00\r\n\r\n", b"400"),
            (b"\r\n\r\n", b"400"),
        ):
            self.assertIn(status, self.refused(said, ProtocolViolation), said)

    def test_policy(self) -> None:
        """What is not listed is forbidden, and without a list everything is."""
        for target in (b"192.0.2.1:80", b"192.0.3.1:443", b"127.0.0.1:443", b"a.example:22"):
            said = b"CONNECT " + target + b" HTTP/1.1\r\n\r\n"
            self.assertIn(b"403", self.refused(said, Rejected))
        for policy in (None, DestinationPolicy(), DestinationPolicy(LISTED.permits)):
            self.assertIn(b"403", self.refused(REQUEST, Rejected, policy))

    def test_log_in(self) -> None:
        """With user and password of the service the client has to send both."""
        token = b64encode("me:pä:ß".encode())
        for header in (
            b"Proxy-Authorization: Basic " + token,
            b"proxy-authorization:basic  " + token,
        ):
            said = REQUEST[:-2] + header + b"\r\n\r\n"
            for splits in every_split(said + SURPLUS, samples=3):
                talk = self.talk(said + SURPLUS, splits, username="me", password="pä:ß")
                run(self.dialogue(talk))
                self.assertEqual(self.local.sent, b"HTTP/1.1 200 OK\r\n\r\n")
                self.assertEqual(self.local.unread, SURPLUS)
        self.assertNotIn(token.decode(), "".join(self.note.texts))

    def test_not_logged_in(self) -> None:
        """Everything else is answered 407, whether the destination is listed or not."""
        good = b"Proxy-Authorization: Basic " + b64encode(b"me:secret")
        for headers in (
            b"",
            b"Authorization: Basic " + b64encode(b"me:secret") + b"\r\n",
            b"Proxy-Authorization: Basic " + b64encode(b"me:wrong") + b"\r\n",
            b"Proxy-Authorization: Basic " + b64encode(b"you:secret") + b"\r\n",
            b"Proxy-Authorization: Basic " + b64encode(b"mesecret") + b"\r\n",
            b"Proxy-Authorization: Basic " + b64encode(b":") + b"\r\n",
            b"Proxy-Authorization: Bearer " + b64encode(b"me:secret") + b"\r\n",
            b"Proxy-Authorization: Basic !!!\r\n",
            b"Proxy-Authorization: Basic \xff\r\n",
            b"Proxy-Authorization: Basic\r\n",
            good + b"\r\n" + good + b"\r\n",
        ):
            for request in (REQUEST, b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n"):
                said = request[:-2] + headers + b"\r\n"
                status = self.refused(said, Rejected, username="me", password="secret")
                self.assertIn(b"407", status)
                self.assertIn(b"\r\nProxy-Authenticate: Basic realm=", self.local.sent)

    def test_half_a_log_in(self) -> None:
        """A service with a user and no password, or the other way round, serves nobody."""
        halves: tuple[dict[str, Any], ...] = ({"username": "me"}, {"password": "secret"})
        for options in halves:
            talk = self.talk(REQUEST, **options)
            self.assertRaises(OperatingError, run, self.dialogue(talk))
            self.assertEqual((self.local.sent, talk.destination), (b"", None))

    def test_limits(self) -> None:
        """Endless headers and huge lines are cut off and told so."""
        for said in (REQUEST[:-2] + b"A: b\r\n" * 1000, b"CONNECT " + b"x" * LONG_LINE):
            self.assertIn(b"431", self.refused(said, LimitExceeded))

    def test_late(self) -> None:
        """A client that is too slow is told so, once."""
        talk = self.talk(b"")
        self.local.eof = False
        error = self.assertRaises(DeadlineExceeded, run, self.dialogue(talk))
        run(self.refuse(talk, error))
        run(self.refuse(talk, error))
        self.assertEqual(self.local.sent.count(b"HTTP/1.1 408 "), 1)

    def test_truncated(self) -> None:
        """A request that breaks off is not answered."""
        for place in range(len(REQUEST)):
            talk = self.talk(REQUEST[:place])
            self.assertRaises(PeerClosed, run, self.dialogue(talk))
            self.assertEqual(self.local.sent, b"")

    def test_no_answer_after_success(self) -> None:
        """Once TLS is to start, nothing more is said in clear."""
        talk = self.talk(REQUEST)
        run(self.dialogue(talk))
        run(self.refuse(talk, DeadlineExceeded("TIMEOUTbusy", 1)))
        self.assertEqual(self.local.sent, b"HTTP/1.1 200 OK\r\n\r\n")
