"""Draws the state machine of half-closing, as SVG, from its table in the program.

States stand in columns by their longest way from the start. The picture takes the colour of the
text around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stunnel_tx.relay.half_close import Event, State

__all__ = ["diagram", "table"]

#: Pixels: a box, the distance from one to the next, room above for arcs, and at the edges.
_WIDTH, _HEIGHT = 108, 34
_ACROSS, _DOWN = 212, 80
_ABOVE, _MARGIN = 116, 8

_HEAD: Final = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
    'markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>'
)

Place = tuple[int, int]


def diagram() -> str:
    """The picture, as one line of HTML."""
    from stunnel_tx.relay.half_close import TRANSITIONS, State

    places = _places(TRANSITIONS)
    labels: dict[tuple[State, State], list[str]] = {}
    for (before, event), after in TRANSITIONS.items():
        labels.setdefault((before, after), []).append(event.name)
    parts = [_edge(places[a], places[b], ", ".join(each)) for (a, b), each in labels.items()]
    parts += [_box(places[state], state.name) for state in State]
    width = max(x for x, _ in places.values()) + _WIDTH + _MARGIN
    height = max(y for _, y in places.values()) + _HEIGHT + _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="States of one direction; the table below says the same" fill="none" '
        'stroke="currentColor" font-family="sans-serif" font-size="13" '
        f'style="max-width: {width}px; width: 100%">{_HEAD}{"".join(parts)}</svg>'
    )


def table() -> str:
    """The same as a table in Markdown: a row per state, a column per event."""
    from stunnel_tx.relay.half_close import TRANSITIONS, Event, State

    rows = [["", *(f"`{event.name}`" for event in Event)], ["---"] * (len(Event) + 1)]
    for state in State:
        found = [TRANSITIONS.get((state, event)) for event in Event]
        if any(after is not None for after in found):
            rows.append([state.name, *("" if after is None else after.name for after in found)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _places(transitions: Mapping[tuple[State, Event], State]) -> dict[State, Place]:
    """The upper left corner of each state's box."""
    steps = {(before, after) for (before, _), after in transitions.items() if before != after}
    columns = dict.fromkeys((state for step in steps for state in step), 0)
    for _ in columns:
        for before, after in steps:
            columns[after] = max(columns[after], columns[before] + 1)
    places: dict[State, Place] = {}
    filled: dict[int, int] = {}
    for state in sorted(columns):
        column = columns[state]
        row = filled.get(column, 0)
        filled[column] = row + 1
        places[state] = (_MARGIN + column * _ACROSS, _ABOVE + row * _DOWN)
    return places


def _box(place: Place, name: str) -> str:
    x, y = place
    shape = f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
    return shape + _text(x + _WIDTH // 2, y + _HEIGHT // 2 + 5, name)


def _edge(start: Place, end: Place, label: str) -> str:
    """An arrow: straight to the neighbour, in an arc to others, with its *label*."""
    (x, y), (to_x, to_y) = start, end
    middle, to_middle, half = x + _WIDTH // 2, to_x + _WIDTH // 2, _HEIGHT // 2
    if start == end:
        path = f"M{middle - 16} {y}c-8 -30 40 -30 32 -2"
        label_at = middle, y - 28
    elif to_y > y:
        path = f"M{middle} {y + _HEIGHT}Q{middle} {to_y + half} {to_x} {to_y + half}"
        label_at = to_x - _ACROSS // 4, to_y + half + 12
    elif to_y < y:
        path = f"M{x + _WIDTH} {y + half}Q{to_middle} {y + half} {to_middle} {to_y + _HEIGHT}"
        label_at = x + _WIDTH + _ACROSS // 4, y + half - 6
    elif to_x - x > _ACROSS:
        # The farther an arc goes the higher it is, so that labels stay clear of other arcs.
        lift = 48 * (to_x - x) // _ACROSS
        path = f"M{middle} {y}C{middle} {y - lift} {to_middle} {y - lift} {to_middle} {y}"
        label_at = (middle + to_middle) // 2, y - lift * 3 // 4 + 14
    else:
        path = f"M{x + _WIDTH} {y + half}H{to_x}"
        label_at = (x + _WIDTH + to_x) // 2, y + half - 6
    return f'<path d="{path}" marker-end="url(#tip)"/>' + _text(*label_at, label, small=True)


def _text(x: int, y: int, text: str, *, small: bool = False) -> str:
    size = ' font-size="11"' if small else ""
    return (
        f'<text x="{x}" y="{y}" text-anchor="middle" fill="currentColor" stroke="none"{size}>'
        f"{text}</text>"
    )
