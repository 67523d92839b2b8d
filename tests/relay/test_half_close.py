"""Tests of the half-close table."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.relay.half_close import (
    TRANSITIONS,
    Event,
    State,
    Wait,
    advance,
    waiting,
)

EVENTS = st.lists(st.sampled_from(list(Event)), max_size=12)


def walk(events: list[Event]) -> list[State]:
    """The states a flow goes through, events that cannot happen left out."""
    states = [State.OPEN]
    for event in events:
        if (states[-1], event) in TRANSITIONS:
            states.append(advance(states[-1], event))
    return states


class TableTests(SynchronousTestCase):
    """The table and its properties."""

    @settings(deadline=None, max_examples=100)
    @given(EVENTS)
    def test_never_backwards(self, events: list[Event]) -> None:
        """Whatever happens in whatever order, a flow only moves on in its life."""
        states = walk(events)
        self.assertEqual(states, sorted(states))

    @settings(deadline=None, max_examples=100)
    @given(EVENTS)
    def test_sink_told_only_after_draining(self, events: list[Event]) -> None:
        """CLOSING is reached through DRAINING alone, so that no byte is left behind."""
        states = walk(events)
        if State.CLOSING in states:
            self.assertEqual(states[states.index(State.CLOSING) - 1], State.DRAINING)

    @settings(deadline=None, max_examples=100)
    @given(st.sampled_from(list(State)), st.sampled_from(list(Event)))
    def test_advance_is_the_table(self, state: State, event: Event) -> None:
        """advance() answers from the table, and names what the table does not have."""
        if (state, event) in TRANSITIONS:
            self.assertIs(advance(state, event), TRANSITIONS[state, event])
        else:
            error = self.assertRaises(ValueError, advance, state, event)
            self.assertEqual(str(error), f"{event.name} cannot happen in {state.name}")

    def test_done_can_be_reached_from_everywhere(self) -> None:
        """No state is a trap, and DONE is the only end."""
        reaches = {State.DONE}
        for _ in State:
            reaches |= {before for (before, _), after in TRANSITIONS.items() if after in reaches}
        self.assertEqual(reaches, set(State))
        self.assertNotIn(State.DONE, {before for before, _ in TRANSITIONS})

    def test_lost_sink_is_possible_until_done(self) -> None:
        """In every state in which bytes or an end are still to be written, LOST has a row."""
        lost = {before for before, event in TRANSITIONS if event is Event.LOST}
        self.assertEqual(lost, {State.OPEN, State.DRAINING, State.CLOSING})

    def test_gone_sink_ends_its_flow(self) -> None:
        """GONE is possible in the same states, and always the end."""
        gone = {
            before: after for (before, event), after in TRANSITIONS.items() if event is Event.GONE
        }
        self.assertEqual(
            gone, dict.fromkeys((State.OPEN, State.DRAINING, State.CLOSING), State.DONE)
        )


class WaitingTests(SynchronousTestCase):
    """Which time-out applies."""

    def test_responder_done(self) -> None:
        """Only once the answer is complete is the rest bounded by TIMEOUTclose."""
        for initiator in set(State) - {State.DONE}:
            found = waiting(initiator, State.DONE, buffered=False)
            self.assertIs(found, Wait.CLOSE, initiator.name)

    def test_initiator_done(self) -> None:
        """An initiator that has closed its direction may wait for its answer."""
        for responder in State:
            found = waiting(State.DONE, responder, buffered=False)
            self.assertIs(found, Wait.IDLE, responder.name)

    @settings(deadline=None, max_examples=50)
    @given(st.sampled_from(list(State)), st.sampled_from(list(State)), st.booleans())
    def test_close_needs_a_finished_side(
        self, initiator: State, responder: State, buffered: bool
    ) -> None:
        """While neither direction is done, TIMEOUTidle applies."""
        if State.DONE not in {initiator, responder}:
            self.assertIs(waiting(initiator, responder, buffered=buffered), Wait.IDLE)

    @settings(deadline=None, max_examples=50)
    @given(st.sampled_from(list(State)), st.sampled_from(list(State)))
    def test_buffered_bytes_are_not_cut(self, initiator: State, responder: State) -> None:
        """While bytes wait for a slow reader, TIMEOUTclose never applies."""
        self.assertIs(waiting(initiator, responder, buffered=True), Wait.IDLE)
