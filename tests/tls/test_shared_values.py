"""Tests of values that are shared by content."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.shared_values import SharedValues, digest


class _Thing:
    """Something that can be a value or a user."""


class SharedValuesTests(SynchronousTestCase):
    """How long a value is found."""

    def setUp(self) -> None:
        self.values = SharedValues[_Thing]()

    def test_as_long_as_it_is_used(self) -> None:
        """A value goes with the last of its users, not with the first."""
        users = [_Thing(), _Thing()]
        for number in range(len(users)):
            self.values.keep(users[number], "key", self.values.find("key") or _Thing())
        self.assertEqual(len(self.values), 1)
        for left in (1, 0):
            users.pop()
            gc.collect()
            self.assertEqual(len(self.values), left)
        self.assertIsNone(self.values.find("key"))

    def test_keys(self) -> None:
        """A value is found under its own key only, and a user may have several."""
        user = _Thing()
        for key in ("a", "b"):
            self.values.keep(user, key, _Thing())
        self.assertIsNot(self.values.find("a"), self.values.find("b"))
        self.assertIsNone(self.values.find("c"))

    def test_digest(self) -> None:
        """No content at all is something else than an empty one."""
        self.assertEqual(len({digest(None), digest(b""), digest(b"a")}), 3)
