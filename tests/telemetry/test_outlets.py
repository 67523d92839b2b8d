"""Tests of stunnel_tx.telemetry.outlets."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.telemetry import outlets
from stunnel_tx.telemetry.outlets import MAX_LINE, Outlet, encode_line

#: The smallest capacity Linux gives to a pipe, in bytes.
PIPE_BYTES = 4096


class EncodeTests(SynchronousTestCase):
    """One text becomes one bounded line of UTF-8."""

    def test_plain_text_ends_with_a_newline(self) -> None:
        """An ordinary text is encoded as it is."""
        self.assertEqual(encode_line("zażółć"), "zażółć\n".encode())

    def test_lone_surrogates_are_escaped(self) -> None:
        """What could not be decoded on the way in shows as a backslash escape."""
        self.assertEqual(encode_line("a\udcffb"), b"a\\udcffb\n")

    @settings(deadline=None, max_examples=60)
    @given(st.text(alphabet=st.characters(codec=None), max_size=9000))
    def test_any_text_is_bounded_and_valid(self, text: str) -> None:
        """No text makes a longer line, and cutting never splits a character."""
        line = encode_line(text * 3)
        self.assertLessEqual(len(line), MAX_LINE)
        line.decode("utf-8")
        self.assertTrue(line.endswith(b"\n"))


class PipeTests(SynchronousTestCase):
    """A reader that does not read costs lines, not the program's time."""

    def setUp(self) -> None:
        self.patch(outlets, "STALL_MS", 0)
        self.reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.outlet = Outlet(writer, owned=True)
        self.addCleanup(self.outlet.close)
        self.addCleanup(self._close_reader)

    def _close_reader(self) -> None:
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1

    def _drain(self) -> bytes:
        return os.read(self.reader, 1 << 20)

    def test_full_pipe_drops_and_counts(self) -> None:
        """Lines that do not fit are counted, and reported once there is room again."""
        self.outlet.write(b"x" * (PIPE_BYTES - 1) + b"\n")
        self.outlet.write(b"lost one\n")
        self.outlet.write(b"lost two\n")
        self.assertEqual(self.outlet.dropped, 2)
        self._drain()
        self.outlet.write(b"later\n")
        self.assertEqual(self._drain(), b"(2 log lines could not be written)\nlater\n")
        self.assertEqual(self.outlet.dropped, 0)

    def test_reader_gone(self) -> None:
        """A pipe nobody reads any more (EPIPE) raises nothing."""
        self._close_reader()
        self.outlet.write(b"to nobody\n")
        self.assertEqual(self.outlet.dropped, 1)

    def test_closed_outlet_takes_no_more(self) -> None:
        """Writing after the close is counted and harmless."""
        self.outlet.close()
        self.outlet.close()
        self.outlet.write(b"late\n")
        self.assertEqual(self.outlet.dropped, 1)

    def test_borrowed_descriptor_stays_open(self) -> None:
        """Closing an outlet that does not own its descriptor leaves that open."""
        borrowed = Outlet(self.reader, owned=False)
        borrowed.close()
        os.fstat(self.reader)


class FullDiskTests(SynchronousTestCase):
    """A disk without room must not end the program, and must not glue lines together."""

    def test_no_space_left(self) -> None:
        """ENOSPC is swallowed and counted."""
        outlet = Outlet(os.open("/dev/full", os.O_WRONLY), owned=True)
        self.addCleanup(outlet.close)
        outlet.write(b"one\n")
        outlet.write(b"two\n")
        self.assertEqual(outlet.dropped, 2)

    def test_cut_line_is_ended_before_the_next(self) -> None:
        """After a write cut short by a full disk the next line starts on a line of its own."""
        path = Path(self.mktemp())
        outlet = Outlet(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), owned=True)
        self.addCleanup(outlet.close)
        real_write = os.write
        room = [3]

        def short_write(fd: int, data: bytes) -> int:
            allowed, room[0] = room[0], 1 << 20
            return real_write(fd, data[:allowed])

        self.patch(os, "write", short_write)
        outlet.write(b"first\n")
        outlet.write(b"second\n")
        self.assertEqual(path.read_bytes(), b"fir\n(1 log lines could not be written)\nsecond\n")
