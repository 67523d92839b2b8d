"""Tests of servers that let peers in who fail, and tell them apart."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls import handshake
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.policy import Role, TLSPolicy, VerificationPolicy
from stunnel_tx.tls.verification import (
    ACCEPTED,
    Outcome,
    Verdict,
    judge_or_redirect,
)
from tests.doubles.certificates import DAY
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording
from tests.tls.peers import HOST, TLS_1_2, TLS_1_3, context, files, peer_policy
from tests.tls.test_verification import LEAF

if TYPE_CHECKING:
    from stunnel_tx.tls.handshake import TLSContext

KINDS = ("none", "unknown CA", "self-signed", "expired", "not yet valid", "wrong host", "other key")


class DecisionTests(SynchronousTestCase):
    """The decision on plain values."""

    def test_matrix(self) -> None:
        """Only who is known, has not failed, and passes the final verdict is authenticated."""
        rejected = Verdict(Outcome.REJECTED, "late")
        for leaf, final, known, keyed, failure, wanted in (
            (LEAF, ACCEPTED, True, False, "", Outcome.ACCEPTED),
            (LEAF, rejected, True, False, "", Outcome.UNAUTHENTICATED),
            (LEAF, ACCEPTED, False, False, "", Outcome.UNAUTHENTICATED),
            (LEAF, ACCEPTED, True, False, "bad", Outcome.UNAUTHENTICATED),
            (None, ACCEPTED, False, True, "", Outcome.ACCEPTED),
            (None, ACCEPTED, True, False, "", Outcome.UNAUTHENTICATED),
        ):
            finished = partial(evolve, final)
            verdict = judge_or_redirect(leaf, finished, known=known, keyed=keyed, failure=failure)
            self.assertIs(verdict.outcome, wanted)
            self.assertEqual(bool(verdict.reason), wanted is not Outcome.ACCEPTED)


class RedirectTests(SynchronousTestCase):
    """Real handshakes, full and resumed."""

    def build(self, version: int, *, require: bool = True, options: int = 0) -> TLSContext:
        """A server that redirects, with nothing in its memory."""
        policy = TLSPolicy(
            "redirecting",
            Role.SERVER,
            (files().paths["good"],),
            trust=files().trust,
            verification=VerificationPolicy(True, require, True, True, (HOST,)),
            max_version=version,
            options_set=options,
            redirect=True,
        )
        return build_context(policy, Recording().scope, lambda _prompt: None)

    def meet(
        self, server: TLSContext, kind: str, session: SSL.Session | None = None
    ) -> tuple[Outcome, Meeting]:
        """A handshake, which always succeeds, and what the server makes of its peer."""
        meeting = Meeting(server, context(peer_policy(Role.CLIENT, kind)), session).shake()
        self.addCleanup(meeting.close)
        self.assertTrue(meeting.accepted, (kind, meeting.server.refusal, meeting.client.refusal))
        assert meeting.server.outcome is not None
        return meeting.server.outcome, meeting

    def test_kinds_of_peers(self) -> None:
        """Whatever fails verification is let in unauthenticated, full and resumed."""
        for version in (TLS_1_2, TLS_1_3):
            for require in (True, False):
                for kind in KINDS:
                    server = self.build(version, require=require)
                    outcome, first = self.meet(server, kind)
                    self.assertIs(outcome, Outcome.UNAUTHENTICATED, kind)
                    session = first.session()
                    first.close()
                    outcome, second = self.meet(server, kind, session)
                    self.assertIs(outcome, Outcome.UNAUTHENTICATED, kind)
                    reused = "TLS accepted: previous session reused"
                    self.assertIn(reused, second.server.log.texts, kind)

    def test_good_peers(self) -> None:
        """A good certificate is good in a full handshake and in resumed ones."""
        for version in (TLS_1_2, TLS_1_3):
            for options in (0, SSL.OP_NO_TICKET):
                server = self.build(version, options=options)
                outcome, first = self.meet(server, "good")
                self.assertIs(outcome, Outcome.ACCEPTED)
                session = first.session()
                first.close()
                outcome, second = self.meet(server, "good", session)
                self.assertIs(outcome, Outcome.ACCEPTED)
                self.assertIn("TLS accepted: previous session reused", second.server.log.texts)

    def test_resumed_is_judged_again(self) -> None:
        """An accepted certificate that has expired since leads elsewhere, and is forgotten."""
        now = handshake._now()
        server = self.build(TLS_1_3)
        _, first = self.meet(server, "good")
        session = first.session()
        first.close()
        self.patch(handshake, "_now", lambda: now + 3 * DAY)
        outcome, second = self.meet(server, "good", session)
        second.close()
        self.assertIs(outcome, Outcome.UNAUTHENTICATED)
        self.patch(handshake, "_now", lambda: now)
        outcome, _ = self.meet(server, "good", session)
        self.assertIs(outcome, Outcome.UNAUTHENTICATED)

    def test_forgotten_peer(self) -> None:
        """A session whose certificate is not remembered does not authenticate."""
        server = self.build(TLS_1_3)
        _, first = self.meet(server, "good")
        session = first.session()
        first.close()
        assert server.peers is not None
        server.peers._seen.clear()
        outcome, _ = self.meet(server, "good", session)
        self.assertIs(outcome, Outcome.UNAUTHENTICATED)

    def test_lenience_ends(self) -> None:
        """After the verdict, a certificate that fails is turned down as anywhere."""
        _, meeting = self.meet(self.build(TLS_1_2), "none")
        judgement = meeting.server.connection.get_app_data()
        self.assertFalse(judgement.lenient)
