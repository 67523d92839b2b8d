"""Tests of stunnel_tx.tls.binding.certificate_choice."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError
from stunnel_tx.tls.binding import certificate_choice
from stunnel_tx.tls.binding.certificate_choice import authority_names, when_asked
from tests.doubles.certificates import self_signed
from tests.doubles.tls_pairs import shake, tcp_pair


class WhenAskedTests(SynchronousTestCase):
    """The callback in a real handshake."""

    def setUp(self) -> None:
        issued = self_signed("server")
        self.authority = self_signed("wanted", ca=True).cert
        self.server = SSL.Context(SSL.TLS_SERVER_METHOD)
        self.server.use_certificate(issued.cert)
        self.server.use_privatekey(issued.key)
        self.client = SSL.Context(SSL.TLS_CLIENT_METHOD)

    def meet(self) -> tuple[SSL.Connection, SSL.Connection]:
        """A handshake; server, client."""
        near, far = tcp_pair()
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        server, client = SSL.Connection(self.server, near), SSL.Connection(self.client, far)
        server.set_accept_state()
        client.set_connect_state()
        shake(client, server)
        return server, client

    def test_asked(self) -> None:
        """The callback gets the connection, which knows the names of the authorities."""
        self.server.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        self.server.add_client_ca(self.authority)
        seen: list[tuple[SSL.Connection, frozenset[bytes]]] = []
        when_asked(self.client, lambda each: seen.append((each, authority_names(each))))
        _, client = self.meet()
        self.assertEqual(seen, [(client, frozenset([self.authority.subject.public_bytes()]))])

    def test_not_asked(self) -> None:
        """Nothing is called when the server does not ask."""
        seen: list[SSL.Connection] = []
        when_asked(self.client, seen.append)
        self.meet()
        self.assertEqual(seen, [])

    def test_failure(self) -> None:
        """A callback that raises fails the handshake, and nothing else."""
        self.server.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        seen: list[SSL.Connection] = []

        def broken(connection: SSL.Connection) -> None:
            seen.append(connection)
            raise RuntimeError("no")

        when_asked(self.client, broken)
        self.assertRaises(SSL.Error, self.meet)
        self.assertEqual(len(seen), 1)

    def test_not_available(self) -> None:
        """Where the binding has moved, the operator is told at start."""
        self.patch(certificate_choice, "private_library", lambda: None)
        error = self.assertRaises(OperatingError, when_asked, self.client, lambda _: None)
        self.assertIn("cannot choose among client certificates", str(error))
