"""Tests of record input and output: both implementations, TLS 1.2 and 1.3, real sockets."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from typing import Any

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.binding.records import (
    CHUNK,
    RECORD,
    WANT_READ,
    WANT_WRITE,
    DirectRecords,
    PublicRecords,
    direct_available,
    record_io,
)
from tests.doubles.tls_pairs import TLS_1_2, TLS_1_3, attempt, raw_socket, tcp_pair, tls_pair

BOTH_CLOSED = SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN

#: Sizes at the borders of records and chunks.
SIZES = tuple(
    border + step
    for border in (1, RECORD, 2 * RECORD, CHUNK - RECORD, CHUNK, CHUNK + RECORD)
    for step in (-1, 0, 1)
    if border + step > 0
)


class RecordTests:
    """What holds for both; ``make`` is the class under test, ``version`` that of TLS."""

    make: Any
    version: int

    def setUp(self: Any) -> None:
        self.records = self.make(bytearray(CHUNK))
        self.ours, self.theirs = self.join()

    def join(self: Any) -> tuple[SSL.Connection, SSL.Connection]:
        """A pair whose first end is under test, its tickets out of the way."""
        sockets = tcp_pair()
        for sock in sockets:
            self.addCleanup(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * CHUNK)
        ours, theirs = tls_pair(self.version, sockets)
        self.records.prepare(ours)
        attempt(lambda: theirs.recv(1))
        return ours, theirs

    def send(self: Any, data: bytes) -> None:
        """The peer sends *data*, which fits the buffers between."""
        while data:
            data = data[self.theirs.send(data[: 4 * RECORD]) :]

    def read(self: Any) -> bytes | int:
        """One read: the bytes, or what was answered instead."""
        got = self.records.read(self.ours)
        return bytes(self.records.view[:got]) if got > 0 else int(got)

    def read_all(self: Any) -> tuple[bytes, int]:
        """Read until there is no data: all of it, and the answer that ended it."""
        pieces: list[bytes] = []
        for _ in range(100):
            got = self.read()
            if isinstance(got, int):
                return b"".join(pieces), got
            pieces.append(got)
        raise AssertionError("endless input")

    def peer_receives(self: Any, count: int) -> bytes:
        """What the peer has got, up to *count* bytes."""
        pieces = []
        with contextlib.suppress(SSL.WantReadError):
            while count > 0:
                piece = self.theirs.recv(min(count, CHUNK))
                pieces.append(piece)
                count -= len(piece)
        return b"".join(pieces)

    def test_all_sizes_in(self: Any) -> None:
        """Input of every size around the borders of records and chunks arrives whole."""
        for size in SIZES:
            data = hashlib.shake_128(b"in").digest(size)
            self.send(data)
            self.assertEqual(self.read_all(), (data, WANT_READ), size)

    def test_all_sizes_out(self: Any) -> None:
        """Output of every size from the shared buffer arrives whole, in one call."""
        for size in (size for size in SIZES if size <= CHUNK):
            data = hashlib.shake_128(b"out").digest(size)
            self.records.view[:size] = data
            self.assertEqual(self.records.write(self.ours, self.records.view, size), size)
            self.assertEqual(self.peer_receives(size), data, size)

    def test_output_from_other_memory(self: Any) -> None:
        """What was kept aside is written from where it is, not from the shared buffer."""
        self.records.view[:4] = b"junk"
        kept = memoryview(b"..kept")[2:]
        self.assertEqual(self.records.write(self.ours, kept, 4), 4)
        self.assertEqual(self.peer_receives(4), b"kept")

    def test_one_call_is_bounded(self: Any) -> None:
        """However much there is, a read answers with a chunk at most."""
        self.send(bytes(CHUNK + 3 * RECORD))
        sizes = []
        while isinstance(got := self.read(), bytes):
            sizes.append(len(got))
        self.assertEqual((max(sizes), sum(sizes)), (CHUNK, CHUNK + 3 * RECORD))

    def test_nothing_to_read(self: Any) -> None:
        """Without input the answer is WANT_READ, and no more is promised."""
        self.assertEqual(self.read(), WANT_READ)
        self.assertFalse(self.records.more)

    def test_orderly_end(self: Any) -> None:
        """close_notify is an end in good order, and stays one when read again."""
        self.send(b"last")
        self.theirs.shutdown()
        self.assertEqual(self.read_all(), (b"last", 0))
        self.assertTrue(self.records.closed_orderly(self.ours))
        self.assertEqual(self.read(), 0)

    def test_bare_end(self: Any) -> None:
        """A FIN alone ends the input too, but not in good order."""
        self.send(b"last")
        raw_socket(self.theirs).shutdown(socket.SHUT_WR)
        self.assertEqual(self.read_all(), (b"last", 0))
        self.assertFalse(self.records.closed_orderly(self.ours))

    def test_ends_behind_full_records(self: Any) -> None:
        """Ends right behind exactly full records are announced by ``more`` and told apart."""
        for size in (RECORD, 3 * RECORD, CHUNK - RECORD, CHUNK, CHUNK + RECORD):
            for orderly in (True, False):
                self.ours, self.theirs = self.join()
                self.send(bytes(size))
                if orderly:
                    self.theirs.shutdown()
                else:
                    raw_socket(self.theirs).shutdown(socket.SHUT_WR)
                total = 0
                while isinstance(got := self.read(), bytes):
                    total += len(got)
                    last_full = total == size and size % CHUNK
                    if last_full:
                        self.assertTrue(self.records.more, (size, orderly))
                self.assertEqual((total, got), (size, 0), (size, orderly))
                self.assertIs(self.records.closed_orderly(self.ours), orderly, size)

    def test_output_after_either_end(self: Any) -> None:
        """After close_notify, and after a bare FIN, the other direction goes on."""
        for orderly in (True, False):
            self.ours, self.theirs = self.join()
            if orderly:
                self.theirs.shutdown()
            else:
                raw_socket(self.theirs).shutdown(socket.SHUT_WR)
            self.assertEqual(self.read(), 0)
            self.records.view[:6] = b"answer"
            self.assertEqual(self.records.write(self.ours, self.records.view, 6), 6)
            self.assertEqual(self.peer_receives(6), b"answer", orderly)

    def test_input_after_our_own_end(self: Any) -> None:
        """Our close_notify leaves the input open."""
        self.ours.shutdown()
        self.assertRaises(SSL.ZeroReturnError, self.theirs.recv, 1)
        self.send(b"still here")
        self.assertEqual(self.read_all(), (b"still here", WANT_READ))

    def test_blocked_output(self: Any) -> None:
        """A write that met a full buffer is repeated with the same bytes, from a copy."""
        data = hashlib.shake_128(b"block").digest(CHUNK)
        self.records.view[:] = data
        written = 0
        while (done := self.records.write(self.ours, self.records.view, CHUNK)) == CHUNK:
            written += 1
        self.assertEqual(done, WANT_WRITE)
        copy = memoryview(bytes(data))
        self.records.view[:] = bytes(CHUNK)
        received = b""
        for _ in range(1000):
            received += self.peer_receives(CHUNK)
            done = self.records.write(self.ours, copy, CHUNK)
            if done == CHUNK:
                break
            self.assertEqual(done, WANT_WRITE)
        received += self.peer_receives(CHUNK * (written + 1) - len(received))
        self.assertEqual(len(received), CHUNK * (written + 1))
        self.assertEqual(received[-CHUNK:], data)

    def test_input_while_output_is_blocked(self: Any) -> None:
        """A blocked write does not stop reading."""
        while self.records.write(self.ours, self.records.view, CHUNK) == CHUNK:
            pass
        self.send(b"hear me")
        self.assertEqual(self.read_all(), (b"hear me", WANT_READ))

    def test_error_behind_full_records(self: Any) -> None:
        """Garbage behind full records: first the data, and the error at the next read."""
        self.send(bytes(2 * RECORD))
        raw_socket(self.theirs).send(b"\x17\x03\x03\x00\x20" + bytes(32))
        got = self.read()
        self.assertEqual(len(got), 2 * RECORD)
        self.assertTrue(self.records.more)
        error = self.assertRaises(SSL.Error, self.read)
        self.assertIn("decryption failed or bad record mac", str(error))

    def test_error_of_one_is_not_that_of_another(self: Any) -> None:
        """An error that is kept for later belongs to its connection alone."""
        self.send(bytes(RECORD))
        raw_socket(self.theirs).send(b"\x17\x03\x03\x00\x20" + bytes(32))
        self.assertEqual(len(self.read()), RECORD)
        broken = self.ours
        self.ours, self.theirs = self.join()
        self.assertEqual(self.read(), WANT_READ)
        self.send(b"fine")
        self.assertEqual(self.read_all(), (b"fine", WANT_READ))
        self.ours = broken
        self.assertRaises(SSL.Error, self.read)

    def test_forgotten_error(self: Any) -> None:
        """What was kept for a connection goes when the connection does."""
        self.send(bytes(RECORD))
        raw_socket(self.theirs).send(b"\x17\x03\x03\x00\x20" + bytes(32))
        self.read()
        self.theirs.shutdown()
        self.records.forget(self.ours)
        self.assertFalse(self.records._errors)
        self.assertFalse(self.records._orderly)

    def test_reset(self: Any) -> None:
        """A reset connection is an error of the system, not an end."""
        raw_socket(self.theirs).setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
        )
        raw_socket(self.theirs).close()
        error = self.assertRaises(SSL.SysCallError, self.read)
        self.assertEqual(error.args[0], 104)

    def test_error_queue_is_left_clean(self: Any) -> None:
        """The error of one connection does not show up at the next one's calls."""
        raw_socket(self.theirs).send(b"GET / HTTP/1.0\r\n\r\n")
        self.assertRaises(SSL.Error, self.read)
        self.ours, self.theirs = self.join()
        self.assertEqual(self.read(), WANT_READ)

    def test_session_is_resumed_after_close(self: Any) -> None:
        """A connection dropped with both marks set leaves a session fit for resumption."""
        self.send(b"x")
        self.read_all()
        self.ours.send(b"y")
        self.theirs.recv(1)
        session = self.theirs.get_session()
        for end in (self.ours, self.theirs):
            end.set_shutdown(BOTH_CLOSED)
        self.records.forget(self.ours)
        sockets = tcp_pair()
        for sock in sockets:
            self.addCleanup(sock.close)
        _server, client = tls_pair(self.version, sockets, session)
        from OpenSSL._util import lib

        self.assertTrue(lib.SSL_session_reused(client._ssl))


class DirectTLS13Tests(RecordTests, SynchronousTestCase):
    """The binding, TLS 1.3."""

    make = DirectRecords
    version = TLS_1_3


class DirectTLS12Tests(RecordTests, SynchronousTestCase):
    """The binding, TLS 1.2."""

    make = DirectRecords
    version = TLS_1_2


class PublicTLS13Tests(RecordTests, SynchronousTestCase):
    """The public methods, TLS 1.3."""

    make = PublicRecords
    version = TLS_1_3


class PublicTLS12Tests(RecordTests, SynchronousTestCase):
    """The public methods, TLS 1.2."""

    make = PublicRecords
    version = TLS_1_2


class ChoiceTests(SynchronousTestCase):
    """Which implementation is used."""

    def test_shared(self) -> None:
        """There is one for the process, on one buffer of one chunk."""
        self.assertIs(record_io(), record_io())
        self.assertEqual(len(record_io().view), CHUNK)

    def test_by_availability(self) -> None:
        """The binding where it is complete, the public methods anywhere else."""
        from stunnel_tx.tls.binding import records

        for available, wanted in ((True, DirectRecords), (False, PublicRecords)):
            self.patch(records, "_shared", None)
            self.assertIsInstance(record_io(lambda answer=available: answer), wanted)  # type: ignore[misc]

    def test_incomplete_binding(self) -> None:
        """One missing function is enough to do without the binding."""
        from stunnel_tx.tls.binding import records

        self.assertTrue(direct_available())
        self.patch(records, "_NEEDED", (*records._NEEDED, "SSL_no_such_function"))
        self.assertFalse(direct_available())
