"""Tests of OpenSSL's errors as lines of text."""

from __future__ import annotations

import errno

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.faults import (
    _ALERTS,
    _LIBRARY_NUMBER,
    _REASONS,
    MAX_ERRORS,
    SUDDEN_END,
    explain,
    first_reason,
)


class ExplainTests(SynchronousTestCase):
    """One line for whatever a TLS call raises."""

    def test_known_reason(self) -> None:
        """A frequent reason carries OpenSSL's own error code."""
        error = SSL.Error([("SSL routines", "", "certificate verify failed")])
        self.assertEqual(explain(error), "error:0A000086:SSL routines::certificate verify failed")

    def test_remedy(self) -> None:
        """Where one is known, the line ends with what may help."""
        text = explain(SSL.Error([("SSL routines", "", "tlsv1 alert unknown ca")]))
        self.assertTrue(text.startswith("error:0A000418:SSL routines::tlsv1 alert unknown ca ("))
        self.assertIn("does not trust", text)

    def test_unknown_reason(self) -> None:
        """Any other reason is passed on as it is."""
        error = SSL.Error([("EVP routines", "", "something new")])
        self.assertEqual(explain(error), "error:EVP routines::something new")

    def test_queue_is_bounded(self) -> None:
        """Of a long queue only the first errors are shown."""
        error = SSL.Error([("lib", "", f"reason {n}") for n in range(MAX_ERRORS + 3)])
        text = explain(error)
        self.assertEqual(text.count("error queue: "), MAX_ERRORS - 1)
        self.assertNotIn(f"reason {MAX_ERRORS}", text)

    def test_sudden_end(self) -> None:
        """An end without a word of TLS has one name, however it is reported."""
        for error in (
            SSL.SysCallError(-1, "Unexpected EOF"),
            SSL.SysCallError(0, "x"),
            SSL.SysCallError(),
            SSL.Error([]),
            SSL.Error(),
        ):
            self.assertEqual(explain(error), SUDDEN_END)

    def test_system_error(self) -> None:
        """An error of the socket is given as text and number."""
        error = SSL.SysCallError(errno.ECONNRESET, "ECONNRESET")
        self.assertEqual(explain(error), "Connection reset by peer (104)")

    def test_close_notify(self) -> None:
        """An orderly end is not taken for a sudden one."""
        self.assertIn("close_notify", explain(SSL.ZeroReturnError()))

    def test_foreign(self) -> None:
        """An exception of a callback is named with its type."""
        self.assertEqual(explain(KeyError("x")), "KeyError: 'x'")

    def test_first_reason(self) -> None:
        """Messages about the configuration get the plain reason."""
        error = SSL.Error([("a", "", "no cipher match"), ("b", "", "more")])
        self.assertEqual(first_reason(error), "no cipher match")
        self.assertEqual(first_reason(SSL.Error([])), "unknown OpenSSL error")


class CodeTests(SynchronousTestCase):
    """The error codes are those of the library underneath."""

    def test_codes(self) -> None:
        """Each reason of the tables has the number that OpenSSL's own table gives it."""
        from OpenSSL._util import ffi, lib

        SSL.Context(SSL.TLS_METHOD)  # loads the texts
        for table, part in ((_REASONS, 0), (_ALERTS, 2)):
            for reason, number in table.items():
                text = lib.ERR_reason_error_string(_LIBRARY_NUMBER + number)
                self.assertNotEqual(text, ffi.NULL, reason)
                found = ffi.string(text).decode()
                self.assertEqual(found.partition(" alert ")[part], reason)
