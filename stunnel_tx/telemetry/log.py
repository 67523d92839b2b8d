"""Scopes and the log: levels are compared before anything is formatted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from stunnel_tx.telemetry.levels import NOTICE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stunnel_tx.telemetry.events import Event

#: Longest text of one line, in characters: stunnel cuts there, and nothing an
#: unauthenticated peer sends may make a line longer.
MAX_TEXT = 1024

#: Lines kept while no sink is open yet (start-up, log files being re-opened).
MAX_PENDING = 1000

# Control characters would let a peer forge lines or steer a terminal: C0, DEL, C1, and the
# Unicode line separators that splitlines() and some viewers honour.
_NEUTRAL = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029), ".")


def clean(text: str) -> str:
    """*text* as it may stand in one log line: bounded, one line, no control characters.

    Lone surrogates (undecodable bytes of a peer) become backslash escapes.
    """
    text = text.rstrip("\r\n")[:MAX_TEXT].translate(_NEUTRAL)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class Sink(Protocol):
    """A place where finished lines go."""

    def write(self, level: int, ident: str, text: str) -> None:
        """Put out one line; *text* has passed :func:`clean`."""

    def reopen(self) -> bool | None:
        """Open the underlying file again, where there is one; False when that has failed."""

    def close(self) -> None:
        """Flush and let go of the underlying resource."""


class Log:
    """Hands lines to the sinks; until :meth:`open` is called it keeps them.

    A line that was kept is judged by the threshold in force when the sinks open. ``main`` is
    the scope of the main program, whose id is ``ui`` until it has become a daemon; ``pending``
    holds the lines kept so far, None once the sinks are open.
    """

    def __init__(self) -> None:
        self.threshold = NOTICE
        self._sinks: tuple[Sink, ...] = ()
        self.pending: list[tuple[int, str, str]] | None = []
        self.main = Scope(self, "ui", None)

    def open(self, sinks: Iterable[Sink], threshold: int) -> None:
        """Use *sinks* from now on and deliver what was kept meanwhile."""
        self._sinks = tuple(sinks)
        self.threshold = threshold
        pending, self.pending = self.pending or [], None
        for level, ident, text in pending:
            if level <= threshold:
                self.write(level, ident, text)

    def take_pending(self) -> tuple[tuple[int, str, str], ...]:
        """The lines kept so far as ``(level, id, text)``; they are not kept any longer."""
        pending = tuple(self.pending or ())
        self.pending = []
        return pending

    def write(self, level: int, ident: str, text: str) -> None:
        """Deliver one line that has passed its threshold."""
        text = clean(text)
        if self.pending is not None:
            if len(self.pending) < MAX_PENDING:
                self.pending.append((level, ident, text))
            return
        for sink in self._sinks:
            sink.write(level, ident, text)

    def reopen(self) -> bool:
        """Let every sink open its file again; False when one could not, which it has logged."""
        answers = [sink.reopen() for sink in self._sinks]
        return False not in answers

    def close(self) -> None:
        """Close every sink."""
        sinks, self._sinks = self._sinks, ()
        for sink in sinks:
            sink.close()

    def scope(self, ident: str, threshold: int | None = None) -> Scope:
        """A scope with the given id; without *threshold* it follows the log's own."""
        return Scope(self, ident, threshold)


class Scope:
    """Where an event happens: its id in the log and the threshold that applies."""

    __slots__ = ("_log", "_own", "ident")

    def __init__(self, log: Log, ident: str, threshold: int | None = None) -> None:
        self._log = log
        self._own = threshold
        self.ident = ident

    @property
    def threshold(self) -> int:
        """The highest level that is put out here."""
        return self._log.threshold if self._own is None else self._own

    def enabled(self, level: int) -> bool:
        """True when an event of *level* would be put out (or kept, before the log opens)."""
        log, own = self._log, self._own
        return level <= (log.threshold if own is None else own) or log.pending is not None

    def __call__(self, event: Event, *values: object) -> None:
        """Put out *event* with *values* filled in, when a sink will take it."""
        # Most events of a connection end here; it has to be quick.
        log, own, level = self._log, self._own, event.level
        if level <= (log.threshold if own is None else own) or log.pending is not None:
            log.write(level, self.ident, event.text.format(*values))

    def child(self, ident: str, threshold: int | None) -> Scope:
        """A scope of the same log with an id of its own."""
        return Scope(self._log, ident, threshold)
