"""Tests of stunnel_tx.service.terminal."""

from __future__ import annotations

import getpass
import os

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.service.terminal import ask_passphrase


class AskTests(SynchronousTestCase):
    """The passphrase of a key."""

    def _terminal(self, *, present: bool) -> None:
        real_open = os.open

        def scripted_open(path: str, flags: int, mode: int = 0o777) -> int:
            if path != "/dev/tty":
                return real_open(path, flags, mode)
            if present:
                return real_open(os.devnull, flags)
            raise OSError(6, "No such device or address")

        self.patch(os, "open", scripted_open)

    def test_answer(self) -> None:
        """The prompt is shown as given, and the answer comes as bytes."""
        prompts: list[str] = []

        def answer(prompt: str) -> str:
            prompts.append(prompt)
            return "geheim€"

        self._terminal(present=True)
        self.patch(getpass, "getpass", answer)
        self.assertEqual(ask_passphrase("Key: "), "geheim€".encode())
        self.assertEqual(prompts, ["Key: "])

    def test_nobody_to_ask(self) -> None:
        """Without a terminal nothing is asked, so a daemon never waits for an answer."""
        self._terminal(present=False)
        self.patch(getpass, "getpass", lambda _: self.fail("asked"))
        self.assertIsNone(ask_passphrase("Key: "))

    def test_end_of_input(self) -> None:
        """A terminal that is closed instead of an answer counts as no answer."""

        def closed(_prompt: str) -> str:
            raise EOFError

        self._terminal(present=True)
        self.patch(getpass, "getpass", closed)
        self.assertIsNone(ask_passphrase("Key: "))
