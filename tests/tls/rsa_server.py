"""A server with an RSA certificate, so that every kind of cipher can be had."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.policy import Role, TLSPolicy
from tests.doubles.certificates import Authority
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from stunnel_tx.tls.handshake import TLSContext


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    """An RSA key, made once: it takes long."""
    return rsa.generate_private_key(65537, 2048)


class RSAServerTestCase(SynchronousTestCase):
    """A server with an RSA certificate, so that every kind of cipher can be had."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.log = Recording()
        self.root = Authority("Root")
        self.issued = self.root.issue("server", ["a.example"], key=rsa_key())
        self.cert = Path(self.issued.pem(self.directory / "server.pem"))

    def server(self, **values: Any) -> TLSContext:
        """A server's context."""
        return self.build(TLSPolicy("s", Role.SERVER, (str(self.cert),), **values))

    def build(self, policy: TLSPolicy) -> TLSContext:
        """A context, logging into the recording."""
        return build_context(policy, self.log.scope, lambda _prompt: None)

    def meet(self, server: TLSContext, **client: Any) -> Meeting:
        """A handshake with a client of the given settings."""
        meeting = Meeting(server, self.build(TLSPolicy("c", Role.CLIENT, **client)))
        self.addCleanup(meeting.close)
        return meeting.shake()

    def cipher(self, meeting: Meeting) -> str:
        """The cipher of an accepted handshake."""
        self.assertTrue(meeting.accepted, (meeting.server.refusal, meeting.client.refusal))
        return meeting.client.context.facts(meeting.client.connection).cipher
