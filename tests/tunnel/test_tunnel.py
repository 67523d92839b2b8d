"""Tests of one connection's way, on real sockets, in both modes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from attrs import evolve
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.negotiation.stages import Stages
from stunnel_tx.telemetry.levels import NOTICE
from stunnel_tx.tunnel.destination import SocketAddress
from stunnel_tx.tunnel.dialogues import NegotiationPolicy
from tests.doubles.private_reactor import open_descriptors
from tests.doubles.relayed import ScriptedPeer
from tests.doubles.tls_pairs import TLS_1_2, TLS_1_3
from tests.doubles.tunnels import BUSY, CONNECT, PEER, TunnelRig, tls_context
from tests.tls.test_client_hello import real_hello

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation

RESET = b"\x01\0\0\0\0\0\0\0"


def end_of(sock: socket.socket) -> str:
    """How a socket that has nothing to read any more has ended: "fin", "reset" or "open"."""
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        return "open"
    except OSError:
        return "reset"
    return "fin"


class TunnelTestCase(SynchronousTestCase):
    """Rigs that are taken down at the end of the test; no descriptor may be left."""

    def setUp(self) -> None:
        for client in (False, True):
            tls_context(client=client)
        self.before = open_descriptors()
        self.rigs: list[TunnelRig] = []

    def tearDown(self) -> None:
        for rig in self.rigs:
            rig.close()
            self.assertEqual((rig.loop.interest, rig.runtime.counters.active), ({}, 0))
            self.assertNotIn("Internal error", " ".join(rig.log.texts))
        self.assertEqual(open_descriptors(), self.before)

    def rig(self, *, client: bool = False, verify: bool = False, reset: bool = True) -> TunnelRig:
        """A rig of either mode."""
        made = TunnelRig(client=client, verify=verify, reset=reset)
        self.rigs.append(made)
        return made


class WayTests(TunnelTestCase):
    """From accept to close."""

    def test_both_modes_and_versions(self) -> None:
        """Question, half-close, answer, end: lines, counters and bytes are right."""
        for client in (False, True):
            for version in (TLS_1_2, TLS_1_3):
                rig = self.rig(client=client)
                tunnel, user, backend = rig.join(version)
                self.assertEqual(rig.runtime.tunnels, {tunnel})
                user.send(b"question")
                user.finish()
                rig.until(lambda: backend.end, user, backend)  # noqa: B023 - called at once
                self.assertEqual(tunnel.moved, (8, 0) if client else (0, 8))
                backend.send(b"the answer")
                backend.finish()
                rig.until(rig.over, user, backend)
                user.pump()
                self.assertEqual(bytes(backend.received), b"question")
                self.assertEqual(bytes(user.received), b"the answer")
                counters = rig.runtime.counters.snapshot()
                to_tls, to_socket = (8, 10) if client else (10, 8)
                self.assertEqual(
                    (counters.bytes_to_tls, counters.bytes_to_socket, counters.accepted),
                    (to_tls, to_socket, 1),
                )
                last = f"{to_tls} byte(s) sent to TLS, {to_socket} byte(s) sent to socket"
                self.assertIn(f"Connection closed: {last}", rig.log.texts)
                self.assertEqual(rig.log.texts[-1], "Service [test] finished (0 left)")
                self.assertEqual(rig.errors(), [])

    def test_first_lines(self) -> None:
        """The lines that scripts look for, in their order, with the connection's id."""
        rig = self.rig()
        rig.join()
        texts = rig.log.texts
        wanted = [
            "Service [test] started",
            f"Service [test] accepted connection from {PEER}",
            "TLS accepted: new session negotiated",
        ]
        self.assertEqual([text for text in texts if text in wanted], wanted)
        connected = [text for text in texts if "connected remote server from 127.0.0.1:" in text]
        self.assertEqual(len(connected), 1)
        self.assertEqual({ident for _, ident, _ in rig.log.lines}, {"0"})

    def test_data_with_the_last_flight(self) -> None:
        """What a client sends before the backend is connected is not lost."""
        rig = self.rig()
        _, far = rig.arrive()
        user = rig.shake(far, accept=False)
        user.send(b"hasty")
        user.finish()
        backend = ScriptedPeer(rig.accepted())
        rig.until(lambda: backend.end, user, backend)
        self.assertEqual(bytes(backend.received), b"hasty")

    def test_established_is_told(self) -> None:
        """Somebody who asked is told of each tunnel that begins to relay."""
        rig = self.rig()
        told: list[object] = []
        rig.runtime.established = told.append
        tunnel, _, _ = rig.join()
        self.assertEqual(told, [tunnel])

    def test_uses(self) -> None:
        """A tunnel knows its own two descriptors."""
        rig = self.rig()
        tunnel, user, _ = rig.join()
        assert tunnel.remote_socket is not None
        self.assertTrue(tunnel.uses(tunnel.remote_socket.fileno()))
        self.assertFalse(tunnel.uses(user.socket.fileno()))


class BadClientTests(TunnelTestCase):
    """Clients that do not play by the rules: one line each, and the end."""

    def fails(self, rig: TunnelRig, wanted: str, kind: str) -> None:
        """The tunnel ends with one line that contains *wanted*, counted as *kind*.

        It is the only one at the default level, between those of the beginning and the end.
        """
        rig.until(rig.over)
        seen = [text for level, _, text in rig.log.lines if level <= NOTICE]
        self.assertEqual(len(seen), 3, seen)
        self.assertIn(wanted, seen[1])
        self.assertEqual(rig.runtime.counters.handshake_failures, {kind: 1})
        self.assertIn(
            "Connection reset: 0 byte(s) sent to TLS, 0 byte(s) sent to socket", rig.log.texts
        )

    def test_garbage(self) -> None:
        """Something that is no TLS."""
        rig = self.rig()
        _, far = rig.arrive()
        far.send(b"GET / HTTP/1.0\r\n\r\n")
        self.fails(rig, "SSL_accept: ", "hello")
        self.assertEqual(len(rig.errors()), 1)

    def test_half_a_hello(self) -> None:
        """Half a ClientHello and a FIN."""
        rig = self.rig()
        _, far = rig.arrive()
        far.send(real_hello()[:50])
        rig.loop.settle()
        far.shutdown(socket.SHUT_WR)
        self.fails(rig, "SSL_accept: Peer suddenly disconnected", "hello")

    def test_gone_at_once(self) -> None:
        """A client that connects and goes away, or is gone in the middle of the handshake."""
        rig = self.rig()
        _, far = rig.arrive()
        far.close()
        self.fails(rig, "SSL_accept: Peer suddenly disconnected", "hello")
        rig = self.rig()
        _, far = rig.arrive()
        far.send(real_hello())
        rig.loop.settle()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        far.close()
        self.fails(rig, "SSL_accept: ", "tls")

    def test_silence(self) -> None:
        """A client that says nothing is cut off after TIMEOUTbusy."""
        rig = self.rig()
        _, far = rig.arrive()
        rig.loop.settle()
        rig.clock.advance(BUSY - 1)
        self.assertFalse(rig.over())
        rig.clock.advance(BUSY / 32)
        self.fails(rig, "TIMEOUTbusy exceeded: sending reset", "timeout")
        self.assertEqual(end_of(far), "reset")

    def test_drip(self) -> None:
        """A client that drips its hello or its handshake meets one absolute deadline."""
        for whole in (b"", real_hello()):
            rig = self.rig()
            _, far = rig.arrive()
            far.send(whole)
            rig.loop.settle()
            stream = b"\x17\x03\x03\x40\x00" + bytes(1000) if whole else real_hello()
            for at in range(40):
                far.send(stream[at : at + 1])
                rig.loop.settle()
                self.assertFalse(rig.over(), at)
                rig.clock.advance(BUSY / 41)
            rig.clock.advance(BUSY / 10)
            self.fails(rig, "TIMEOUTbusy exceeded: sending reset", "timeout")

    def test_no_common_version(self) -> None:
        """A failed handshake is told to the client by an alert that no RST overtakes."""
        rig = self.rig()
        _, far = rig.arrive()
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(TLS_1_2)
        context.set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256")
        connection = SSL.Connection(context, far)
        connection.set_connect_state()
        self.assertRaises(SSL.WantReadError, connection.do_handshake)
        self.fails(rig, "SSL_accept: error:", "tls")
        error = self.assertRaises(SSL.Error, connection.do_handshake)
        self.assertIn("handshake failure", str(error))

    def test_next_client_is_served(self) -> None:
        """After each of these the next client gets its tunnel."""
        rig = self.rig()
        _, far = rig.arrive()
        far.send(b"garbage, and nothing but garbage")
        rig.until(rig.over)
        _, user, backend = rig.join()
        user.send(b"fine")
        rig.until(lambda: backend.received, user, backend)


class BadBackendTests(TunnelTestCase):
    """Backends that refuse, hang, or are not who they should be."""

    def test_refused(self) -> None:
        """A refused connection resets the accepted one; the reason is in the log."""
        for client in (False, True):
            rig = self.rig(client=client)
            rig.backend.close()
            _, far = rig.arrive()
            if not client:
                rig.shake(far, accept=False)
            rig.until(rig.over)
            self.assertEqual(end_of(far), "reset")
            self.assertEqual(len(rig.errors()), 1, rig.errors())
            self.assertRegex(rig.errors()[0], "^s_connect: connect .*refused")

    def test_hanging(self) -> None:
        """A backend that does not answer is given up after TIMEOUTconnect."""
        rig = self.rig(client=True)
        full = socket.socket()
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        rig.open += [full, *fillers]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        object.__setattr__(
            rig.policy, "destination", rig.towards(SocketAddress(2, full.getsockname()))
        )
        rig.arrive()
        rig.clock.advance(CONNECT - 1)
        self.assertFalse(rig.over())
        rig.clock.advance(1.5)
        self.assertTrue(rig.over())
        self.assertIn("TIMEOUTconnect exceeded", rig.errors()[0])

    def test_not_tls(self) -> None:
        """A backend that does not speak TLS is one line in a client service."""
        rig = self.rig(client=True)
        _, far = rig.arrive()
        rig.accepted().send(b"220 smtp.example ready\r\n")
        rig.until(rig.over)
        self.assertEqual(len(rig.errors()), 1)
        self.assertIn("SSL_connect: error:", rig.errors()[0])
        self.assertEqual(end_of(far), "reset")

    def test_unknown_issuer(self) -> None:
        """A certificate that is not trusted ends the tunnel before a byte is forwarded."""
        rig = self.rig(client=True, verify=True)
        _, far = rig.arrive()
        far.send(b"secret")
        backend = rig.accepted()
        self.assertRaises(SSL.Error, rig.shake, backend, accept=True)
        rig.until(rig.over)
        self.assertEqual(end_of(far), "reset")
        self.assertIn("certificate verify failed", " ".join(rig.errors()))

    def test_silent_server(self) -> None:
        """A server that accepts and says nothing meets TIMEOUTbusy."""
        rig = self.rig(client=True)
        rig.arrive()
        rig.accepted()
        rig.loop.settle()
        rig.clock.advance(BUSY * 1.04)
        self.assertTrue(rig.over())
        self.assertEqual(rig.runtime.counters.handshake_failures, {"timeout": 1})


class EndTests(TunnelTestCase):
    """Ends from outside and by failure."""

    def test_abort_at_any_moment(self) -> None:
        """When the program stops, tunnels in every stage end, without RST."""
        rig = self.rig()
        silent = rig.arrive()[1]
        halfway = rig.arrive()[1]
        halfway.send(real_hello())
        rig.loop.settle()
        _, user, backend = rig.join()
        for tunnel in list(rig.runtime.tunnels):
            tunnel.abort()
            tunnel.abort()
        self.assertTrue(rig.over())
        user.pump()
        backend.pump()
        self.assertEqual([end_of(silent), user.end, backend.end], ["fin", "fin", "fin"])

    def test_reset_is_off(self) -> None:
        """With ``reset = no`` a failed set-up ends with a FIN."""
        rig = self.rig(reset=False)
        _, far = rig.arrive()
        rig.clock.advance(BUSY * 1.04)
        self.assertEqual(end_of(far), "fin")

    def test_peer_breaks_later(self) -> None:
        """A reset in the relay is one error line and the word in the closing line."""
        rig = self.rig()
        _, user, backend = rig.join()
        backend.reset()
        rig.until(rig.over)
        user.pump()
        self.assertEqual(user.end, "reset")
        self.assertEqual(
            rig.errors(), [f"readsocket: Connection reset by peer (104): client {PEER}"]
        )
        self.assertIn(
            "Connection reset: 0 byte(s) sent to TLS, 0 byte(s) sent to socket", rig.log.texts
        )

    def test_policy_is_kept(self) -> None:
        """A tunnel keeps the policy it was made with."""
        rig = self.rig()
        tunnel, _, _ = rig.join()
        self.assertIs(tunnel.policy, rig.policy)


class FaultTests(SynchronousTestCase):
    """Bugs of protocols, which may be those of plugins."""

    def test_refusal_with_a_bug(self) -> None:
        """What goes wrong while a client is refused does not hide why it was refused."""

        async def listen(conversation: Conversation) -> None:
            await conversation.local.read_line()

        async def refuse(_conversation: Conversation, _error: Exception) -> None:
            raise ZeroDivisionError

        rig = TunnelRig()
        self.addCleanup(rig.close)
        rig.policy = evolve(
            rig.policy, negotiation=NegotiationPolicy(Stages(listen, refuse=refuse))
        )
        _, far = rig.arrive()
        rig.clock.advance(BUSY * 1.04)
        far.close()
        self.assertTrue(rig.over())
        errors = rig.errors()
        self.assertEqual(len(errors), 2, errors)
        self.assertIn("TIMEOUTbusy exceeded", errors[0])
        self.assertIn("Internal error in a tunnel: ZeroDivisionError", errors[1])
