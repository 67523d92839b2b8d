"""Tests of stunnel_tx.configuration.lexer."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.lexer import MAX_LINE_BYTES, Assignment, Header, lex
from stunnel_tx.configuration.model import Place

BLANKS = " \t\v\f\r"

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0=;#["), max_size=12).map(
    lambda text: text.strip(" \t\v\f")
)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=20).map(
    lambda text: text.strip(" \t\v\f")
)
SECTIONS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=12)
PADDING = st.text(st.sampled_from(BLANKS), max_size=3)


def shapes(data: bytes) -> list[tuple[str, ...]]:
    """Return the meaning of a text, without places."""
    return [
        (item.name,) if isinstance(item, Header) else (item.name, item.value)
        for item in lex(data, "f").items
    ]


class GrammarTests(SynchronousTestCase):
    """Each element of the grammar."""

    def test_assignment(self) -> None:
        """Name and value are split at the first equals sign and trimmed."""
        for line in (b"connect=a=b", b" connect = a=b ", b"\tconnect\v=\fa=b\r", b"connect =a=b\r"):
            self.assertEqual(shapes(line + b"\n"), [("connect", "a=b")])

    def test_value_is_literal(self) -> None:
        """Quotes, comment signs and backslashes within a value are part of it."""
        for value in ('"quoted"', "80 ; x", "80 # x", "a\\n", "$HOME", "[x]"):
            self.assertEqual(shapes(f"name = {value}".encode()), [("name", value)])

    def test_empty_value_and_name(self) -> None:
        """An equals sign makes an assignment even with nothing around it."""
        self.assertEqual(shapes(b"CAfile =\n= x\n=\n"), [("CAfile", ""), ("", "x"), ("", "")])

    def test_comments_and_blanks(self) -> None:
        """Empty lines and lines that begin with ; or # mean nothing."""
        self.assertEqual(shapes(b"\n  \n;a=b\n  # a=b\n\t;[x]\n\r\n"), [])

    def test_section(self) -> None:
        """A section's name is verbatim, inner blanks and brackets included."""
        cases = {b"[x]": "x", b"  [ a b ]  ": " a b ", b"[]": "", b"[a]b]": "a]b", b"[[x]]": "[x]"}
        for line, name in cases.items():
            self.assertEqual(shapes(line), [(name,)])

    def test_carriage_returns(self) -> None:
        """Every carriage return is dropped, wherever it stands."""
        self.assertEqual(shapes(b"con\rnect = 8\r0\r\r\n[\rx]\r\n"), [("connect", "80"), ("x",)])

    def test_last_line(self) -> None:
        """The last line needs no line end."""
        self.assertEqual(shapes(b"a=1\nb=2"), [("a", "1"), ("b", "2")])

    def test_byte_order_mark(self) -> None:
        """A UTF-8 byte order mark counts only as the very first bytes."""
        lexed = lex(b"\xef\xbb\xbf[x]\n", "f")
        self.assertTrue(lexed.byte_order_mark)
        self.assertEqual(lexed.items, (Header("x", Place("f", 1)),))
        late = lex(b"a=1\n\xef\xbb\xbfb=2\n", "f")
        self.assertFalse(late.byte_order_mark)
        self.assertEqual(shapes(b"a=1\n\xef\xbb\xbfb=2\n")[1], ("\ufeffb", "2"))

    def test_places(self) -> None:
        """Lines are counted from 1, comments and blanks included."""
        lexed = lex(b"; c\n\na=1\n[x]\nb=2\n", "dir/f.conf")
        places = [str(item.place) for item in lexed.items]
        self.assertEqual(places, ["dir/f.conf:3", "dir/f.conf:4", "dir/f.conf:5"])

    def test_other_encodings(self) -> None:
        """Bytes that are not UTF-8 survive, so that they can name a file."""
        (item,) = lex(b"cert = /caf\xe9.pem", "f").items
        assert isinstance(item, Assignment)
        self.assertEqual(item.value.encode("utf-8", "surrogateescape"), b"/caf\xe9.pem")


class FlawTests(SynchronousTestCase):
    """Lines that cannot be meant."""

    def problems(self, data: bytes) -> list[str]:
        """Return the problems of a text, as the operator sees them."""
        return [str(problem) for problem in lex(data, "f").problems]

    def test_no_equals(self) -> None:
        """A line without an equals sign is named and refused; the next line still counts."""
        (problem,) = self.problems(b"client\na=1\n")
        self.assertIn("f:1: \"client\": No '=' found", problem)
        self.assertEqual(shapes(b"client\na=1\n"), [("a", "1")])

    def test_no_equals_no_secret(self) -> None:
        """Of such a line its first word is shown: the rest may be a password."""
        for line in (b"protocolPassword hunter2", b"protocolPassword: hunter2"):
            (problem,) = self.problems(line + b"\n")
            self.assertIn("f:1: \"protocolPassword...\": No '=' found", problem)
        (problem,) = self.problems(b'"hunter2"\n')
        self.assertNotIn("hunter2", problem)

    def test_unclosed_header(self) -> None:
        """A header without its end is told what it lacks."""
        for line in (b"[x", b"[x] y"):
            (problem,) = self.problems(line)
            self.assertIn("No '=' found", problem)
            self.assertIn("ends in ]", problem)

    def test_longest_line(self) -> None:
        """A line of 16383 bytes is taken, and one more byte is an error, not a second line."""
        fits = b"a=" + b"x" * (MAX_LINE_BYTES - 2)
        self.assertEqual(self.problems(fits + b"\n"), [])
        (problem,) = self.problems(fits + b"x\n")
        self.assertIn("16384 bytes", problem)
        self.assertEqual(shapes(fits + b"x\nb=1"), [("b", "1")])

    def test_long_comment(self) -> None:
        """An over-long comment is an error too: stunnel would read its rest as a line."""
        self.assertEqual(len(self.problems(b";" + b"x" * MAX_LINE_BYTES)), 1)

    def test_zero_byte(self) -> None:
        """A zero byte never reaches a value, nor hides in a comment's neighbour."""
        (problem,) = self.problems(b"cert = a\0b\n")
        self.assertIn("zero byte", problem)


class PropertyTests(SynchronousTestCase):
    """Texts nobody thought of."""

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=300))
    def test_random_bytes(self, data: bytes) -> None:
        """Random bytes never crash the lexer, and every line is in its place."""
        lexed = lex(data, "f")
        lines = [item.place.line for item in lexed.items]
        self.assertEqual(lines, sorted(set(lines)))
        self.assertLessEqual(len(lexed.items) + len(lexed.problems), data.count(b"\n") + 1)

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.one_of(SECTIONS, st.tuples(NAMES, VALUES)), max_size=8), PADDING)
    def test_round_trip(self, items: list[str | tuple[str, str]], padding: str) -> None:
        """Headers and assignments written down, with any padding, are found again."""
        lines = [f"[{i}]" if isinstance(i, str) else f"{i[0]}{padding}={i[1]}" for i in items]
        data = "\n".join(f"{padding}{line}{padding}" for line in lines).encode()
        expected = [(i,) if isinstance(i, str) else i for i in items]
        prefix = b"\n"  # keeps a U+FEFF at the start of a name from being the mark
        self.assertEqual(shapes(prefix + data), expected)
