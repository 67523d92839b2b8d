"""Tests of stunnel_tx.tls.alpn."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.alpn import acceptable, select
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.policy import Role, TLSPolicy
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording
from tests.tls.peers import files


def policy(role: Role, *names: bytes, required: bool = False) -> TLSPolicy:
    """One side with these protocols."""
    cert = (files().paths["good"],) if role is Role.SERVER else ()
    return TLSPolicy("alpn", role, cert, alpn=names, alpn_required=required)


class DecisionTests(SynchronousTestCase):
    """The decisions on plain values."""

    def test_select(self) -> None:
        """The preference of the server decides, not the order of the client."""
        self.assertEqual(select((b"h2", b"http/1.1"), (b"http/1.1", b"h2")), b"h2")
        self.assertEqual(select((b"h2", b"http/1.1"), (b"x", b"http/1.1")), b"http/1.1")
        self.assertIsNone(select((b"h2",), (b"H2", b"h")))

    def test_acceptable(self) -> None:
        """Others only are turned away, none at all where one is required."""
        for names, required, offered, wanted in (
            ((), False, (b"h2",), True),
            ((b"h2",), False, (b"h2",), True),
            ((b"h2",), False, (), True),
            ((b"h2",), False, (b"imap",), False),
            ((b"h2",), True, (), False),
            ((b"h2",), True, (b"h2",), True),
        ):
            made = policy(Role.SERVER, *names, required=required)
            self.assertEqual(acceptable(made, offered), wanted, (names, required, offered))


class HandshakeTests(SynchronousTestCase):
    """What two ends settle on."""

    def meet(self, server: TLSPolicy, client: TLSPolicy) -> Meeting:
        """One handshake."""
        scope = Recording().scope
        first, second = (build_context(each, scope, lambda _: None) for each in (server, client))
        meeting = Meeting(first, second).shake()
        self.addCleanup(meeting.close)
        return meeting

    def test_agreed(self) -> None:
        """Both ends know the name, and the log has it."""
        server = policy(Role.SERVER, b"h2", b"imap")
        meeting = self.meet(server, policy(Role.CLIENT, b"imap", b"h2", required=True))
        self.assertTrue(meeting.accepted)
        for end in (meeting.server, meeting.client):
            self.assertEqual(end.connection.get_alpn_proto_negotiated(), b"h2")
            self.assertIn("ALPN: negotiated protocol: h2", end.log.texts)

    def test_client_insists(self) -> None:
        """A client that requires a protocol leaves a server that settles on none."""
        meeting = self.meet(policy(Role.SERVER), policy(Role.CLIENT, b"h2", required=True))
        self.assertEqual(meeting.client.refusal, "no application protocol")
        meeting = self.meet(policy(Role.SERVER), policy(Role.CLIENT, b"h2"))
        self.assertTrue(meeting.accepted)
        self.assertIn("ALPN: no protocol negotiated", meeting.client.log.texts)

    def test_server_insists_again(self) -> None:
        """The verdict asks once more: a hello that was not looked at before opens nothing."""
        for offered in ((), (b"imap",)):
            server = policy(Role.SERVER, b"h2", required=True)
            meeting = self.meet(server, policy(Role.CLIENT, *offered))
            self.assertEqual(meeting.server.refusal, "no application protocol")
