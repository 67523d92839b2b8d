"""Tests of stunnel_tx.tls.resumption."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.binding.contexts import session_reused, set_session_scope
from stunnel_tx.tls.binding.sessions import session_id
from stunnel_tx.tls.resumption import AcceptedPeers, SessionCache
from stunnel_tx.tls.session_periods import TrustEnds
from tests.doubles.recording import Recording
from tests.doubles.tls_pairs import TLS_1_2, TLS_1_3, raw_socket, shake, tcp_pair
from tests.doubles.tls_pairs import contexts as pair_contexts

if TYPE_CHECKING:
    from collections.abc import Callable

BOTH = SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN


class Time:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now


class SessionCacheTests(SynchronousTestCase):
    """The sessions of a client service, with real ones in it."""

    def setUp(self) -> None:
        self.time = Time()
        self.log = Recording()
        self.cache = SessionCache(300.0, self.time)

    def connect(
        self, target: str = "", version: int = TLS_1_3, *, accept: bool = True, data: bool = True
    ) -> tuple[SSL.Connection, Callable[[], None]]:
        """A connection that is up, its verdict in, and what ends it."""
        near, far = tcp_pair()
        server_context, client_context = pair_contexts(version)
        server = SSL.Connection(server_context, near)
        client = SSL.Connection(client_context, far)
        server.set_accept_state()
        client.set_connect_state()
        self.cache.offer(client, target, self.log.scope)
        shake(client, server)
        if accept:
            self.cache.accepted(client)
        if data:
            server.send(b"!")
            client.recv(1)

        def end() -> None:
            for each in (client, server):
                each.set_shutdown(BOTH)
            self.cache.release(client)
            for each in (client, server):
                raw_socket(each).close()

        self.addCleanup(near.close)
        self.addCleanup(far.close)
        return client, end

    def resumes(self, target: str = "", version: int = TLS_1_3) -> bool:
        """Whether a further connection resumes."""
        before = len(self.log.texts)
        client, end = self.connect(target, version, accept=False, data=False)
        tried = len(self.log.texts) > before
        reused = bool(session_reused(client))
        end()
        self.assertEqual(reused, tried)
        return reused

    def test_next_connection_resumes(self) -> None:
        """What one connection was given, the next one uses, also more than once."""
        for version in (TLS_1_2, TLS_1_3):
            self.cache = SessionCache(300.0, self.time)
            self.assertFalse(self.resumes(version=version))
            _, end = self.connect(version=version)
            end()
            self.assertTrue(self.resumes(version=version))
            self.assertTrue(self.resumes(version=version))

    def test_while_the_first_is_open(self) -> None:
        """A ticket that came late is found although its connection still stands."""
        first, end = self.connect(data=False)
        second, end_second = self.connect(data=False)
        self.assertEqual(self.log.texts, [], "no ticket has been read yet")
        end_second()
        end()
        first, end = self.connect()
        self.assertTrue(self.resumes())
        del first, second
        end()

    def test_no_data_no_session(self) -> None:
        """Without a ticket there is nothing to keep, and a good session is not replaced."""
        _, end = self.connect()
        end()
        _, end = self.connect(data=False)
        end()
        self.assertTrue(self.resumes())

    def test_rejected(self) -> None:
        """The session of a server that was turned down is not used again."""
        _, end = self.connect(accept=False)
        end()
        self.assertFalse(self.resumes())

    def test_targets(self) -> None:
        """Each target has its own session; one without is offered the last."""
        for target in ("a", "b"):
            _, end = self.connect(target)
            end()
        kept = {name: session_id(kept) for name, (_, kept) in self.cache._kept.items()}
        self.assertEqual(set(kept), {"a", "b"})
        for target, wanted in (("a", "a"), ("b", "b"), ("c", "b")):
            self.assertTrue(self.resumes(target))
            shown = (kept[wanted] or b"").hex().upper()
            self.assertEqual(self.log.texts[-1], f"Attempting to resume: {shown}")

    def test_expires(self) -> None:
        """A session is given up after its time."""
        _, end = self.connect()
        end()
        self.time.now += 300
        self.assertTrue(self.resumes())
        self.time.now += 1
        self.assertFalse(self.resumes())

    def test_counts_from_the_full_handshake(self) -> None:
        """Sessions out of resumed handshakes are as old as the first one."""
        for version in (TLS_1_2, TLS_1_3):
            self.cache = SessionCache(300.0, self.time)
            for age in (0, 100, 100, 100):
                self.time.now += age
                _, end = self.connect(version=version)
                end()
            self.time.now += 1
            self.assertFalse(self.resumes(version=version))

    def test_long_connections(self) -> None:
        """What counts is when a handshake began, not when its connection ended."""
        _, end = self.connect()
        self.time.now += 301
        end()
        self.assertFalse(self.resumes())

    def test_refused_session(self) -> None:
        """A full handshake in spite of a session that was offered starts anew."""
        _, end = self.connect()
        end()
        self.time.now += 299
        server_context, _ = pair_contexts(TLS_1_3)
        set_session_scope(server_context, b"another")
        self.addCleanup(set_session_scope, server_context, b"pair")
        client, end = self.connect()
        self.assertEqual(len(self.log.texts), 1, "a session was offered")
        self.assertFalse(session_reused(client))
        end()
        self.time.now += 300
        self.assertTrue(self.resumes())

    def test_end_of_trust(self) -> None:
        """When a trusted certificate ends, no session is offered that was made before."""
        day = Time()
        ends = TrustEnds([datetime.fromtimestamp(2000, UTC)], day)
        self.cache = SessionCache(300.0, self.time, ends=ends)
        _, end = self.connect("a")
        _, end_second = self.connect("b")
        end()
        self.assertTrue(self.resumes("a"))
        day.now, self.time.now = 2000.0, self.time.now + 1
        self.assertFalse(self.resumes("a"))
        end_second()
        self.assertFalse(self.resumes("b"))
        _, end = self.connect("b")
        end()
        self.assertTrue(self.resumes("b"))

    def test_bounded(self) -> None:
        """The target that was not renewed for the longest time goes first."""
        self.cache = SessionCache(300.0, self.time, size=2)
        for target in ("a", "b", "a", "c"):
            _, end = self.connect(target)
            end()
        self.assertEqual(list(self.cache._kept), ["a", "c"])


class AcceptedPeersTests(SynchronousTestCase):
    """The certificates a redirecting server has accepted."""

    def setUp(self) -> None:
        self.time = Time()
        self.peers = AcceptedPeers(300.0, self.time, size=2)

    def test_add_and_discard(self) -> None:
        """What was accepted is known until it is turned down."""
        self.assertNotIn(b"a", self.peers)
        self.peers.add(b"a")
        self.assertIn(b"a", self.peers)
        self.peers.discard(b"a")
        self.peers.discard(b"a")
        self.assertNotIn(b"a", self.peers)

    def test_expires(self) -> None:
        """Time counts from when the certificate was last seen."""
        self.peers.add(b"a")
        self.time.now += 200
        self.peers.add(b"a")
        self.time.now += 300
        self.assertIn(b"a", self.peers)
        self.time.now += 1
        self.assertNotIn(b"a", self.peers)

    def test_bounded(self) -> None:
        """The longest unseen is forgotten first."""
        for digest in (b"a", b"b", b"a", b"c"):
            self.peers.add(digest)
        self.assertEqual([each in self.peers for each in (b"a", b"b", b"c")], [True, False, True])
