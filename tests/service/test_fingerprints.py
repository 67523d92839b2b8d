"""Tests of looking at files and directories."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.service.fingerprints import Fingerprint, fingerprint, remembering
from tests.doubles.certificates import self_signed


class FingerprintTests(SynchronousTestCase):
    """What makes a difference, and what does not."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        self.path = self.directory / "file"

    def look(self, content: bytes) -> Fingerprint:
        """The fingerprint of *content*."""
        self.path.write_bytes(content)
        return fingerprint(str(self.path))

    def test_content_alone(self) -> None:
        """The same content is the same whatever file it is in, other content is not."""
        self.assertEqual(self.look(b"one"), self.look(b"one"))
        self.assertNotEqual(self.look(b"one"), self.look(b"two"))

    def test_empty_is_not_missing(self) -> None:
        """An empty file has content; one that is not there has a problem."""
        self.assertEqual(self.look(b"").problem, "")
        self.path.unlink()
        missing = fingerprint(str(self.path))
        self.assertEqual((missing.digest, missing.problem), (b"", "No such file or directory"))

    def test_cut_at_every_byte(self) -> None:
        """However much of a block is missing, it shows once its first line is there."""
        whole = self_signed("test").cert_pem()
        begun = whole.index(b"\n")
        self.assertFalse(self.look(whole).cut)
        for end in range(begun, len(whole) - 1):
            self.assertTrue(self.look(whole[:end]).cut, end)

    def test_directory(self) -> None:
        """Of a directory, content and names of hashed files count, and nothing else."""
        here = str(self.directory)
        seen = [fingerprint(here)]
        (self.directory / "README").touch()
        self.assertEqual(fingerprint(here), seen[0])
        hashed = self.directory / "0a1b2c3d.0"
        hashed.write_bytes(b"one")
        seen.append(fingerprint(here))
        hashed.write_bytes(b"two")
        seen.append(fingerprint(here))
        hashed.rename(self.directory / "0a1b2c3d.r0")
        seen.append(fingerprint(here))
        self.assertEqual(len(set(seen)), 4)
        self.assertEqual({each.problem for each in seen}, {""})

    def test_unreadable(self) -> None:
        """What cannot be read has a reason, and no digest."""
        loop = self.directory / "loop"
        loop.symlink_to(loop)
        self.assertEqual(fingerprint(str(loop)), Fingerprint(problem=os.strerror(40)))

    def test_pipe(self) -> None:
        """A pipe is not waited for, and what is in it is left there."""
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        writer = os.open(self.path, os.O_WRONLY)
        self.addCleanup(os.close, writer)
        os.write(writer, b"!")
        self.assertEqual(fingerprint(str(self.path)), Fingerprint(problem="not a regular file"))
        self.assertEqual(os.read(reader, 2), b"!")

    def test_remembering(self) -> None:
        """Within one reading of the configuration, each path is looked at once."""
        look = remembering()
        self.path.write_bytes(b"one")
        first = look(str(self.path))
        self.path.write_bytes(b"two")
        self.assertEqual(look(str(self.path)), first)
        self.assertNotEqual(remembering()(str(self.path)), first)
