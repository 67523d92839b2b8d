"""Tests of looking at the words of endpoint strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.endpoints import quoteStringArgument
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError
from stunnel_tx.service import endpoint_words as module
from stunnel_tx.service.endpoint_words import look_at_connecting, look_at_listening, words_of

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a word may be made of; Twisted quotes for itself.
_WORDS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=4)


class WordsTests(SynchronousTestCase):
    """Splitting."""

    def test_split(self) -> None:
        """Bare words keep their order; a backslash takes what it stands before as it is."""
        words = words_of(r"tcp:a\:b:port=1=2:c\\:d\=e:")
        self.assertEqual(words.kind, "tcp")
        self.assertEqual(words.bare, ("a:b", "c\\", "d=e", ""))
        self.assertEqual(words.named, {"port": "1=2"})
        self.assertEqual(words_of("").kind, "")

    def test_get(self) -> None:
        """A word with a name comes before one in the place for it."""
        words = words_of("tcp:a:b:port=c")
        self.assertEqual(words.get("port", 1), "c")
        self.assertEqual(words.get("host", 0), "a")
        self.assertIsNone(words.get("host", 5))
        self.assertIsNone(words.get("host", None))

    @settings(deadline=None, max_examples=100)
    @given(_WORDS)
    def test_as_twisted_quotes(self, texts: list[str]) -> None:
        """Whatever Twisted has quoted is read as it was."""
        quoted = [quoteStringArgument(each) for each in texts]
        description = ":".join(["tcp", *quoted, *(f"k{n}={q}" for n, q in enumerate(quoted))])
        if any("=" in each for each in texts):
            # Twisted leaves this sign alone, which only works after a name.
            description = ":".join(["tcp", *(f"k{n}={q}" for n, q in enumerate(quoted))])
        named = {f"k{number}": text for number, text in enumerate(texts)}
        self.assertEqual(words_of(description).named, named)


class LookTests(SynchronousTestCase):
    """What is wrong with a string."""

    def setUp(self) -> None:
        self.patch(module, "look_up", self.look_up)

    def look_up(self, host: str, _port: int, *, passive: bool) -> tuple[()]:
        """Know one name."""
        if host != "known" or not passive:
            raise OperatingError("Name or service not known")
        return ()

    def problem(self, look: Callable[[str], None], text: str) -> str:
        """What is said of *text*."""
        try:
            look(text)
        except ValueError as error:
            return str(error)
        return ""

    def test_ports(self) -> None:
        """A port to listen on may be 0, one to connect to may not; none is above 65535."""
        for text in ("tcp:0", "tcp:65535", "tcp:port=1", "tcp6:443", "ssl:1", "tcp:", "other:x"):
            expected = "the port '' is not" if text == "tcp:" else ""
            self.assertIn(expected, self.problem(look_at_listening, text))
            self.assertEqual(bool(expected), bool(self.problem(look_at_listening, text)), text)
        for text in ("tcp:65536", "tcp:-1", "tcp:smtp", "tcp6:99999", "ssl:port=99999"):
            problem = self.problem(look_at_listening, text)
            self.assertIn("is not a number from 0 to 65535", problem, text)
        for text in ("tcp:h:1", "tcp:host=h:port=65535", "tcp:25:host=h", "tls:h:1", "onion:h:0"):
            self.assertEqual(self.problem(look_at_connecting, text), "", text)
        for text in ("tcp:h:0", "tcp:host=h:port=0", "tcp:0:host=h", "tls:h:65536", "ssl:h:x"):
            problem = self.problem(look_at_connecting, text)
            self.assertIn("is not a number from 1 to 65535", problem, text)

    def test_interfaces(self) -> None:
        """An interface is an address, or a name of one."""
        for text in (
            *("tcp:1:interface=127.0.0.1", r"tcp6:1:interface=\:\:1", "tcp:1:interface=known"),
            *("tcp:1:interface=", "tcp:1:127.0.0.1", r"tcp6:1:interface=fe80\:\:1%lo"),
        ):
            self.assertEqual(self.problem(look_at_listening, text), "", text)
        for text in ("tcp:1:interface=nonsense", "tcp6:1:nonsense"):
            problem = self.problem(look_at_listening, text)
            self.assertEqual(
                problem, "interface: Cannot resolve 'nonsense': Name or service not known"
            )
        self.assertEqual(self.problem(look_at_connecting, "tcp:h:1:bindAddress=known"), "")
        problem = self.problem(look_at_connecting, "tcp:h:1:bindAddress=nonsense")
        self.assertIn("bindAddress: Cannot resolve 'nonsense'", problem)

    def test_hosts(self) -> None:
        """A string without a host leads nowhere."""
        for text in ("tcp:host=:port=25", "tcp::25"):
            self.assertEqual(self.problem(look_at_connecting, text), "the host is missing")

    def test_paths(self) -> None:
        """A path must be there, and fit into the address of a socket."""
        for look in (look_at_listening, look_at_connecting):
            self.assertEqual(self.problem(look, "unix:/x"), "")
            self.assertEqual(self.problem(look, "unix:address=/x"), "")
            self.assertEqual(self.problem(look, "unix:"), "the path is missing")
            self.assertIn("at most 107", self.problem(look, "unix:/" + 107 * "x"))

    def test_families(self) -> None:
        """A socket of systemd is of a family that there is."""
        self.assertEqual(self.problem(look_at_listening, "systemd:domain=INET:index=0"), "")
        problem = self.problem(look_at_listening, "systemd:domain=NONE:index=0")
        self.assertEqual(problem, "there is no address family NONE")
