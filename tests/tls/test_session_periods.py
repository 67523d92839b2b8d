"""Tests of stunnel_tx.tls.session_periods, with real handshakes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls import context as context_module
from stunnel_tx.tls.binding.capabilities import capabilities
from stunnel_tx.tls.context import build_context, session_scope
from stunnel_tx.tls.policy import (
    RevocationPolicy,
    Role,
    TLSPolicy,
    TrustPolicy,
    VerificationPolicy,
)
from stunnel_tx.tls.session_periods import SessionPeriods, TrustEnds, lifetime_of
from stunnel_tx.tls.verification import Outcome
from tests.doubles.certificates import DAY, NOW, Authority
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording
from tests.tls.hashed import subject_hash

if TYPE_CHECKING:
    from stunnel_tx.tls.handshake import TLSContext

CHAIN = VerificationPolicy(True, True, True)
KINDS = [(version, options) for version in (0x0303, 0x0304) for options in (0, SSL.OP_NO_TICKET)]


class Time:
    """A clock that is set by hand."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now


class TrustEndsTests(SynchronousTestCase):
    """Moments that pass."""

    def test_each_once(self) -> None:
        """Every end is reported once, several that have passed together as one."""
        time = Time(10.0)
        moments = [datetime.fromtimestamp(each, UTC) for each in (40, 5, 20, 30, 20)]
        ends = TrustEnds(moments, time)
        answers = []
        for now in (10, 19, 20, 20, 25, 45, 45, 99):
            time.now = now
            answers.append(ends.passed())
        self.assertEqual(answers, [False, False, True, False, False, True, False, False])

    def test_none(self) -> None:
        """Where nothing ends, nothing has passed."""
        self.assertFalse(TrustEnds(now=Time(1e12)).passed())

    def test_lifetimes(self) -> None:
        """0 is no limit but that of RFC 8446, which holds for longer ones too."""
        self.assertEqual([lifetime_of(each) for each in (300, 0, 10**9)], [300, 604800, 604800])


class PeriodTests(SynchronousTestCase):
    """Who resumes, and who has to go through a full handshake."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.root = Authority("Root")
        self.cert = self.root.issue("peer").pem(self.directory / "peer.pem")
        self.trust = TrustPolicy(self.root.pem(self.directory / "root.pem"))
        self.client = self.build(TLSPolicy("c", Role.CLIENT, (self.cert,)))
        self.time, self.day = Time(), Time(NOW.timestamp())

    def build(self, policy: TLSPolicy) -> TLSContext:
        """A context."""
        return build_context(policy, Recording().scope, lambda _prompt: None)

    def policy(self, **values: Any) -> TLSPolicy:
        """That of a server that judges its clients."""
        settings = {"trust": self.trust, "verification": CHAIN, **values}
        return TLSPolicy("s", Role.SERVER, (self.cert,), **settings)

    def server(self, version: int, options: int, *ends: datetime, **values: Any) -> TLSContext:
        """A server by the clocks of the test."""
        made = self.build(self.policy(max_version=version, options_set=options, **values))
        scope, context = session_scope(made.policy), made.context
        periods = SessionPeriods(context, scope, 300.0, TrustEnds(ends, self.day), self.time)
        return evolve(made, periods=periods)

    def meet(
        self, server: TLSContext, session: SSL.Session | None = None
    ) -> tuple[bool, SSL.Session]:
        """Whether a good client resumes *session*, and the one to use next; it is let in anyhow."""
        meeting = Meeting(server, self.client, session).shake()
        self.addCleanup(meeting.close)
        self.assertTrue(meeting.accepted, meeting.server.refusal)
        self.assertIs(meeting.server.outcome, Outcome.ACCEPTED)
        after = meeting.session()
        meeting.close()
        return meeting.server.resumed, after

    def test_no_chain_without_end(self) -> None:
        """Sessions handed on from one to the next end together with the first of them."""
        for version, options in KINDS:
            for more in ({}, {"redirect": True}):
                server = self.server(version, options, **more)
                answers = []
                session = None
                for _ in range(5):
                    resumed, session = self.meet(server, session)
                    answers.append(resumed)
                    self.time.now += 100
                self.assertEqual(answers, [False, True, True, False, True], (version, options))

    def test_end_of_trust(self) -> None:
        """When something ends, whoever resumes is verified again, and resumes from then on."""
        for version, options in KINDS:
            self.day.now = NOW.timestamp()
            server = self.server(version, options, NOW + DAY, NOW + 2 * DAY)
            resumed, session = self.meet(server)
            for later, expected in ((0, True), (1, False), (1.5, True), (3, False), (4, True)):
                self.day.now = (NOW + later * DAY).timestamp()
                resumed, session = self.meet(server, session)
                self.assertEqual(resumed, expected, (version, options, later))

    def test_old_sessions_stay_old(self) -> None:
        """A session of an earlier period is worth nothing in any later one."""
        server = self.server(0x0304, 0)
        _, session = self.meet(server)
        for _ in range(3):
            self.time.now += 300
            self.assertFalse(self.meet(server, session)[0])

    def ends_of(self, **values: Any) -> list[datetime]:
        """The moments a server built from files takes heed of."""
        periods = self.build(self.policy(**values)).periods
        assert periods is not None
        return [datetime.fromtimestamp(each, UTC) for each in periods._ends._ends]

    def test_what_ends(self) -> None:
        """Trusted certificates and lists of both sources count, each for itself."""
        other = Authority("Other", until=NOW + 5 * DAY)
        other.pem(self.directory / f"{subject_hash(other)}.0")
        lists = self.directory / "lists.pem"
        lists.write_bytes(self.root.crl(until=NOW + 2 * DAY) + other.crl(until=NOW + 3 * DAY))
        name = f"{subject_hash(self.root)}.r0"
        (self.directory / name).write_bytes(self.root.crl(until=NOW + 4 * DAY))
        found = self.ends_of(
            trust=TrustPolicy(self.trust.ca_file, str(self.directory)),
            revocation=RevocationPolicy(str(lists), str(self.directory)),
        )
        self.assertEqual(found, [NOW + days * DAY for days in (2, 3, 4, 5, 400)])

    def test_where_it_matters(self) -> None:
        """Servers that turn nobody down, or resume nothing, have no periods; clients neither."""
        anyone = VerificationPolicy(True, True)
        for values in ({"verification": anyone}, {"session_resume": False}):
            self.assertIsNone(self.build(self.policy(**values)).periods)
        verifying = TLSPolicy("c", Role.CLIENT, (), None, self.trust, CHAIN)
        self.assertIsNone(self.build(verifying).periods)

    def test_without_the_call(self) -> None:
        """Where periods cannot be had, a server that verifies its peers resumes nothing."""
        lesser = evolve(capabilities(), session_scope=False)
        self.patch(context_module, "capabilities", lambda: lesser)
        server = self.build(self.policy())
        _, session = self.meet(server)
        self.assertFalse(self.meet(server, session)[0])
        public = self.build(TLSPolicy("p", Role.SERVER, (self.cert,)))
        _, session = self.meet(public)
        self.assertTrue(self.meet(public, session)[0])

    def test_no_limit(self) -> None:
        """With sessionCacheTimeout = 0 good peers resume, beside a redirect too."""
        for version, options in KINDS:
            server = self.build(
                self.policy(
                    session_timeout=0, redirect=True, max_version=version, options_set=options
                )
            )
            _, session = self.meet(server)
            assert server.peers is not None
            server.peers._now = Time(server.peers._now() + 1000.0)
            self.assertTrue(self.meet(server, session)[0])
