"""Tests of STARTTLS in XMPP: both directions, for clients and among servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation import xmpp_stream
from stunnel_tx.negotiation.limits import BYTES
from stunnel_tx.negotiation.peer import NegotiationOptions
from stunnel_tx.negotiation.xmpp_stream import FEATURES, PROCEED, START_TLS, Dialogues, Opening
from tests.doubles.conversations import Turns
from tests.negotiation.protocols.plays import play, play_cut, play_split, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.negotiation.peer import Conversation

CLIENT, SERVER = Dialogues("jabber:client").client(), Dialogues("jabber:client").server()
S2S = Dialogues("jabber:server")

DECLARATION = b"<?xml version='1.0'?>"
SPACES = b" xmlns:stream='http://etherx.jabber.org/streams'"


def header(more: bytes = b" to='example.org' version='1.0'", space: bytes = b"client") -> bytes:
    """A stream header as a program would write it."""
    return b"%b<stream:stream xmlns='jabber:%b'%b%b>" % (DECLARATION, space, SPACES, more)


ANSWER = header(b" id='SECRET' from='example.org' version='1.0'")
OFFER = (
    b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    b"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>"
    b"</mechanisms></stream:features>"
)
CLIENT_HELLO = b"\x16\x03\x01\x02\x00"


def error(
    condition: bytes, opened: bytes = header(b" from='example.org' id='0123' version='1.0'")
) -> bytes:
    """A stream error, behind our header where one is due."""
    return opened + (
        b"<stream:error><%b xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        b"</stream:stream>" % condition
    )


NAMELESS = header(b" id='0123' version='1.0'")
DOWN = error(b"remote-connection-failed")


def heard() -> Opening:
    """What the first stage leaves in client mode."""
    return Opening(header(), "example.org", condition="remote-connection-failed")


class XMPPTests(SynchronousTestCase):
    """Common to both modes."""

    def setUp(self) -> None:
        self.patch(xmpp_stream, "stream_name", lambda: "0123")


class ClientTests(XMPPTests):
    """Client mode."""

    def test_local_header(self) -> None:
        """The local header is kept as it came, and opens the stream inside TLS."""
        for text in (header(), header().replace(DECLARATION, b"\n")):
            played = play_split(self, CLIENT.early, text + b"<presence/>")
            self.assertEqual((played.error, played.local), ("", b""))
            self.assertEqual(played.local_unread, b"<presence/>")
            self.assertEqual(played.state.to, "example.org")
            late = play(CLIENT.late, b"", b"", state=_keep(played.state))
            self.assertEqual(late.remote, text)

    def test_local_header_refused(self) -> None:
        """A header for another service, or none, is answered with its stream error."""
        rows = (
            (header(b" version='1.0'"), error(b"improper-addressing", NAMELESS)),
            (header(b" to='a b' version='1.0'"), error(b"improper-addressing", NAMELESS)),
            (header(b" to='a&amp;b' version='1.0'"), error(b"improper-addressing", NAMELESS)),
            (header(space=b"server"), error(b"invalid-namespace")),
            (header(b" to='example.org'"), error(b"unsupported-version")),
            (header(b" to='example.org' version='0.9'"), error(b"unsupported-version")),
            (b"GET / HTTP/1.1\r\n", error(b"not-well-formed", NAMELESS)),
        )
        for text, words in rows:
            played = play_split(self, CLIENT.early, text)
            self.assertEqual((played.error, played.local), ("ProtocolViolation", words))

    def test_protocol_host(self) -> None:
        """ProtocolHost says which domain to ask for instead."""
        options = NegotiationOptions(host="xmpp.example")
        played = play(CLIENT.early, header(b" version='1.0'"), options=options)
        self.assertEqual((played.error, played.state.to), ("", "xmpp.example"))

    def test_proceed(self) -> None:
        """Proceed leads to TLS; neither features nor what follows reach the client."""
        ours = header()
        for go in (PROCEED, PROCEED[:-2] + b"></proceed>"):
            script = Turns(
                [(ours, ANSWER + OFFER), (START_TLS, go + b"<stream:features/>injected")]
            )
            played = play_split(self, CLIENT.middle, b"", script, state=lambda _: heard())
            self.assertEqual((played.error, played.local), ("", b""))
            self.assertEqual(played.remote, ours + START_TLS)
            self.assertEqual(played.remote_unread, b"<stream:features/>injected")

    def test_prefixed(self) -> None:
        """Names count with their namespaces, whatever prefix a server writes."""
        answer = (
            b"<s:stream xmlns:s='http://etherx.jabber.org/streams' version='1.0'><s:features>"
            b"<t:starttls xmlns:t='urn:ietf:params:xml:ns:xmpp-tls'/></s:features>"
            b"<t:proceed xmlns:t='urn:ietf:params:xml:ns:xmpp-tls'/>"
        )
        self.assertEqual(play(CLIENT.middle, b"", answer, state=lambda _: heard()).error, "")

    def test_refused(self) -> None:
        """No offer, failure, errors and an old version end it, and the client is told."""
        fake = OFFER.replace(b"xmpp-tls", b"xmpp-sasl")
        failure = b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
        for answer in (
            ANSWER + b"<stream:features/>",
            ANSWER + fake,
            ANSWER + b"<stream:error><host-unknown/><text>SECRET</text></stream:error>",
            ANSWER + b"</stream:stream>",
            ANSWER.replace(b" version='1.0'>", b">"),
            ANSWER + OFFER + failure,
            ANSWER + OFFER + b"</stream:stream>",
        ):
            played = play_split(self, CLIENT.middle, b"", answer, state=lambda _: heard())
            self.assertEqual((played.error, played.local), ("PeerRefused", DOWN), answer)
            self.assertNotIn("SECRET", played.reason)

    def test_wrong(self) -> None:
        """What is no stream, or goes on without end, ends it."""
        for answer, name in (
            (b"220 hello\r\n", "ProtocolViolation"),
            (ANSWER.replace(b"etherx", b"other"), "ProtocolViolation"),
            (ANSWER + b"<message/>", "ProtocolViolation"),
            (ANSWER + OFFER + b"<success xmlns='x'/>", "ProtocolViolation"),
            (ANSWER + OFFER + b"<proceed/>", "ProtocolViolation"),
            (ANSWER + b"<!DOCTYPE x>", "ProtocolViolation"),
        ):
            played = play(CLIENT.middle, b"", answer, state=lambda _: heard())
            self.assertEqual((played.error, played.local), (name, DOWN), answer)
        endless = ANSWER + b"<stream:features>" + b"<x/>" * BYTES
        played = play(CLIENT.middle, b"", endless, state=lambda _: heard())
        self.assertEqual(
            (played.error, played.local), ("LimitExceeded", error(b"policy-violation"))
        )

    def test_truncated(self) -> None:
        """Both sides may go away, or fall silent, at every byte."""
        play_cut(self, CLIENT.early, header(), of="local")
        script = Turns([(b"", ANSWER + OFFER), (START_TLS, PROCEED)])
        play_cut(self, CLIENT.middle, b"", script, of="remote", state=lambda _: heard())


class ServerTests(XMPPTests):
    """Server mode."""

    def test_starttls(self) -> None:
        """The only feature is TLS; what follows the request stays for TLS."""
        for request in (START_TLS, START_TLS[:-2] + b"></starttls>"):
            data = header(b" from='me@example.org' to='example.org' version='1.0'") + request
            played = play_split(self, SERVER.early, data + b"<auth>SECRET</auth>")
            self.assertEqual((played.error, played.refused), ("", True))
            ours = header(b" to='me@example.org' from='example.org' id='0123' version='1.0'")
            self.assertEqual(played.local, ours + FEATURES + PROCEED)
            self.assertEqual(played.local_unread, b"<auth>SECRET</auth>")
            self.assertEqual(played.remote, b"")

    def test_direct_tls(self) -> None:
        """A client that starts TLS at once is left to it."""
        played = play_split(self, SERVER.early, CLIENT_HELLO)
        self.assertEqual((played.local, played.local_unread), (b"", CLIENT_HELLO))
        self.assertTrue(played.refused)

    def test_other_requests(self) -> None:
        """Anything but starttls is a policy violation, and not repeated."""
        ours = header(b" from='example.org' id='0123' version='1.0'") + FEATURES
        for request in (b"<auth xmlns='x'>SECRET</auth>", b"<iq/>", b"<starttls/>"):
            played = play_split(self, SERVER.early, header() + request)
            self.assertEqual(played.error, "ProtocolViolation")
            self.assertEqual(played.local, ours + error(b"policy-violation", b""))
        played = play(SERVER.early, header() + b"</stream:stream>")
        self.assertEqual((played.error, played.local), ("PeerClosed", ours + b"</stream:stream>"))

    def test_header_refused(self) -> None:
        """A header for another service is answered in a stream opened for that."""
        for text, words in (
            (header(space=b"server"), error(b"invalid-namespace")),
            (header(b" to='example.org'"), error(b"unsupported-version")),
            (b"<?xml version='1.0'?><!DOCTYPE x>", error(b"not-well-formed", NAMELESS)),
            (b"HELO x\r\n", error(b"not-well-formed", NAMELESS)),
        ):
            played = play_split(self, SERVER.early, text)
            self.assertEqual((played.error, played.local), ("ProtocolViolation", words))

    def test_injection_into_our_header(self) -> None:
        """An address that could carry markup into our header is left out of it."""
        data = header(b" to=\"a'><x/>\" version='1.0'")
        played = play(SERVER.early, data + START_TLS)
        self.assertNotIn(b"<x/>", played.local)
        self.assertEqual(played.error, "ProtocolViolation")
        played = play(SERVER.early, header(b" to=\"a'b\" version='1.0'") + START_TLS)
        self.assertTrue(played.local.startswith(NAMELESS))

    def test_truncated(self) -> None:
        """The client may go away, or fall silent, at every byte."""
        play_cut(self, SERVER.early, header() + START_TLS, of="local")

    def test_backend_down(self) -> None:
        """Inside TLS the error comes in a stream of its own; before, in the one that is open."""
        played = play(SERVER.early, header() + START_TLS)
        self.assertEqual(refusal(SERVER, played.state, inside_tls=True), DOWN)
        nameless = error(b"remote-connection-failed", NAMELESS)
        self.assertEqual(refusal(SERVER, inside_tls=True), nameless)
        self.assertEqual(refusal(CLIENT, heard()), DOWN)
        self.assertEqual(refusal(CLIENT, heard(), slow=True), DOWN)

    def test_slow_client(self) -> None:
        """A client that does not speak in time is told that, not that a server is down."""
        self.assertEqual(refusal(SERVER, slow=True), error(b"connection-timeout", NAMELESS))


class ServersTests(XMPPTests):
    """``jabber:server``."""

    def test_from(self) -> None:
        """Among servers our header says who asks, as RFC 6120 §4.7.1 requires."""
        first = header(b" from='a.example' to='b.example' version='1.0'", b"server")
        early = play(S2S.client().early, first)
        answer = header(b" version='1.0'", b"server") + OFFER + PROCEED
        played = play(S2S.client().middle, b"", answer, state=lambda _: early.state)
        self.assertEqual(played.error, "")
        self.assertIn(b"xmlns='jabber:server'", played.remote)
        self.assertIn(b" to='b.example' from='a.example'", played.remote)

    def test_wrong_port(self) -> None:
        """A client's stream on the servers' port is refused."""
        played = play(S2S.server().early, header())
        self.assertIn(b"<invalid-namespace ", played.local)


def _keep(opening: Opening) -> Callable[[Conversation], Opening]:
    """Hand an earlier stage's state to the next one."""
    return lambda _: opening
