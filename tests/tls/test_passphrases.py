"""Tests of asking for passphrases."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.passphrases import MAX_TRIES, Passphrases


class PassphrasesTests(SynchronousTestCase):
    """One operator, several locked files."""

    def setUp(self) -> None:
        self.prompts: list[str] = []
        self.answers: list[bytes | None] = []
        self.passphrases = Passphrases(self.ask)

    def ask(self, prompt: str) -> bytes | None:
        """The next prepared answer."""
        self.prompts.append(prompt)
        return self.answers.pop(0)

    def lock(self, secret: bytes) -> str:
        """Open a file locked with *secret*."""

        def load(answer: bytes) -> str:
            if answer != secret:
                raise ValueError("wrong")
            return f"opened with {secret.decode()}"

        return self.passphrases.open("key.pem", load)

    def test_prompt_names_the_file(self) -> None:
        """The operator is told which file it is about."""
        self.answers = [b"a"]
        self.assertEqual(self.lock(b"a"), "opened with a")
        self.assertEqual(self.prompts, ["Enter the passphrase of key.pem: "])

    def test_last_good_one_is_tried_first(self) -> None:
        """A second file with the same passphrase opens without a question."""
        self.answers = [b"a"]
        self.lock(b"a")
        self.lock(b"a")
        self.assertEqual(len(self.prompts), 1)

    def test_other_file_other_passphrase(self) -> None:
        """A file with a passphrase of its own is asked for, with all its tries."""
        self.answers = [b"a", b"x", b"y", b"b"]
        self.lock(b"a")
        self.assertEqual(self.lock(b"b"), "opened with b")
        self.assertEqual(len(self.prompts), 1 + MAX_TRIES)

    def test_three_tries(self) -> None:
        """After three wrong answers nobody is asked again."""
        self.answers = [b"x", b"y", b"z", b"a"]
        error = self.assertRaises(FileUnusable, self.lock, b"a")
        self.assertIn("wrong passphrase (3 tries)", str(error))
        self.assertEqual(self.answers, [b"a"])

    def test_nobody_answers(self) -> None:
        """Without an answer there is no second question."""
        self.answers = [None]
        self.assertIn(
            "no passphrase was given", str(self.assertRaises(FileUnusable, self.lock, b""))
        )

    def test_empty_answer(self) -> None:
        """An empty answer counts as a wrong one, also where the loader takes offence."""

        def load(answer: bytes) -> bytes:
            if not answer:
                raise TypeError("no password given")
            return answer

        self.answers = [b"", b"a"]
        self.assertEqual(self.passphrases.open("key.pem", load), b"a")

    def test_all_good_ones_are_kept(self) -> None:
        """Files with different passphrases are opened again in any order."""
        self.answers = [b"a", b"", b"b"]
        self.lock(b"a")
        self.lock(b"b")
        self.assertEqual(self.lock(b"a"), "opened with a")
        self.assertEqual(self.lock(b"b"), "opened with b")
        self.assertEqual(len(self.prompts), 3)

    def test_unattended(self) -> None:
        """Later, with nobody there, what was answered before still opens; nobody is asked."""
        silent = self.passphrases.unattended()
        self.answers = [b"a"]
        self.lock(b"a")

        def load(secret: bytes, answer: bytes) -> str:
            if answer != secret:
                raise ValueError("wrong")
            return "open"

        self.assertEqual(silent.open("key.pem", lambda answer: load(b"a", answer)), "open")
        error = self.assertRaises(
            FileUnusable, silent.open, "key.pem", lambda answer: load(b"b", answer)
        )
        self.assertIn("no passphrase was given", str(error))
        self.assertEqual(len(self.prompts), 1)
