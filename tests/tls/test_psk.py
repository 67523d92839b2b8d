"""Tests of the file of pre-shared keys."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.psk import (
    choose_secret,
    keys_by_identity,
    load_secrets,
    parse_secrets,
    shown_identity,
)
from tests.doubles.recording import Recording

KEY = b"0123456789abcde!"


class ParserTests(SynchronousTestCase):
    """Lines of ``identity:key``."""

    def one(self, line: bytes) -> tuple[bytes, bytes, bool]:
        """Identity, key and notation of a single line."""
        (secret,) = parse_secrets(line)
        return secret.identity, secret.key, secret.hexadecimal

    def test_text_keys(self) -> None:
        """A key is what follows the first colon, blanks and further colons included."""
        self.assertEqual(self.one(b"me:" + KEY), (b"me", KEY, False))
        self.assertEqual(self.one(b"me: a:b" + KEY + b" "), (b"me", b" a:b" + KEY + b" ", False))

    def test_hexadecimal_keys(self) -> None:
        """Pairs of hexadecimal digits are bytes, also with colons between them."""
        for text in (b"00fF" * 8, b":".join([b"00", b"fF"] * 8)):
            self.assertEqual(self.one(b"me:" + text), (b"me", b"\x00\xff" * 8, True))
        odd = b"0123456789abcdef0"
        self.assertEqual(self.one(b"me:" + odd), (b"me", odd, False))

    def test_lines(self) -> None:
        """Empty lines and carriage returns are passed over; the order stays, lines are counted."""
        secrets = parse_secrets(b"\r\na:" + KEY + b"\r\n\n\nb:" + KEY + b"\n")
        self.assertEqual([(each.identity, each.line) for each in secrets], [(b"a", 2), (b"b", 5)])
        self.assertEqual(keys_by_identity(secrets), {b"a": KEY, b"b": KEY})

    def test_sizes(self) -> None:
        """Identities of 1 to 255 bytes and keys of 16 to 512 are taken, and no others."""
        for identity in (1, 255):
            for key in (16, 512):
                self.assertEqual(len(self.one(b"i" * identity + b":" + b"k" * key)[1]), key)
        for line, text in (
            (b"i:" + b"k" * 15, "line 1: Key shorter than 16 bytes"),
            (b"i:" + b"00" * 15, "line 1: Key shorter than 16 bytes"),
            (b"i:" + b"k" * 513, "line 1: Key longer than 512 bytes"),
            (b"i" * 256 + b":" + KEY, "line 1: Identity not between"),
            (b":" + KEY, "line 1: Identity not between"),
        ):
            self.assertIn(text, str(self.assertRaises(ValueError, parse_secrets, line)))

    def test_refused(self) -> None:
        """What cannot be meant is refused by line: no colon, a NUL, an identity twice, nothing."""
        good = b"i:" + KEY + b"\n"
        for data, text in (
            (good + b"# comment", "PSKsecrets line 2: Not in the form identity:key"),
            (good + b"a\0b:" + KEY, "PSKsecrets line 2: Identity with a NUL byte"),
            (good + good, "PSKsecrets line 2: this identity has a key already"),
            (b"\n\n", "no identity:key line found"),
        ):
            self.assertEqual(str(self.assertRaises(ValueError, parse_secrets, data)), text)

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        """Whatever the file holds, it is secrets within their bounds or a ValueError."""
        try:
            secrets = parse_secrets(data)
        except ValueError:
            return
        for secret in secrets:
            self.assertTrue(1 <= len(secret.identity) <= 255)
            self.assertTrue(16 <= len(secret.key) <= 512)

    def test_keys_stay_out_of_texts(self) -> None:
        """A secret does not show its key when it is printed."""
        self.assertNotIn("0123", repr(parse_secrets(b"me:" + KEY)))


class FileTests(SynchronousTestCase):
    """The file, its log lines and the choice of a client."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.log = Recording()

    def load(self, data: bytes) -> list[str]:
        """Load a file of *data*; the log."""
        Path(self.path).write_bytes(data)
        load_secrets(self.path, self.log.scope)
        return self.log.texts

    def test_log(self) -> None:
        """Each identity is named with the size of its key and how it was written."""
        texts = self.load(b"a:" + KEY + b"\nb:" + b"ff" * 16)
        self.assertEqual(
            texts,
            [
                'PSKsecrets line 1: 16-byte ASCII key configured for identity "a"',
                'PSKsecrets line 2: 16-byte hexadecimal key configured for identity "b"',
                "PSK identities: 2 retrieved",
            ],
        )

    def test_unusable(self) -> None:
        """A missing file and a bad line are named with the file."""
        error = self.assertRaises(FileUnusable, load_secrets, self.path, self.log.scope)
        self.assertEqual(error.path, self.path)
        text = str(self.assertRaises(FileUnusable, self.load, b"a:short"))
        self.assertIn("Failed to read PSK secrets: PSKsecrets line 1: Key shorter", text)

    def test_choice(self) -> None:
        """A client takes the first identity, or the one it is told; another is refused."""
        secrets = parse_secrets(b"a:" + KEY + b"\nb\xc3\xa9:" + KEY)
        self.assertEqual(choose_secret(secrets, None, "f").identity, b"a")
        self.assertEqual(choose_secret(secrets, "b\u00e9", "f").line, 2)
        text = str(self.assertRaises(FileUnusable, choose_secret, secrets, "c", "f"))
        self.assertIn('No key found for the specified PSK identity: "c"', text)

    def test_shown(self) -> None:
        """Identities are shown as text without control characters, or by their length."""
        self.assertEqual(shown_identity(b"me\n"), "me?")
        self.assertEqual(shown_identity(b"\xff\xff"), "(2 bytes that are no text)")
