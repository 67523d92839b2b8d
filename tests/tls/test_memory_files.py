"""Tests of names for content that has been read."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls import memory_files as module
from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.memory_files import named_content
from tests.doubles.private_reactor import open_descriptors


class NamedContentTests(SynchronousTestCase):
    """What can be opened under the name."""

    def test_just_that(self) -> None:
        """The name leads to the content, whatever the file holds by now, and then nowhere."""
        before = open_descriptors()
        with named_content("nowhere", b"content") as (name, exact):
            self.assertTrue(exact)
            self.assertEqual(Path(name).read_bytes(), b"content")
        self.assertEqual(open_descriptors(), before)

    def test_without_files_in_memory(self) -> None:
        """Elsewhere the file itself is named, with a word of warning, if it is one."""
        path = self.mktemp()
        Path(path).write_bytes(b"other")
        for missing in (True, False):
            if missing:
                self.patch(os.path, "exists", lambda _path: False)
            else:
                self.patch(module, "os", object())
            with named_content(path, b"content") as (name, exact):
                self.assertEqual((name, exact), (path, False))

    def test_pipe_without_files_in_memory(self) -> None:
        """A pipe is not named: whoever opens it would wait."""
        self.patch(os.path, "exists", lambda _path: False)
        path = self.mktemp()
        os.mkfifo(path)
        before = open_descriptors()
        with self.assertRaises(FileUnusable), named_content(path, b"content"):
            pass
        self.assertEqual(open_descriptors(), before)
