"""Tests of what is read from /proc, and of starting and ending programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.errors import MeasurementFailed
from benchmarks.processes import (
    Process,
    Stat,
    cpu_seconds,
    descendants,
    free_port,
    parse_pss,
    parse_stat,
    process_tree,
    pss_kib,
)

_STAT = "77 ({name}) S 12 77 77 0 -1 4194560 2303 0 0 0 150 25 4 1 20 0 1 0 9000 1 2 3\n"

_SERVER = """
import signal, socket, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("here", child.pid, flush=True)
signal.pause()
"""


class ProcTests(SynchronousTestCase):
    """Texts from /proc."""

    def test_stat(self) -> None:
        """The parent and both kinds of time are found, whatever the command is called."""
        for name in ("stunnel", "a b", "(sd) S 1 (", ")) 9"):
            self.assertEqual(parse_stat(_STAT.format(name=name)), Stat(77, 12, 175))

    def test_pss(self) -> None:
        """Of all the sizes the proportional one is taken."""
        text = "55-77 ---p 0 00:00 0 [rollup]\nRss:  900 kB\nPss:     123 kB\nPss_Anon: 99 kB\n"
        self.assertEqual(parse_pss(text), 123)

    def test_no_pss(self) -> None:
        """A text without it is an error and not a zero."""
        with self.assertRaises(ValueError):
            parse_pss("Rss: 900 kB\n")

    def test_descendants(self) -> None:
        """Children of children belong to it; siblings and strangers do not."""
        parents = {2: 1, 3: 1, 4: 2, 5: 4, 6: 3, 1: 0}
        self.assertEqual(sorted(descendants(2, parents)), [2, 4, 5])
        self.assertEqual(descendants(6, parents), [6])

    def test_this_process(self) -> None:
        """A running process has used time and memory."""
        self.assertIn(os.getpid(), process_tree(os.getpid()))
        self.assertGreater(cpu_seconds([os.getpid()]), 0.0)
        self.assertGreater(pss_kib([os.getpid()]), 1000)

    def test_ended_process(self) -> None:
        """A process that is gone has used nothing."""
        nobody = 2**22 + 1  # beyond the largest id that Linux gives
        self.assertEqual(cpu_seconds([nobody]), 0.0)
        self.assertEqual(pss_kib([nobody]), 0)


class ProcessTests(SynchronousTestCase):
    """Programs started here."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def test_whole_tree_ends(self) -> None:
        """A program that ignores SIGTERM ends, and so does its child."""
        self.patch(sys.modules["benchmarks.processes"], "_END", 0.2)
        port = free_port()
        with Process("server", [sys.executable, "-c", _SERVER, str(port)], self.directory) as it:
            self.assertGreater(it.listening(port), 0.0)
            self.assertGreater(it.cpu(), 0.0)
            self.assertGreater(it.memory(), 1000)
            tree = process_tree(it._process.pid)
        self.assertEqual(len(tree), 2)
        for pid in tree:
            self.assertFalse(_runs(pid))

    def test_early_end(self) -> None:
        """A program that ends instead of listening is a failure, with what it said."""
        words = [sys.executable, "-c", "print('no such option'); raise SystemExit(3)"]
        with Process("bad", words, self.directory) as process:
            error = self.assertRaises(MeasurementFailed, process.listening, free_port())
        self.assertEqual(str(error), "ended with status 3: no such option")

    def test_no_program(self) -> None:
        """A program that is not there is a failure, with its name."""
        words = [str(self.directory / "absent")]
        error = self.assertRaises(MeasurementFailed, Process, "absent", words, self.directory)
        self.assertIn("absent: No such file", str(error))


def _runs(pid: int) -> bool:
    """True for a process that is there and no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"
