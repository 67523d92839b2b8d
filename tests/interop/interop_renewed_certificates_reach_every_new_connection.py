"""A certificate is replaced 50 times in each way there is, under 200 connections per second."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tests.doubles.backends import echo
from tests.doubles.certificates import DAY, NOW
from tests.doubles.real_programs import eventually, memory, settled_descriptors
from tests.doubles.replacing import WAYS
from tests.doubles.wire import TLSEnd, client_context
from tests.interop.stage import Stage, port_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.doubles.certificates import Issued
    from tests.doubles.real_programs import RealProgram
    from tests.doubles.replacing import Replacing

#: Replacements in each way.
ROUNDS = 50

#: Seconds between two of them: longer than it takes for one to be in use.
INTERVAL = 0.32

#: Connections per second that are aimed at, each with a full handshake; those of one thread on a
#: machine that others use too may be fewer.
RATE = 200

#: Connections in each way without which its replacements cannot have been seen.
FEWEST = 5 * ROUNDS

#: Connections before the memory is looked at for the first time.
WARM_UP = 500

#: Seconds after which nobody may be shown an old certificate, on a machine that never pauses.
STALE = 1.0

#: Bytes the process may have grown by, from the first replacement on.
GROWTH = 4 * 1024 * 1024


class Visitors(threading.Thread):
    """Connects at a steady pace and keeps what it is shown: when it began, and the serial.

    ``pause`` is the longest time, in seconds, that one of them took, its late start included: so
    long the machine may have had no time for others either.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.seen: list[tuple[float, int]] = []
        self.problems: list[str] = []
        self.pause = 0.0
        self.stopped = threading.Event()

    def run(self) -> None:
        """Connect until stopped; one that is late is followed by the next at once."""
        context, due = client_context(), time.monotonic()
        while not self.stopped.is_set():
            due += 1 / RATE
            planned = max(due, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            try:
                with TLSEnd.dial(self.port, context) as end:
                    shown = end.connection.get_peer_certificate()
                    self.seen.append((began, shown.get_serial_number() if shown else 0))
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not happen
                self.problems.append(f"{type(error).__name__}: {error}")
            self.pause = max(self.pause, time.monotonic() - planned)


class RenewalTests(Stage):
    """One program, a service for each way of replacing files."""

    def setUp(self) -> None:
        super().setUp()
        self.backend_port = self.backend(echo).port

    def issue(self) -> Issued:
        """A certificate unlike all others."""
        return self.papers.authority.issue("localhost", ["localhost"], not_after=NOW + 90 * DAY)

    def section(self, name: str, cert: Path, key: Path) -> str:
        """A service in front of the echo."""
        connect = f"connect = 127.0.0.1:{self.backend_port}"
        files = f"cert = {cert}\nkey = {key}"
        return f"[{name}]\naccept = 127.0.0.1:0\n{connect}\n{files}\ndebug = notice\n"

    def check_under_load(self, port: int, way: Replacing, first: Issued) -> int:
        """Replace *first* again and again while visitors come; returns how many came."""
        history = [(0.0, first.cert.serial_number)]
        visitors = Visitors(port)
        visitors.start()

        def shown() -> bool:
            return history[-1][1] in {serial for _, serial in visitors.seen[-1:]}

        for number in range(ROUNDS):
            time.sleep(INTERVAL)
            if number % 2:
                # A machine with little time for all this gets some more.
                eventually(shown, f"certificate {number}")
            issued = self.issue()
            way.replace(issued)
            history.append((time.monotonic(), issued.cert.serial_number))
        time.sleep(STALE)
        eventually(shown, "the last certificate")
        eventually(lambda: len(visitors.seen) > FEWEST, f"{FEWEST} visitors")
        visitors.stopped.set()
        visitors.join()
        name = type(way).__name__
        self.assertEqual(visitors.problems, [], name)
        stale = STALE + visitors.pause
        for at, serial in visitors.seen:
            # Those current at some moment from a second before on, and those that came since.
            recent = [number for since, number in history if since > at - stale]
            before = [number for since, number in history if since <= at - stale]
            self.assertIn(serial, [*before[-1:], *recent], name)
        self.assertGreater(len({serial for _, serial in visitors.seen}), ROUNDS // 2, name)
        return len(visitors.seen)

    def test_every_way_under_load(self) -> None:
        """No handshake fails, nobody sees a stale certificate, nothing is left behind."""
        first = self.issue()
        ways = {way.__name__: way(self.directory / way.__name__, first) for way in WAYS}
        sections = [self.section(name, way.cert, way.key) for name, way in ways.items()]
        ours = self.tunnels("".join(sections))
        now = {name: self.warm_up(port_of(ours, name), way) for name, way in ways.items()}
        eventually(lambda: self.idle(ours), "the end of all connections")
        sizes, open_now, total = [memory(ours.pid)], [settled_descriptors(ours.pid)], 0
        for name, way in ways.items():
            total += self.check_under_load(port_of(ours, name), way, now[name])
            eventually(lambda: self.idle(ours), "the end of all connections")
            sizes.append(memory(ours.pid))
            open_now.append(settled_descriptors(ours.pid))
        self.assertEqual(len(set(open_now)), 1, open_now)
        self.assertLess(sizes[-1] - sizes[0], GROWTH, sizes)
        self.assertGreater(total, 0)

    def warm_up(self, port: int, way: Replacing) -> Issued:
        """Bring the program to where it stays: many connections, and one replacement."""
        context, issued = client_context(), self.issue()
        way.replace(issued)

        def renewed() -> bool:
            with TLSEnd.dial(port, context) as end:
                shown = end.connection.get_peer_certificate()
                return shown is not None and shown.get_serial_number() == issued.cert.serial_number

        for _ in range(WARM_UP // len(WAYS)):
            renewed()
        eventually(renewed, "the certificate in use")
        return issued

    def idle(self, ours: RealProgram) -> bool:
        """True when as many connections have ended as began."""
        began = ours.matches("accepted connection from")
        return len(began) == len(ours.matches(r"Connection (closed|reset): \d"))
