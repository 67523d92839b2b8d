"""Tests of handshakes with pre-shared keys: both versions, with and beside certificates."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError
from stunnel_tx.tls.binding import psk
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.policy import (
    COMPATIBLE_CIPHERS,
    Role,
    TLSPolicy,
    TrustPolicy,
    VerificationPolicy,
)
from stunnel_tx.tls.shared_keys import _note_identity
from stunnel_tx.tls.verification import Outcome
from tests.doubles.certificates import Authority
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from OpenSSL import SSL

    from stunnel_tx.tls.handshake import TLSContext

TLS_1_2, TLS_1_3 = 0x0303, 0x0304
VERSIONS = (TLS_1_2, TLS_1_3)
ANY_CERTIFICATE = VerificationPolicy(True, True)


class KeyTestCase(SynchronousTestCase):
    """Files with keys."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.log = Recording()
        self.right = self.secrets("right", b"me:0123456789abcdef0\nyou:fedcba98765432100\n")
        self.wrong = self.secrets("wrong", b"me:another key of me\n")
        self.stranger = self.secrets("stranger", b"him:0123456789abcdef0\n")

    def secrets(self, name: str, data: bytes) -> str:
        """The path of a file with *data*."""
        path = self.directory / name
        path.write_bytes(data)
        return str(path)

    def context(self, role: Role, version: int = 0, **values: Any) -> TLSContext:
        """The context of one end."""
        policy = TLSPolicy("s", role, min_version=version, max_version=version, **values)
        return build_context(policy, self.log.scope, lambda _prompt: None)

    def meet(
        self, server: TLSContext, client: TLSContext, session: SSL.Session | None = None
    ) -> Meeting:
        """A handshake, closed at the end of the test."""
        meeting = Meeting(server, client, session)
        self.addCleanup(meeting.close)
        return meeting.shake()


class KeyHandshakeTests(KeyTestCase):
    """Keys alone."""

    def test_right_key(self) -> None:
        """With the same key there is a handshake without any certificate, logged as such."""
        for version in VERSIONS:
            server = self.context(Role.SERVER, version, psk_file=self.right)
            client = self.context(Role.CLIENT, version, psk_file=self.right, psk_identity="you")
            meeting = self.meet(server, client)
            self.assertTrue(meeting.accepted, meeting.server.refusal)
            self.assertIn("TLS accepted: PSK", meeting.server.log.texts)
            self.assertIn("TLS connected: PSK", meeting.client.log.texts)
            line = 'Key configured for PSK identity "you"'
            self.assertEqual(meeting.server.log.texts.count(line), 1)

    def test_forward_secrecy(self) -> None:
        """On TLS 1.2 the default list has a suite with forward secrecy for keys."""
        meeting = self.meet(
            self.context(Role.SERVER, TLS_1_2, psk_file=self.right),
            self.context(Role.CLIENT, TLS_1_2, psk_file=self.right),
        )
        facts = meeting.client.context.facts(meeting.client.connection)
        self.assertEqual(facts.cipher, "ECDHE-PSK-CHACHA20-POLY1305")

    def test_plain_key_exchange(self) -> None:
        """Suites without forward secrecy are there for those who ask for them."""
        values = {"psk_file": self.right, "ciphers": "PSK-AES256-GCM-SHA384"}
        meeting = self.meet(
            self.context(Role.SERVER, TLS_1_2, **values),
            self.context(Role.CLIENT, TLS_1_2, **values),
        )
        self.assertTrue(meeting.accepted, meeting.server.refusal)

    def test_wrong_key(self) -> None:
        """Another key under a known identity is refused on both sides."""
        for version, reason in ((TLS_1_2, "bad record mac"), (TLS_1_3, "binder does not verify")):
            server = self.context(Role.SERVER, version, psk_file=self.right)
            meeting = self.meet(server, self.context(Role.CLIENT, version, psk_file=self.wrong))
            self.assertFalse(meeting.accepted)
            self.assertIn(reason, meeting.server.refusal)

    def test_unknown_identity(self) -> None:
        """An identity without a key is named in the log, and refused."""
        for version in VERSIONS:
            server = self.context(Role.SERVER, version, psk_file=self.right)
            meeting = self.meet(server, self.context(Role.CLIENT, version, psk_file=self.stranger))
            self.assertFalse(meeting.accepted)
            self.assertIn("PSK identity not found: him", meeting.server.log.texts)

    def test_ticket_is_not_looked_for(self) -> None:
        """What OpenSSL shows of a session ticket is no identity that somebody has to miss.

        A ticket is random: it may begin with NUL, and then nothing of it is seen.
        """
        recording = Recording()
        for shown in (b"", b"\x8f\xf1\x03", b"a\x01"):
            _note_identity(recording.scope, shown, None)
        self.assertEqual(recording.texts, [])
        _note_identity(recording.scope, b"him", None)
        self.assertEqual(recording.texts, ["PSK identity not found: him"])

    def test_certificate_required_of_others(self) -> None:
        """A key stands in for a certificate that is required, in full and resumed handshakes."""
        for version in VERSIONS:
            values = {"psk_file": self.right, "verification": ANY_CERTIFICATE}
            server = self.context(Role.SERVER, version, **values)
            client = self.context(Role.CLIENT, version, **values)
            first = self.meet(server, client)
            self.assertTrue(first.accepted, (first.server.refusal, first.client.refusal))
            session = first.session()
            again = self.meet(server, client, session)
            self.assertTrue(again.accepted, (again.server.refusal, again.client.refusal))
            self.assertIn("TLS accepted: previous session reused", again.server.log.texts)

    def test_key_and_session_are_told_apart(self) -> None:
        """The first handshake goes by the key, the next one by its session, on both ends."""
        for version in VERSIONS:
            server = self.context(Role.SERVER, version, psk_file=self.right)
            client = self.context(Role.CLIENT, version, psk_file=self.right)
            for words in ("PSK", "previous session reused", "previous session reused"):
                meeting = self.meet(server, client)
                self.assertIn(f"TLS accepted: {words}", meeting.server.log.texts, version)
                self.assertIn(f"TLS connected: {words}", meeting.client.log.texts, version)
                for end in (meeting.server, meeting.client):
                    self.assertEqual(end.resumed, words != "PSK", version)
                meeting.session()
                for end in (meeting.server, meeting.client):
                    end.context.release(end.connection)

    def test_callbacks_outlive_the_garbage_collector(self) -> None:
        """The functions OpenSSL calls are kept as long as their context."""
        server = self.context(Role.SERVER, psk_file=self.right)
        client = self.context(Role.CLIENT, psk_file=self.right)
        gc.collect()
        self.assertTrue(self.meet(server, client).accepted)

    def test_no_trace_of_past_connections(self) -> None:
        """What is remembered of a connection goes with it."""
        server = self.context(Role.SERVER, psk_file=self.right)
        client = self.context(Role.CLIENT, psk_file=self.right)
        for _ in range(3):
            meeting = Meeting(server, client).shake()
            self.assertTrue(meeting.accepted)
            meeting.close()
            del meeting
        gc.collect()
        assert server.keys is not None
        self.assertEqual(server.keys._watched, {})


class BesideCertificatesTests(KeyTestCase):
    """A server that has both."""

    def setUp(self) -> None:
        super().setUp()
        root = Authority("Root")
        self.trust = TrustPolicy(root.pem(self.directory / "root.pem"))
        self.server_file = root.issue("server", ["a.example"]).pem(self.directory / "server.pem")
        self.client_file = root.issue("client").pem(self.directory / "client.pem")
        self.both = {
            "certificate_files": (self.server_file,),
            "psk_file": self.right,
            "trust": self.trust,
            "verification": VerificationPolicy(True, True, True),
        }

    def test_either_will_do(self) -> None:
        """A key or a certificate lets a client in; nothing, or a wrong key, does not."""
        for version in VERSIONS:
            for values, good in (
                ({"psk_file": self.right}, True),
                ({"certificate_files": (self.client_file,)}, True),
                ({"psk_file": self.stranger}, False),
                ({"psk_file": self.wrong}, False),
                ({}, False),
            ):
                server = self.context(Role.SERVER, version, **self.both)
                meeting = self.meet(server, self.context(Role.CLIENT, version, **values))
                self.assertEqual(meeting.accepted, good, (version, values, meeting.server.refusal))

    def test_found_and_passed_over(self) -> None:
        """An identity whose key was found, but not used, proves nothing.

        A client that offers SHA-384 suites alone makes OpenSSL pass the key over.
        """
        optional = {**self.both, "verification": VerificationPolicy(True, False, True)}
        server = self.context(Role.SERVER, TLS_1_3, **optional)
        suites = {"ciphersuites": "TLS_AES_256_GCM_SHA384"}
        client = self.context(Role.CLIENT, TLS_1_3, psk_file=self.wrong, **suites)
        meeting = self.meet(server, client)
        self.assertNotIn("TLS accepted: PSK", meeting.server.log.texts)

    def test_key_again_where_others_are_redirected(self) -> None:
        """A client with a key is known by it each time, by a full handshake.

        A session without a certificate could be that of a stranger, who is let in as well.
        """
        for version in VERSIONS:
            server = self.context(Role.SERVER, version, **self.both, redirect=True)
            client = self.context(Role.CLIENT, version, psk_file=self.right)
            session = None
            for _ in range(3):
                meeting = self.meet(server, client, session)
                self.assertTrue(meeting.accepted, (meeting.server.refusal, meeting.client.refusal))
                self.assertIs(meeting.server.outcome, Outcome.ACCEPTED, version)
                self.assertIn("TLS accepted: PSK", meeting.server.log.texts)
                session = meeting.session()

    def test_stranger_again_where_others_are_redirected(self) -> None:
        """Nor does a client with neither key nor certificate become somebody by coming again."""
        for version in VERSIONS:
            server = self.context(Role.SERVER, version, **self.both, redirect=True)
            client = self.context(Role.CLIENT, version)
            session = None
            for _ in range(2):
                meeting = self.meet(server, client, session)
                self.assertTrue(meeting.accepted, (meeting.server.refusal, meeting.client.refusal))
                self.assertIs(meeting.server.outcome, Outcome.UNAUTHENTICATED, version)
                session = meeting.session()

    def test_server_with_only_a_certificate(self) -> None:
        """A client that has a key still judges the certificate of a server without one."""
        server = self.context(Role.SERVER, certificate_files=(self.server_file,))
        for host, good in (("a.example", True), ("b.example", False)):
            client = self.context(
                Role.CLIENT,
                psk_file=self.right,
                trust=self.trust,
                verification=VerificationPolicy(True, True, True, hosts=(host,)),
                ciphers=COMPATIBLE_CIPHERS,
            )
            self.assertEqual(self.meet(server, client).accepted, good)


class RefusedTests(KeyTestCase):
    """What cannot be set up."""

    def test_identity_of_a_server(self) -> None:
        """PSKidentity is for clients; a server says that it has no use for it."""
        self.context(Role.SERVER, psk_file=self.right, psk_identity="nobody")
        self.assertIn("PSKidentity is ignored in a server service", self.log.texts)

    def test_unknown_identity(self) -> None:
        """A client whose identity has no key does not start."""
        error = self.assertRaises(
            OperatingError, self.context, Role.CLIENT, psk_file=self.right, psk_identity="x"
        )
        self.assertIn("Failed to initialize TLS context", str(error))

    def test_library_without_keys(self) -> None:
        """Where pyOpenSSL has no callbacks the service does not start, and says why."""
        self.patch(psk, "private_library", lambda: (object(), object()))
        for role in Role:
            error = self.assertRaises(OperatingError, self.context, role, psk_file=self.right)
            self.assertIn("no pre-shared keys", str(error))
