"""A TCP FIN without close_notify is logged, and with requireCloseNotify it becomes a reset."""

from __future__ import annotations

import time

from tests.doubles.backends import AnswersAfterTheEnd, Overheard
from tests.doubles.real_programs import PATIENCE
from tests.doubles.wire import (
    TLS_1_2,
    TLS_1_3,
    TLSEnd,
    client_context,
    dial,
    exchange,
    read_to_end,
    server_context,
)
from tests.interop.stage import Stage, port_of

TRUNCATED = r"LOG4\[0\]: TLS socket closed \(SSL_read\): the peer sent no close_notify"
ORDERLY = r"LOG6\[0\]: TLS closed \(SSL_read\)"


class ServerModeTests(Stage):
    """A TLS client ends its request, well or badly."""

    def check(self, version: int, *, goodbye: bool) -> None:
        """The request ends with close_notify or without; the answer comes either way."""
        late = AnswersAfterTheEnd(b"answer" * 100_000)
        server = self.server_mode(self.backend(late).port)
        with TLSEnd.dial(port_of(server, "server"), client_context(version)) as end:
            end.send(b"question")
            if goodbye:
                end.say_goodbye()
            else:
                end.cut()
            self.assertTrue(late.heard.wait(PATIENCE))
            self.assertEqual(late.request, b"question")
            late.allowed.set()
            self.assertEqual(end.receive_to_end(), late.answer)
        server.said(r"Connection closed: 600000 byte\(s\) sent to TLS, 8 byte\(s\) sent to socket$")
        self.assertEqual(len(server.matches(TRUNCATED)), 0 if goodbye else 1)
        self.assertEqual(len(server.matches(ORDERLY)), 1 if goodbye else 0)

    def test_cut(self) -> None:
        """FIN without close_notify is logged, and the half-closed client gets its answer."""
        for version in (TLS_1_2, TLS_1_3):
            self.check(version, goodbye=False)

    def test_orderly(self) -> None:
        """close_notify is an orderly end, and the half-closed client gets its answer."""
        for version in (TLS_1_2, TLS_1_3):
            self.check(version, goodbye=True)

    def check_required(self, *, goodbye: bool) -> Overheard:
        """The same with ``requireCloseNotify = yes``; what the backend has seen."""
        seen = Overheard()
        server = self.server_mode(self.backend(seen).port, "requireCloseNotify = yes\n")
        with TLSEnd.dial(port_of(server, "server"), client_context()) as end:
            end.send(b"half a quest")
            server.said("connected remote server")
            if goodbye:
                end.say_goodbye()
            else:
                end.cut()
            self.assertTrue(seen.ended.wait(PATIENCE))
        server.said(r"LOG5\[0\]: Connection ")
        self.assertEqual(len(server.matches("requireCloseNotify: sending reset")), not goodbye)
        return seen

    def test_required_and_missing(self) -> None:
        """The backend's connection is reset: it cannot take the request for a whole one."""
        self.assertTrue(self.check_required(goodbye=False).reset)

    def test_required_and_there(self) -> None:
        """With close_notify nothing is different."""
        seen = self.check_required(goodbye=True)
        self.assertFalse(seen.reset)
        self.assertEqual(seen.data, b"half a quest")


class ClientModeTests(Stage):
    """A TLS server ends its answer, well or badly."""

    def answering(self, *, goodbye: bool) -> int:
        """The port of a server that answers one request; close_notify or not is the question."""
        context = server_context(self.papers.server)

        def talk(end: TLSEnd) -> None:
            end.receive()
            end.send(b"an answer")
            if goodbye:
                end.say_goodbye()
            else:
                # The client has to be able to read all of it before the connection goes.
                end.cut()
            end.receive_to_end()

        return self.tls_backend(talk, context).port

    def test_cut(self) -> None:
        """What was sent before the FIN reaches the plain client, and the log tells."""
        client = self.client_mode(self.answering(goodbye=False))
        with dial(port_of(client, "client")) as sock:
            sock.sendall(b"question")
            self.assertEqual(read_to_end(sock), b"an answer")
        client.said("Connection closed: 8 ")
        self.assertEqual(len(client.matches(TRUNCATED)), 1)

    def test_orderly(self) -> None:
        """After close_notify the log has nothing to tell."""
        client = self.client_mode(self.answering(goodbye=True))
        with dial(port_of(client, "client")) as sock:
            sock.sendall(b"question")
            self.assertEqual(read_to_end(sock), b"an answer")
        client.said("Connection closed: 8 ")
        self.assertEqual(len(client.matches(TRUNCATED)), 0)
        self.assertEqual(len(client.matches(ORDERLY)), 1)

    def test_required_and_missing(self) -> None:
        """With requireCloseNotify the plain client is reset, and cannot believe it has it all."""
        port = self.answering(goodbye=False)
        client = self.client_mode(port, "requireCloseNotify = yes\n")
        with dial(port_of(client, "client")) as sock:
            sock.sendall(b"question")
            self.assertRaises(ConnectionResetError, read_to_end, sock)
        client.said("requireCloseNotify: sending reset to the other side")
        client.said("Connection reset|Connection closed/reset|Connection reset/closed")

    def test_required_and_there(self) -> None:
        """With close_notify requireCloseNotify changes nothing."""
        port = self.answering(goodbye=True)
        client = self.client_mode(port, "requireCloseNotify = yes\n")
        with dial(port_of(client, "client")) as sock:
            sock.sendall(b"question")
            self.assertEqual(read_to_end(sock), b"an answer")
        client.said("Connection closed: 8 ")


class TailTests(Stage):
    """A backend that closes right behind its last byte, and a half-closed client."""

    def test_whole_answer(self) -> None:
        """An answer of 8 MB arrives to its last byte, each of ten times."""
        answer = b"tail" * 2_000_000
        for _ in range(2):
            late = AnswersAfterTheEnd(answer)
            late.allowed.set()
            near, far = self.pair(self.backend(late).port)
            for _ in range(5):
                self.assertEqual(exchange(port_of(near, "client"), b"question"), answer)
            for program in (near, far):
                program.said("Connection closed: ", 5)


class PatienceTests(Stage):
    """A half-closed connection whose answer takes longer than TIMEOUTclose."""

    def check(self, role: str) -> None:
        """Where stunnel cuts it after TIMEOUTclose and loses the answer, we wait for it."""
        late = AnswersAfterTheEnd(b"late answer")
        backend = self.backend(late)
        near, far = self.pair(backend.port, "TIMEOUTclose = 1\n")
        if role == "client":
            near = self.client_mode(port_of(far, "server"), "TIMEOUTclose = 1\n")
        with dial(port_of(near, "client")) as sock:
            sock.sendall(b"question")
            sock.shutdown(1)
            self.assertTrue(late.heard.wait(PATIENCE))
            # Longer than TIMEOUTclose and the tolerance of the timers.
            time.sleep(2.0)
            late.allowed.set()
            self.assertEqual(read_to_end(sock), b"late answer")

    def test_server(self) -> None:
        """Server mode waits for the answer of its backend."""
        self.check("server")

    def test_client(self) -> None:
        """Client mode waits for the answer of the TLS server."""
        self.check("client")

    def test_client_that_never_ends(self) -> None:
        """After the answer's end a client that keeps its side open is cut by TIMEOUTclose."""
        backend = self.backend(lambda sock: sock.sendall(b"answer"))
        server = self.server_mode(backend.port, "TIMEOUTclose = 1\n")
        begun = time.monotonic()
        with TLSEnd.dial(port_of(server, "server"), client_context()) as end:
            self.assertEqual(end.receive_to_end(), b"answer")
            # Nothing is said any more: the next thing to come is the end of the connection.
            self.assertEqual(end.socket.recv(1), b"")
        self.assertGreaterEqual(time.monotonic() - begun, 0.9)
        server.said(r"LOG3\[0\]: transfer_tcp: s_poll_wait: TIMEOUTclose exceeded: closing$")
        server.said("Connection closed: 6 ")
