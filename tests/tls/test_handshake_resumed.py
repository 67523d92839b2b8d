"""Tests of resumed handshakes: what a session is worth, and to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls import handshake
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.policy import Role, TLSPolicy, VerificationPolicy
from tests.doubles.certificates import DAY
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording
from tests.tls.peers import HOST, TLS_1_2, TLS_1_3, context, files, judge_policy, peer_policy

if TYPE_CHECKING:
    from stunnel_tx.tls.handshake import TLSContext


class ResumptionTests(SynchronousTestCase):
    """What a session is worth, and to whom."""

    def setUp(self) -> None:
        self.now = handshake._now()

    def meet(
        self, server: TLSContext, client: TLSContext, session: SSL.Session | None = None
    ) -> Meeting:
        """One handshake that is closed in a way that keeps its session."""
        meeting = Meeting(server, client, session).shake()
        self.addCleanup(meeting.close)
        return meeting

    def judged_server(self, version: int, options: int = 0, service: str = "Q") -> TLSContext:
        """A server that wants a pinned certificate of a trusted chain."""
        return context(
            TLSPolicy(
                service=service,
                role=Role.SERVER,
                certificate_files=(files().paths["good"],),
                trust=files().trust,
                verification=VerificationPolicy(True, True, True, True, (HOST,)),
                max_version=version,
                options_set=options,
            )
        )

    def public_server(self, version: int, options: int = 0) -> TLSContext:
        """A server that asks for nothing."""
        return context(
            TLSPolicy(
                service="P",
                role=Role.SERVER,
                certificate_files=(files().paths["good"],),
                max_version=version,
                options_set=options,
            )
        )

    def test_resumed_and_accepted(self) -> None:
        """A good session is resumed on both versions, with the verdict's notes in the log."""
        client = context(peer_policy(Role.CLIENT, "good"))
        for version in (TLS_1_2, TLS_1_3):
            for options in (0, SSL.OP_NO_TICKET):
                server = self.judged_server(version, options)
                first = self.meet(server, client)
                session = first.session()
                first.close()
                second = self.meet(server, client, session)
                self.assertTrue(second.accepted, second.server.refusal)
                texts = second.server.log.texts
                self.assertIn("TLS accepted: previous session reused", texts)
                self.assertIn("CERT: Locally installed certificate matched", texts)
                self.assertIn("TLS connected: previous session reused", second.client.log.texts)

    def test_expiry_is_judged_again(self) -> None:
        """A session does not outlive the certificate it was made with."""
        client = context(peer_policy(Role.CLIENT, "good"))
        server = self.judged_server(TLS_1_3)
        first = self.meet(server, client)
        session = first.session()
        first.close()
        self.patch(handshake, "_now", lambda: self.now + 3 * DAY)
        second = self.meet(server, client, session)
        self.assertEqual(second.server.refusal, "certificate has expired")
        self.assertIn(
            "CERT: Resumed session rejected: certificate has expired", second.server.log.texts
        )

    def test_client_judges_resumed_servers(self) -> None:
        """A client applies its checks to the certificate kept with the session."""
        server = context(peer_policy(Role.SERVER, "good"))
        client = context(judge_policy(Role.CLIENT, "verifyChain", TLS_1_3))
        first = self.meet(server, client)
        session = first.session()
        first.close()
        self.patch(handshake, "_now", lambda: self.now - 3 * DAY)
        second = self.meet(server, client, session)
        self.assertEqual(second.client.refusal, "certificate is not yet valid")

    def test_public_session_opens_no_judged_service(self) -> None:
        """A session of a service that asks for nothing is none to one that does."""
        client = context(peer_policy(Role.CLIENT, "none"))
        for version in (TLS_1_2, TLS_1_3):
            for options in (0, SSL.OP_NO_TICKET):
                first = self.meet(self.public_server(version, options), client)
                session = first.session()
                first.close()
                second = self.meet(self.judged_server(version, options), client, session)
                self.assertIn("peer did not return a certificate", second.server.refusal)

    def test_judged_session_is_none_elsewhere(self) -> None:
        """The public service does a full handshake with a session of the judged one."""
        client = context(peer_policy(Role.CLIENT, "good"))
        for version in (TLS_1_2, TLS_1_3):
            for options in (0, SSL.OP_NO_TICKET):
                first = self.meet(self.judged_server(version, options), client)
                session = first.session()
                first.close()
                second = self.meet(self.public_server(version, options), client, session)
                self.assertTrue(second.accepted, second.server.refusal)
                self.assertIn("TLS accepted: new session negotiated", second.server.log.texts)

    def test_reload_makes_sessions_worthless(self) -> None:
        """A context built anew from the same policy resumes nothing of the old one."""
        client = context(peer_policy(Role.CLIENT, "good"))
        old = self.judged_server(TLS_1_3)
        new = build_context(old.policy, Recording().scope, lambda _prompt: None)
        first = self.meet(old, client)
        session = first.session()
        first.close()
        second = self.meet(new, client, session)
        self.assertIn("TLS accepted: new session negotiated", second.server.log.texts)

    def test_session_resume_off(self) -> None:
        """With sessionResume = no every handshake is a full one."""
        client = context(peer_policy(Role.CLIENT, "none"))
        for version in (TLS_1_2, TLS_1_3):
            server = context(
                TLSPolicy(
                    service="off",
                    role=Role.SERVER,
                    certificate_files=(files().paths["good"],),
                    max_version=version,
                    session_resume=False,
                )
            )
            first = self.meet(server, client)
            session = first.session()
            first.close()
            second = self.meet(server, client, session)
            self.assertIn("TLS accepted: new session negotiated", second.server.log.texts)
