"""Tests of the requests to the backend."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.exchanges import ECHO, REQUEST_SIZE, SINK, SOURCE, Request


class RequestTests(SynchronousTestCase):
    """Nine bytes."""

    def test_both_ways(self) -> None:
        """What is packed is read again, counts beyond 32 bits included."""
        for request in (Request(SINK, 2**40), Request(SOURCE, 1), Request(ECHO)):
            self.assertEqual(len(request.pack()), REQUEST_SIZE)
            self.assertEqual(Request.unpack(request.pack()), request)

    def test_unknown_verb(self) -> None:
        """Anything else is refused."""
        with self.assertRaises(ValueError):
            Request.unpack(b"X" + bytes(REQUEST_SIZE - 1))
