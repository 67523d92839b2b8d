"""Tests of channels: plain sockets, pipes and TLS, on real descriptors."""

from __future__ import annotations

import contextlib
import errno
import os
import pty
import socket
from typing import TYPE_CHECKING

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import PeerClosed, ProtocolViolation
from stunnel_tx.relay.channel import (
    CHUNK,
    WANT_READ,
    WANT_WRITE,
    PipeChannel,
    PlainChannel,
    TLSChannel,
)
from stunnel_tx.tls.binding.records import record_io
from tests.doubles.tls_pairs import TLS_1_2, TLS_1_3, attempt, raw_socket, tcp_pair, tls_pair

if TYPE_CHECKING:
    from stunnel_tx.relay.channel import Channel

RESET = b"\x01\0\0\0\0\0\0\0"


def put(channel: Channel, data: bytes) -> int:
    """Write *data* from memory of its own."""
    return channel.write(memoryview(data), len(data))


def got(count: int) -> bytes:
    """The first *count* bytes of the shared buffer."""
    return bytes(record_io().view[:count])


def nonblocking_pair() -> tuple[socket.socket, socket.socket]:
    """Two joined UNIX sockets."""
    pair = socket.socketpair()
    for sock in pair:
        sock.setblocking(False)
    return pair


class PlainChannelTests(SynchronousTestCase):
    """TCP and UNIX sockets."""

    def setUp(self) -> None:
        self.pairs = [tcp_pair(), nonblocking_pair()]
        for pair in self.pairs:
            for sock in pair:
                self.addCleanup(sock.close)

    def test_bytes_both_ways(self) -> None:
        """What is read lies at the start of the shared buffer; what is written arrives."""
        for near, far in self.pairs:
            channel = PlainChannel(near)
            self.assertEqual(channel.read(), WANT_READ)
            far.send(b"to us")
            self.assertEqual(got(channel.read()), b"to us")
            self.assertEqual(put(channel, b"to them"), 7)
            self.assertEqual(far.recv(100), b"to them")

    def test_only_the_length_is_written(self) -> None:
        """Of the memory that is offered, *length* bytes are written."""
        for near, far in self.pairs:
            self.assertEqual(PlainChannel(near).write(memoryview(b"abcdef"), 3), 3)
            self.assertEqual(far.recv(100), b"abc")

    def test_end_of_input(self) -> None:
        """A FIN is an end, not a truncation, and the other direction stays open."""
        for near, far in self.pairs:
            channel = PlainChannel(near)
            far.shutdown(socket.SHUT_WR)
            self.assertEqual((channel.read(), channel.truncated, channel.more), (0, False, False))
            put(channel, b"answer")
            self.assertEqual(far.recv(100), b"answer")

    def test_full(self) -> None:
        """A full send buffer takes a part, and then WANT_WRITE."""
        for near, _far in self.pairs:
            channel = PlainChannel(near)
            for _ in range(1000):
                done = put(channel, bytes(CHUNK))
                if done == WANT_WRITE:
                    break
            self.assertEqual(done, WANT_WRITE)

    def test_shutdown_write(self) -> None:
        """Our end reaches the peer, and its bytes still reach us."""
        for near, far in self.pairs:
            channel = PlainChannel(near)
            self.assertEqual(channel.shutdown_write(), 0)
            self.assertEqual(far.recv(1), b"")
            far.send(b"late")
            self.assertEqual(got(channel.read()), b"late")

    def test_broken(self) -> None:
        """A reset is an error of the peer's, with call, words and number."""
        near, far = self.pairs[0]
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        far.close()
        channel = PlainChannel(near)
        error = self.assertRaises(PeerClosed, channel.read)
        self.assertEqual(str(error), "readsocket: Connection reset by peer (104)")
        error = self.assertRaises(PeerClosed, put, channel, b"x")
        self.assertEqual(str(error), "writesocket: Broken pipe (32)")
        error = self.assertRaises(PeerClosed, channel.shutdown_write)
        self.assertIn("shutdown: Transport endpoint is not connected", str(error))

    def test_close(self) -> None:
        """An ordinary close is a FIN, one with *reset* a RST where there is such a thing."""
        for reset, wanted in ((False, 0), (True, errno.ECONNRESET)):
            near, far = tcp_pair()
            self.addCleanup(far.close)
            PlainChannel(near).close(reset=reset)
            self.assertEqual(_end_of(far), wanted)
        near, far = self.pairs[1]
        PlainChannel(near).close(reset=True)
        self.assertEqual(_end_of(far), 0)


def _end_of(sock: socket.socket) -> int:
    """0 when *sock* has come to an orderly end, else the error number."""
    try:
        assert sock.recv(1) == b""
    except OSError as error:
        return error.errno or -1
    return 0


class PipeChannelTests(SynchronousTestCase):
    """Standard input and output."""

    def setUp(self) -> None:
        self.read_end, self.feed = os.pipe()
        self.drain, self.write_end = os.pipe()
        self.channel = PipeChannel(self.read_end, self.write_end)
        for fd in (self.read_end, self.feed, self.drain, self.write_end):
            self.addCleanup(_close_quietly, fd)

    def test_bytes_both_ways(self) -> None:
        """A pipe for each direction."""
        self.assertEqual(self.channel.read(), WANT_READ)
        os.write(self.feed, b"in")
        self.assertEqual(got(self.channel.read()), b"in")
        self.assertEqual(put(self.channel, b"out"), 3)
        self.assertEqual(os.read(self.drain, 10), b"out")

    def test_end_of_input(self) -> None:
        """The closed other end of the pipe is the end of input."""
        os.close(self.feed)
        self.assertEqual((self.channel.read(), self.channel.truncated), (0, False))

    def test_full_and_broken(self) -> None:
        """A full pipe wants to be waited for; one without a reader is broken."""
        while put(self.channel, bytes(4096)) > 0:
            pass
        self.assertEqual(put(self.channel, bytes(4096)), WANT_WRITE)
        os.close(self.drain)
        self.assertRaises(PeerClosed, put, self.channel, b"x")

    def test_shutdown_write(self) -> None:
        """The end of output closes the one pipe, and its number is not used any more."""
        self.assertEqual(self.channel.shutdown_write(), 0)
        self.assertEqual(os.read(self.drain, 1), b"")
        os.write(self.feed, b"still")
        self.assertEqual(got(self.channel.read()), b"still")
        self.assertEqual(self.channel.write_fd, self.channel.read_fd)

    def test_close(self) -> None:
        """Both descriptors are closed, once each."""
        for shut_first in (False, True):
            fds = os.pipe()
            channel = PipeChannel(*fds)
            if shut_first:
                channel.shutdown_write()
                other = os.dup(fds[0])
                self.addCleanup(_close_quietly, other)
                self.assertEqual(other, fds[1], "the number is in use again")
            channel.close(reset=True)
            self.assertRaises(OSError, os.fstat, fds[0])
            if shut_first:
                os.fstat(fds[1])
            else:
                self.assertRaises(OSError, os.fstat, fds[1])

    def test_one_descriptor(self) -> None:
        """A shared descriptor is not closed by the end of output, and closed once."""
        near, far = nonblocking_pair()
        self.addCleanup(far.close)
        channel = PipeChannel(fd := near.detach(), fd)
        channel.shutdown_write()
        far.send(b"x")
        self.assertEqual(got(channel.read()), b"x")
        channel.close()
        self.assertRaises(OSError, os.fstat, fd)

    def test_terminal(self) -> None:
        """A terminal whose other side has gone has come to its end."""
        leader, follower = pty.openpty()
        channel = PipeChannel(leader, leader)
        self.addCleanup(channel.close)
        os.close(follower)
        self.assertEqual(channel.read(), 0)


def _close_quietly(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.close(fd)


class TLSChannelTests(SynchronousTestCase):
    """TLS on a socket, both versions."""

    def pairs(self) -> list[tuple[TLSChannel, SSL.Connection]]:
        """A channel and its peer, for each version."""
        made = []
        for version in (TLS_1_2, TLS_1_3):
            sockets = tcp_pair()
            for sock in sockets:
                self.addCleanup(sock.close)
            ours, theirs = tls_pair(version, sockets)
            made.append((TLSChannel(ours, sockets[0]), theirs))
            attempt(lambda peer=theirs: peer.recv(1))  # type: ignore[misc]
        return made

    def test_bytes_both_ways(self) -> None:
        """Bytes go in and out as they do on a plain channel."""
        for channel, peer in self.pairs():
            self.assertEqual(channel.read(), WANT_READ)
            peer.send(b"to us")
            self.assertEqual(got(channel.read()), b"to us")
            self.assertEqual(put(channel, b"to them"), 7)
            self.assertEqual(peer.recv(100), b"to them")

    def test_ends(self) -> None:
        """A FIN without close_notify is a truncation, one behind close_notify is not."""
        for orderly in (True, False):
            for channel, peer in self.pairs():
                if orderly:
                    peer.shutdown()
                raw_socket(peer).shutdown(socket.SHUT_WR)
                self.assertEqual((channel.read(), channel.truncated), (0, not orderly))

    def test_shutdown_write(self) -> None:
        """Our end is a close_notify, behind which the peer's bytes still arrive."""
        for channel, peer in self.pairs():
            self.assertEqual(channel.shutdown_write(), 0)
            self.assertRaises(SSL.ZeroReturnError, peer.recv, 1)
            peer.send(b"late")
            self.assertEqual(got(channel.read()), b"late")

    def test_blocked_shutdown_is_repeated(self) -> None:
        """With a full send buffer close_notify waits, and goes out once there is room."""
        for channel, peer in self.pairs():
            data = memoryview(bytes(CHUNK))
            sent = 0
            while (done := channel.write(data, CHUNK)) == CHUNK:
                sent += CHUNK
            self.assertEqual(done, WANT_WRITE)
            received = 0
            ended = 0
            for _ in range(10_000):
                piece = attempt(lambda peer=peer: peer.recv(CHUNK))  # type: ignore[misc]
                received += len(piece) if isinstance(piece, bytes) else 0
                if done != CHUNK:
                    done = channel.write(data, CHUNK)
                elif (ended := channel.shutdown_write()) == 0:
                    break
            self.assertEqual((done, ended), (CHUNK, 0))
            with contextlib.suppress(SSL.ZeroReturnError):
                while True:
                    received += len(peer.recv(CHUNK))
            self.assertEqual(received, sent + CHUNK)

    def test_garbage(self) -> None:
        """Bytes that are no TLS are the peer's violation; then RST would eat our alert."""
        for channel, peer in self.pairs():
            raw = raw_socket(peer)
            raw.send(b"GET /")
            error = self.assertRaises(ProtocolViolation, channel.read)
            self.assertTrue(str(error).startswith("SSL_read: error:"), error)
            channel.close(reset=True)
            self.assertNotEqual(raw.recv(1000), b"", "the alert")
            self.assertEqual(raw.recv(1), b"", "a FIN and no RST")

    def test_reset(self) -> None:
        """A reset by the peer is its going away, in the system's words."""
        for channel, peer in self.pairs():
            raw_socket(peer).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            raw_socket(peer).close()
            error = self.assertRaises(PeerClosed, channel.read)
            self.assertEqual(str(error), "SSL_read: Connection reset by peer (104)")

    def test_close(self) -> None:
        """An ordinary close is a FIN, one with *reset* a RST."""
        for reset, wanted in ((False, 0), (True, errno.ECONNRESET)):
            for channel, peer in self.pairs():
                channel.close(reset=reset)
                self.assertEqual(_end_of(raw_socket(peer)), wanted)
