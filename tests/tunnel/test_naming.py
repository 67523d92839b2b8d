"""Tests of stunnel_tx.tunnel.naming."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tunnel.naming import NameRule, NameTable, certified
from tests.doubles.certificates import self_signed

if TYPE_CHECKING:
    import random

    from stunnel_tx.tunnel.runtime import ServicePolicy


def table(*patterns: str, refuse: bool = False) -> NameTable:
    """A table whose patterns lead to their own places in the list."""
    rules = [
        NameRule(pattern, cast("ServicePolicy", number)) for number, pattern in enumerate(patterns)
    ]
    return NameTable(rules, refuse_unknown=refuse)


def matches(pattern: str, name: str) -> bool:
    """What a pattern means, spelled out."""
    pattern, name = pattern.lower(), name.lower()
    return name.endswith(pattern[1:]) if pattern.startswith("*") else name == pattern


class FindTests(SynchronousTestCase):
    """The search for a name."""

    def found(self, names: NameTable, name: str) -> Any:
        """The place of the rule that is found, None for none."""
        rule = names.find(name)
        return None if rule is None else rule.policy

    def test_meaning(self) -> None:
        """A star at the start stands for any characters, also for none; case does not matter."""
        for pattern, name, wanted in (
            ("a.example", "A.Example", True),
            ("a.example", "b.a.example", False),
            ("*.example", "a.b.example", True),
            ("*.example", "example", False),
            ("*.Example", ".example", True),
            ("*example", "example", True),
            ("*", "anything", True),
            ("*", "", True),
            ("a*.example", "ab.example", False),
            ("a*.example", "a*.example", True),
        ):
            self.assertEqual(self.found(table(pattern), name) is not None, wanted, (pattern, name))
            self.assertEqual(matches(pattern, name), wanted)

    def test_order(self) -> None:
        """The first rule that matches counts, exact or not; later copies never."""
        names = table("*.example", "a.example", "*", "*.a.example", "b.test", "b.test")
        self.assertEqual(self.found(names, "a.example"), 0)
        self.assertEqual(self.found(names, "x.a.example"), 0)
        self.assertEqual(self.found(names, "b.test"), 2)
        self.assertEqual(self.found(table("a.example", "*"), "a.example"), 0)
        self.assertEqual(self.found(table("a", "a"), "a"), 0)

    def test_nothing(self) -> None:
        """A table without rules finds nothing."""
        self.assertIsNone(table().find("a.example"))
        self.assertEqual(len(table()), 0)
        self.assertEqual(len(table("a", "*.b")), 2)

    @settings(deadline=None, max_examples=100)
    @given(st.randoms(use_true_random=False))
    def test_like_a_walk(self, chance: random.Random) -> None:
        """The answer is that of a walk through all rules in their order."""
        words = ["a", "b", "ab", "A"]

        def name() -> str:
            return ".".join(chance.choice(words) for _ in range(chance.randint(1, 3)))

        patterns = [chance.choice(["", "*", "*."]) + name() for _ in range(8)]
        names = table(*patterns)
        for _ in range(8):
            asked = name()
            walk = next((i for i, each in enumerate(patterns) if matches(each, asked)), None)
            self.assertEqual(self.found(names, asked), walk, (patterns, asked))


class CertifiedTests(SynchronousTestCase):
    """Which names a certificate is for."""

    def test_names(self) -> None:
        """DNS names in any case, and wildcards for one label."""
        certificate = self_signed("cn.example", ["a.example", "*.w.example", "192.0.2.1"]).cert
        for name, wanted in (
            ("A.example", True),
            ("x.w.example", True),
            ("x.y.w.example", False),
            ("w.example", False),
            (".w.example", False),
            ("cn.example", False),
            ("192.0.2.1", False),
            ("", False),
        ):
            self.assertEqual(certified(name, certificate), wanted, name)

    def test_without_names(self) -> None:
        """A certificate without alternative names is for nobody."""
        self.assertFalse(certified("cn.example", self_signed("cn.example").cert))
