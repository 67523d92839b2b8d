"""Tests of flows and of a relay's outcome."""

from __future__ import annotations

import itertools
import socket

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.relay.channel import WANT_READ, WANT_WRITE, PlainChannel
from stunnel_tx.relay.flow import Flow, Outcome
from stunnel_tx.relay.half_close import State
from stunnel_tx.relay.loop import READ, WRITE


class OutcomeTests(SynchronousTestCase):
    """The word of the closing line."""

    def test_words(self) -> None:
        """One word when both sides ended alike, else the remote side's and the local one's."""
        words = {
            (local, remote): Outcome(local, remote, 0, 0, 0, failed=False).word
            for local, remote in itertools.product((False, True), repeat=2)
        }
        wanted = {
            (False, False): "closed",
            (True, True): "reset",
            (False, True): "reset/closed",
            (True, False): "closed/reset",
        }
        self.assertEqual(words, wanted)


class FlowTests(SynchronousTestCase):
    """What a flow waits for."""

    def setUp(self) -> None:
        pair = socket.socketpair()
        for sock in pair:
            self.addCleanup(sock.close)
        self.flow = Flow(PlainChannel(pair[0]), PlainChannel(pair[1]))

    def test_open(self) -> None:
        """An open flow with nothing kept waits for its source alone."""
        self.assertEqual(self.flow.interest(), (READ, 0))

    def test_pending(self) -> None:
        """With bytes kept it waits for its sink alone: that is the back-pressure."""
        self.flow.pending = memoryview(b"x")
        self.assertEqual(self.flow.interest(), (0, WRITE))

    def test_what_openssl_asks_for(self) -> None:
        """Readiness follows what the library wants, not the direction of the call."""
        self.flow.read_want = WANT_WRITE
        self.assertEqual(self.flow.interest(), (WRITE, 0))
        self.flow.pending, self.flow.write_want = memoryview(b"x"), WANT_READ
        self.assertEqual(self.flow.interest(), (0, READ))

    def test_later_states(self) -> None:
        """Closing waits for the sink, discarding for the source, and done for nothing."""
        wanted = {State.CLOSING: (0, WRITE), State.DISCARDING: (READ, 0), State.DONE: (0, 0)}
        for state, interests in wanted.items():
            self.flow.state = state
            self.assertEqual(self.flow.interest(), interests, state.name)
