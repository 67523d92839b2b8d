"""Tests of real handshakes: the lines in the log, and what is told of them."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls import handshake
from stunnel_tx.tls.handshake import server_name_bytes
from stunnel_tx.tls.policy import Role, TLSPolicy, TrustPolicy, VerificationPolicy
from tests.doubles.certificates import Authority
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording
from tests.tls.peers import (
    HOST,
    TLS_1_2,
    TLS_1_3,
    context,
    files,
    judge_policy,
    peer_policy,
)

if TYPE_CHECKING:
    from stunnel_tx.tls.handshake import TLSContext


class LogTests(SynchronousTestCase):
    """The lines of a connection, as monitoring scripts look for them."""

    def meet(self, server: TLSContext, client: TLSContext) -> Meeting:
        """One handshake, closed at the end of the test."""
        meeting = Meeting(server, client)
        self.addCleanup(meeting.close)
        return meeting

    def client_policy(self, server_name: str | None, version: int) -> TLSPolicy:
        """A client that verifies the chain and the host."""
        return TLSPolicy(
            service="c",
            role=Role.CLIENT,
            trust=files().trust,
            verification=VerificationPolicy(True, True, True, hosts=(HOST,)),
            server_name=server_name,
            max_version=version,
        )

    def test_client_lines(self) -> None:
        """A client tells what it sends, what it verified and what was negotiated."""
        client = context(self.client_policy(HOST, TLS_1_3))
        meeting = self.meet(context(peer_policy(Role.SERVER, "good")), client).shake()
        self.assertEqual(
            meeting.client.log.texts,
            [
                "Peer certificate required",
                f"SNI: sending servername: {HOST}",
                "Verification started at depth=1: CN=Root",
                "Certificate accepted at depth=1: CN=Root",
                "Verification started at depth=0: CN=peer",
                f'CERT: Host name "{HOST}" matched with "{HOST}"',
                "Certificate accepted at depth=0: CN=peer",
                "TLS connected: new session negotiated",
                "TLSv1.3 ciphersuite: TLS_AES_256_GCM_SHA384 (256-bit encryption)",
                "Negotiated TLSv1.3 group: X25519MLKEM768",
            ],
        )

    def test_rejection_lines(self) -> None:
        """A rejected certificate leaves its error and its name in the log."""
        client = context(self.client_policy(None, TLS_1_3))
        meeting = self.meet(context(peer_policy(Role.SERVER, "self-signed")), client).shake()
        reason = "certificate not found in local repository: self-signed certificate"
        self.assertEqual(
            meeting.client.log.texts,
            [
                "Peer certificate required",
                "SNI: extension disabled",
                "Verification started at depth=0: CN=self",
                f"CERT: Pre-verification error: {reason}",
                "Rejected by CERT at depth=0: CN=self",
            ],
        )
        self.assertEqual(client.rejection(meeting.client.connection), reason)

    def test_unverified_lines(self) -> None:
        """A certificate that is asked for but not verified is accepted with a remark."""
        server = context(judge_policy(Role.SERVER, "requireCert", TLS_1_3))
        client = context(peer_policy(Role.CLIENT, "self-signed"))
        texts = self.meet(server, client).shake().server.log.texts
        self.assertIn("CERT: Certificate verification disabled", texts)
        self.assertIn("Certificate accepted at depth=0: CN=self", texts)

    def test_silent_below_the_threshold(self) -> None:
        """Nothing is looked up for lines that no sink would take."""
        server = context(peer_policy(Role.SERVER, "good"))
        meeting = self.meet(server, context(peer_policy(Role.CLIENT, "none")))
        meeting.server.log = meeting.client.log = quiet = Recording(threshold=3)
        self.patch(handshake, "facts_of", lambda _connection: self.fail("looked up"))
        self.assertTrue(meeting.shake().accepted)
        self.assertEqual(quiet.lines, [])

    def test_facts(self) -> None:
        """The facts name version, cipher, group and server name."""
        client = context(self.client_policy(HOST, TLS_1_2))
        meeting = self.meet(context(peer_policy(Role.SERVER, "good")), client).shake()
        facts = meeting.server.context.facts(meeting.server.connection)
        self.assertEqual(facts.version, "TLSv1.2")
        self.assertEqual(facts.cipher, "ECDHE-ECDSA-AES256-GCM-SHA384")
        self.assertEqual(facts.bits, 256)
        self.assertEqual(facts.group, "x25519")
        self.assertEqual(facts.server_name, HOST)
        self.assertIsNone(facts.alpn)

    def test_no_judgement_without_a_request(self) -> None:
        """A service that asks for nothing carries no state for a verdict."""
        server = context(peer_policy(Role.SERVER, "good"))
        meeting = self.meet(server, context(peer_policy(Role.CLIENT, "none"))).shake()
        self.assertIsNone(meeting.server.connection.get_app_data())
        self.assertEqual(server.rejection(meeting.server.connection), "")

    def test_any_single_subject_check_is_enough(self) -> None:
        """A wrong host does no harm where another check matches."""
        policy = self.client_policy(None, TLS_1_3)
        root = Authority("Another")
        directory = Path(self.mktemp())
        directory.mkdir()
        issued = root.issue("peer", ["10.0.0.1", "root@peer.example"])
        checks = VerificationPolicy(
            True,
            True,
            True,
            hosts=("nobody.example",),
            emails=("nobody@peer.example",),
            addresses=(ip_address("10.0.0.1"),),
        )
        client = TLSPolicy(
            service="c",
            role=policy.role,
            trust=TrustPolicy(root.pem(directory / "root.pem")),
            verification=checks,
        )
        server = TLSPolicy("s", Role.SERVER, (issued.pem(directory / "peer.pem"),))
        meeting = self.meet(context(server), context(client)).shake()
        self.assertTrue(meeting.accepted, meeting.client.refusal)
        self.assertIn('CERT: IP address "10.0.0.1" matched', meeting.client.log.texts)


class ServerNameTests(SynchronousTestCase):
    """What a client puts into the server_name extension."""

    def test_addresses_are_never_sent(self) -> None:
        """RFC 6066 §3 has no place for IP addresses."""
        for text in ("127.0.0.1", "::1", "[::1]", "", None):
            self.assertIsNone(server_name_bytes(text))

    def test_names(self) -> None:
        """Names go out in ASCII and without a trailing dot."""
        self.assertEqual(server_name_bytes("www.example.com."), b"www.example.com")
        self.assertEqual(server_name_bytes("bücher.example"), b"xn--bcher-kva.example")

    def test_nonsense(self) -> None:
        """A name that has no ASCII form is an error, not something else on the wire."""
        self.assertRaises(UnicodeError, server_name_bytes, "a" * 64 + ".example")
