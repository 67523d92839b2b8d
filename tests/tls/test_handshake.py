"""Tests of the verdict on real handshakes: the whole matrix, and the lines in the log."""

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
    KEY_PINNED,
    POLICIES,
    TLS_1_2,
    TLS_1_3,
    context,
    files,
    judge_policy,
    peer_policy,
)

if TYPE_CHECKING:
    from stunnel_tx.tls.handshake import TLSContext

# Which certificates each way of looking at them lets through; "none" depends on "require".
BY_CHAIN = {"good", "other key"}
BY_PIN = {"good", "reissued"}
BY_KEY = {"good", "reissued", "reissued self-signed"}

KINDS = (
    "good",
    "none",
    "unknown CA",
    "self-signed",
    "expired",
    "not yet valid",
    "wrong host",
    "other key",
    "reissued",
    "reissued self-signed",
    "revoked",
    "weak key",
)

# What the rejected side is told, where the library has a specific alert for it.
ALERTS = {
    "unknown CA": "unknown ca",
    "self-signed": "unknown ca",
    "expired": "certificate expired",
    "not yet valid": "bad certificate",
    "reissued self-signed": "unknown ca",
    "revoked": "certificate revoked",
}


def expected(name: str, kind: str) -> bool:
    """Whether the row *name* lets a certificate of *kind* through."""
    _, require, chain, pin = POLICIES[name]
    if kind == "none":
        return not require
    keyed = name not in KEY_PINNED or kind in BY_KEY
    return keyed and (not chain or kind in BY_CHAIN) and (not pin or kind in BY_PIN)


class MatrixTests(SynchronousTestCase):
    """Every verification policy meets every kind of certificate, both roles and versions."""

    def meet(self, role: Role, name: str, kind: str, version: int) -> Meeting:
        """One handshake; the end that judges is the one in *role*."""
        judge = context(judge_policy(role, name, version, kind))
        if role is Role.SERVER:
            meeting = Meeting(judge, context(peer_policy(Role.CLIENT, kind)))
        else:
            meeting = Meeting(context(peer_policy(Role.SERVER, kind)), judge)
        self.addCleanup(meeting.close)
        return meeting.shake()

    def check(self, role: Role, version: int) -> None:
        """Go through the whole table."""
        for name in POLICIES:
            for kind in KINDS:
                if kind == "none" and role is Role.CLIENT:
                    continue  # a server without a certificate has no handshake to offer
                meeting = self.meet(role, name, kind, version)
                judge, peer = meeting.server, meeting.client
                if role is Role.CLIENT:
                    judge, peer = peer, judge
                where = f"{name}, {kind}, {role}, {version:#x}: {judge.refusal} {judge.log.texts}"
                self.assertEqual(meeting.accepted, expected(name, kind), where)
                if meeting.accepted or kind == "none":
                    continue
                self.assertTrue(judge.context.rejection(judge.connection), where)
                rejections = [each for each in judge.log.texts if "Rejected by CERT" in each]
                self.assertEqual(len(rejections), 1, where)
                self.assertIn("certificate verify failed", judge.refusal, where)
                # A wrong key is found before anything else when there are no roots to look for.
                if kind in ALERTS and name != "pinSHA256":
                    self.assertIn(ALERTS[kind], peer.refusal, where)

    def test_server_tls_1_2(self) -> None:
        """A server judges its clients over TLS 1.2."""
        self.check(Role.SERVER, TLS_1_2)

    def test_server_tls_1_3(self) -> None:
        """A server judges its clients over TLS 1.3."""
        self.check(Role.SERVER, TLS_1_3)

    def test_client_tls_1_2(self) -> None:
        """A client judges its server over TLS 1.2."""
        self.check(Role.CLIENT, TLS_1_2)

    def test_client_tls_1_3(self) -> None:
        """A client judges its server over TLS 1.3."""
        self.check(Role.CLIENT, TLS_1_3)

    def test_missing_certificate_is_named(self) -> None:
        """A client without a certificate is refused with the words people look for."""
        for version in (TLS_1_2, TLS_1_3):
            meeting = self.meet(Role.SERVER, "verifyChain", "none", version)
            self.assertIn("peer did not return a certificate", meeting.server.refusal)

    def test_wrong_pin_of_unknown_issuer_says_so(self) -> None:
        """With the pin alone, an unknown issuer's certificate gets the alert unknown_ca."""
        meeting = self.meet(Role.SERVER, "verifyPeer", "unknown CA", TLS_1_3)
        self.assertIn("CERT: Certificate not found in local repository", meeting.server.log.texts)
        self.assertIn("tlsv1 alert unknown ca", meeting.client.refusal)


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
