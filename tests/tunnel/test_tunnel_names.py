"""Tests of tunnels that go on as another service, and of sessions from one tunnel to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.policy import Role, TLSPolicy, TrustPolicy, VerificationPolicy
from stunnel_tx.tunnel.destination import SocketAddress
from stunnel_tx.tunnel.naming import NameRule, NameTable
from tests.doubles.recording import Recording
from tests.doubles.tls_pairs import TLS_1_2, TLS_1_3, contexts, tcp_pair
from tests.doubles.tunnels import BUSY, TunnelRig, certificate_file

if TYPE_CHECKING:
    import socket

    from tests.doubles.relayed import ScriptedPeer


class RigTestCase(SynchronousTestCase):
    """A rig that is closed in the end."""

    def rig(self, *, client: bool = False) -> TunnelRig:
        """A new one."""
        rig = TunnelRig(client=client)
        self.addCleanup(rig.close)
        return rig


class NameTests(RigTestCase):
    """A tunnel of one service becomes one of another."""

    def hello(self, far: socket.socket, name: bytes) -> SSL.Connection:
        """A client that asks for *name* on *far*; its hello is sent."""
        connection = SSL.Connection(contexts(TLS_1_3)[1], far)
        connection.set_connect_state()
        connection.set_tlsext_host_name(name)
        self.assertRaises(SSL.WantReadError, connection.do_handshake)
        return connection

    def named(self, rig: TunnelRig, **changes: Any) -> None:
        """Let the rig's service be left for ``other`` by clients that ask for that name."""
        other = evolve(rig.policy, name="other", **changes)
        rig.policy = evolve(rig.policy, names=NameTable([NameRule("other", other)]))

    def test_time_out(self) -> None:
        """The handshake has the time that the service chosen by name gives it."""
        for busy in (BUSY / 4, BUSY * 4, BUSY):
            rig = self.rig()
            self.named(rig, busy=busy)
            _, far = rig.arrive()
            self.hello(far, b"other")
            rig.loop.settle()
            rig.clock.advance(busy * 0.96)
            self.assertFalse(rig.over(), busy)
            rig.clock.advance(busy * 0.1)
            self.assertTrue(rig.over(), busy)

    def test_log(self) -> None:
        """The id stays; the lines after the switch are those of the other service."""
        rig = self.rig()
        self.named(rig, threshold=3)
        tunnel, far = rig.arrive()
        self.hello(far, b"other")
        rig.loop.settle()
        self.assertEqual(tunnel.policy.name, "other")
        rig.clock.advance(BUSY * 1.1)
        self.assertEqual({ident for _, ident, _ in rig.log.lines}, {"0"})
        self.assertEqual(rig.log.texts[-1], "SNI: switched to service [other]")

    def test_refusal_ends_in_good_order(self) -> None:
        """The alert is followed by FIN, whatever else the client has sent meanwhile."""
        rig = self.rig()
        rig.policy = evolve(rig.policy, names=NameTable(refuse_unknown=True))
        _, far = rig.arrive()
        connection = self.hello(far, b"stranger")
        rig.until(rig.over)
        error = self.assertRaises(SSL.Error, connection.do_handshake)
        self.assertIn("unrecognized name", str(error))
        self.assertEqual(far.recv(1), b"")


class RedirectTests(RigTestCase):
    """Peers that are not authenticated."""

    def test_too_late(self) -> None:
        """A peer that failed is never joined to what was connected before its verdict."""
        rig = self.rig()
        policy = TLSPolicy(
            *("test", Role.SERVER, (certificate_file(),)),
            trust=TrustPolicy(certificate_file()),
            verification=VerificationPolicy(request=True, require=True, chain=True),
            redirect=True,
        )
        tls = build_context(policy, Recording().scope, lambda _prompt: None)
        rig.policy = evolve(rig.policy, tls=tls, redirect=rig.destination)
        tunnel, far = rig.arrive()
        near, other = tcp_pair()
        rig.open += [near, other]
        tunnel._remote = near
        rig.shake(far, accept=False)
        rig.until(rig.over)
        self.assertIn("too late to redirect", " ".join(rig.errors()))
        self.assertRaises(BlockingIOError, rig.backend.accept)


class ServerSessionTests(RigTestCase):
    """Sessions of a server outlive what becomes of their connections."""

    def test_backend_down(self) -> None:
        """A handshake whose backend cannot be reached leaves a session that can be resumed."""
        for version in (TLS_1_2, TLS_1_3):
            rig = self.rig()
            policy = TLSPolicy(
                "test", Role.SERVER, (certificate_file(),), options_set=SSL.OP_NO_TICKET
            )
            tls = build_context(policy, Recording().scope, lambda _prompt: None)
            rig.policy = evolve(rig.policy, tls=tls)
            rig.backend.close()
            session = None
            for _ in range(2):
                _, far = rig.arrive()
                connection = SSL.Connection(contexts(version)[1], far)
                connection.set_connect_state()
                if session is not None:
                    connection.set_session(session)
                self.finish(rig, connection)
                session = connection.get_session()
                connection.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)
            self.assertIn("TLS accepted: previous session reused", rig.log.texts, version)
            self.assertEqual(rig.runtime.counters.resumed, 1, version)

    def finish(self, rig: TunnelRig, connection: SSL.Connection) -> None:
        """Shake hands and read until the tunnel is over."""

        def step() -> bool:
            try:
                connection.do_handshake()
                connection.recv(1)
            except SSL.WantReadError:
                return False
            except SSL.Error:
                return True
            return False

        rig.until(lambda: step() or rig.over())


class ClientSessionTests(RigTestCase):
    """A client service resumes what its last connection was given."""

    def client(self, *, resume: bool = True) -> TunnelRig:
        """A client service with a context of its own."""
        rig = self.rig(client=True)
        policy = TLSPolicy("test", Role.CLIENT, session_resume=resume)
        tls = build_context(policy, Recording().scope, lambda _prompt: None)
        rig.policy = evolve(rig.policy, tls=tls)
        return rig

    def visit(self, rig: TunnelRig, version: int) -> tuple[ScriptedPeer, ScriptedPeer]:
        """One tunnel; its user has got a byte of the server."""
        _, user, backend = rig.join(version)
        backend.send(b"!")
        rig.until(lambda: user.received, user, backend)
        return user, backend

    def reused(self, rig: TunnelRig) -> int:
        """How many connections have resumed a session, by the log and by the counter."""
        logged = rig.log.texts.count("TLS connected: previous session reused")
        self.assertEqual(rig.runtime.counters.resumed, logged)
        return logged

    def test_resumes(self) -> None:
        """The next connection resumes, after an orderly end, after a reset, and before any end."""
        for version in (TLS_1_2, TLS_1_3):
            for end in ("orderly", "reset", "none"):
                rig = self.client()
                user, backend = self.visit(rig, version)
                if end == "orderly":
                    backend.finish()
                    user.finish()
                    rig.until(rig.over, user, backend)
                elif end == "reset":
                    user.reset()
                    rig.until(rig.over)
                self.visit(rig, version)
                self.assertEqual(self.reused(rig), 1, (version, end))
                self.visit(rig, version)
                self.assertEqual(self.reused(rig), 2, (version, end))

    def test_off(self) -> None:
        """With sessionResume = no every handshake is a full one."""
        rig = self.client(resume=False)
        for _ in range(2):
            self.visit(rig, TLS_1_3)
        self.assertEqual(self.reused(rig), 0)

    def test_several_targets(self) -> None:
        """Each of several targets is known by its address, a single one by the service."""
        rig = self.client()
        address = SocketAddress(2, rig.backend.getsockname())
        self.visit(rig, TLS_1_3)
        sessions = rig.policy.tls.sessions
        assert sessions is not None
        self.assertEqual(list(sessions._newest), [""])
        rig.policy = evolve(rig.policy, destination=rig.towards(address, address))
        self.visit(rig, TLS_1_3)
        self.assertIn(str(address), sessions._newest)
