"""Tests of user and password: both or none."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError
from stunnel_tx.negotiation.credentials import credentials, matching
from stunnel_tx.negotiation.peer import NegotiationOptions


class CredentialsTests(SynchronousTestCase):
    """:func:`credentials` and :func:`matching`."""

    def test_both(self) -> None:
        """They come as bytes, also where the file was not in UTF-8."""
        self.assertIsNone(credentials(NegotiationOptions()))
        both = NegotiationOptions(username="ü", password="p\udcfc")
        self.assertEqual(credentials(both), (b"\xc3\xbc", b"p\xfc"))

    def test_half(self) -> None:
        """One without the other, or an empty one, is never taken for none."""
        for username, password in (("u", None), (None, "p"), ("u", ""), ("", "p"), ("", "")):
            options = NegotiationOptions(username=username, password=password)
            error = self.assertRaises(OperatingError, credentials, options)
            self.assertIn("need each other", str(error))

    def test_matching(self) -> None:
        """Both parts have to be equal."""
        wanted = (b"user", b"password")
        self.assertTrue(matching((b"user", b"password"), wanted))
        for given in ((b"user", b""), (b"", b"password"), (b"user", b"passwor"), (b"", b"")):
            self.assertFalse(matching(given, wanted))
