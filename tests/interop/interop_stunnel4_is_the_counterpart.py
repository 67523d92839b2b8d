"""Our tunnels and stunnel's own work together, in either role."""

from __future__ import annotations

import hashlib
import os

from tests.doubles.backends import AnswersAfterTheEnd, echo
from tests.doubles.real_programs import PATIENCE
from tests.doubles.wire import dial, exchange, read_exactly, read_to_end
from tests.interop.stage import Stage, port_of

#: Enough for many records and many full socket buffers.
SIZE = 8 * 1024 * 1024


class CounterpartTests(Stage):
    """One side is ours, the other is stunnel4; a pair of two stunnel4 shows the test is right."""

    def check(self, client: str, server: str, more: str = "") -> None:
        """Echo, a large transfer, and an answer that comes long after the client's end."""
        backend = self.backend(echo)
        near, _ = self.pair(backend.port, more, client, server)
        port = port_of(near, "client")
        self.assertEqual(exchange(port, b"hello\n"), b"hello\n")
        self.assertEqual(exchange(port, b""), b"")

    def check_half_close(self, client: str, server: str) -> None:
        """The end of a request is passed on, and the whole answer still comes back."""
        answer = os.urandom(SIZE)
        # Before 5.82 stunnel may lose the end of an answer that is closed right behind it.
        late = AnswersAfterTheEnd(answer, stays=True)
        backend = self.backend(late)
        near, far = self.pair(backend.port, "", client, server)
        with dial(port_of(near, "client")) as sock:
            sock.sendall(b"question")
            sock.shutdown(1)
            self.assertTrue(late.heard.wait(PATIENCE))
            self.assertEqual(late.request, b"question")
            late.allowed.set()
            received = read_exactly(sock, SIZE)
            late.received.set()
            self.assertEqual(read_to_end(sock), b"")
        self.assertEqual(hashlib.sha256(received).digest(), hashlib.sha256(answer).digest())
        for program in (near, far):
            program.said("Connection closed: ")

    def test_both_are_stunnel4(self) -> None:
        """The test's own set-up works with nothing of ours in it."""
        self.check("stunnel4", "stunnel4")
        self.check_half_close("stunnel4", "stunnel4")

    def test_our_client(self) -> None:
        """Our client mode reaches stunnel4's server mode."""
        self.check("stunnel-tx", "stunnel4")
        self.check("stunnel-tx", "stunnel4", "sslVersion = TLSv1.2\n")

    def test_our_server(self) -> None:
        """stunnel4's client mode reaches our server mode."""
        self.check("stunnel4", "stunnel-tx")
        self.check("stunnel4", "stunnel-tx", "sslVersion = TLSv1.2\n")

    def test_our_client_half_closes(self) -> None:
        """A half-closed request through our client mode gets its late answer from stunnel4."""
        self.check_half_close("stunnel-tx", "stunnel4")

    def test_our_server_half_closes(self) -> None:
        """A half-closed request through stunnel4 gets its late answer from our server mode."""
        self.check_half_close("stunnel4", "stunnel-tx")

    def test_resumption(self) -> None:
        """A session of our server is resumed by stunnel4's client, and the other way round."""
        for client, server in (("stunnel4", "stunnel-tx"), ("stunnel-tx", "stunnel4")):
            backend = self.backend(echo)
            near, far = self.pair(backend.port, "", client, server)
            port = port_of(near, "client")
            for _ in range(3):
                self.assertEqual(exchange(port, b"again\n"), b"again\n")
            if client == "stunnel4":
                far.said("TLS accepted: previous session reused", count=2)
