"""Tests of stunnel_tx.tls.client_identities, on real handshakes."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.client_identities import choose
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.errors import ContextRefused
from stunnel_tx.tls.policy import Role, TLSPolicy, TrustPolicy, VerificationPolicy
from tests.doubles.certificates import PEM, Authority
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording
from tests.tls.peers import TLS_1_2, TLS_1_3

if TYPE_CHECKING:
    from OpenSSL import SSL

    from stunnel_tx.tls.handshake import TLSContext


class ChooseTests(SynchronousTestCase):
    """The choice on plain values."""

    def test_first_match(self) -> None:
        """The first identity with an issuer that is wanted; None when there is none."""
        issuers = ((b"a",), (b"b", b"root"), (b"b",))
        self.assertEqual(choose(issuers, {b"b"}), 1)
        self.assertEqual(choose(issuers, {b"root", b"a"}), 0)
        self.assertIsNone(choose(issuers, {b"x"}))
        self.assertIsNone(choose(issuers, ()))
        self.assertIsNone(choose((), {b"a"}))


class HandshakeTests(SynchronousTestCase):
    """What a server gets to see."""

    def setUp(self) -> None:
        temporary = TemporaryDirectory(prefix="stunnel_tx_identities_")
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.red, self.blue = Authority("Red CA"), Authority("Blue CA")
        self.middle = Authority("Blue middle CA", parent=self.blue)
        self.red_file = self.red.issue("red").pem(self.directory / "red.pem")
        self.blue_file = self.middle.issue("blue").pem(self.directory / "blue.pem")
        self.plain_file = Authority("Grey CA").issue("plain").pem(self.directory / "plain.pem")

    def build(self, policy: TLSPolicy) -> TLSContext:
        """A context of its own."""
        return build_context(policy, Recording().scope, lambda _prompt: None)

    def server(self, *trusted: Authority, version: int = 0) -> TLSContext:
        """A server that asks for a certificate, by the names of *trusted*."""
        path = self.directory / "trusted.pem"
        path.write_bytes(b"".join(each.cert.public_bytes(PEM) for each in trusted))
        verification = VerificationPolicy(request=True, require=True, chain=bool(trusted))
        return self.build(
            TLSPolicy(
                "server",
                Role.SERVER,
                (self.plain_file,),
                trust=TrustPolicy(str(path)) if trusted else TrustPolicy(),
                verification=verification,
                max_version=version,
            )
        )

    def client(self, *, cert: bool = False, files: tuple[str, ...] | None = None) -> TLSContext:
        """A client with a red and a blue certificate, and perhaps a plain one."""
        own = (self.plain_file,) if cert else ()
        chosen = (self.red_file, self.blue_file) if files is None else files
        return self.build(TLSPolicy("client", Role.CLIENT, own, identity_files=chosen))

    def sent(
        self, server: TLSContext, client: TLSContext, session: SSL.Session | None = None
    ) -> tuple[str, Meeting]:
        """The common name of the certificate the server has got."""
        meeting = Meeting(server, client, session).shake()
        self.addCleanup(meeting.close)
        certificate = meeting.server.connection.get_peer_certificate()
        self.assertIsNotNone(certificate, meeting.server.refusal)
        assert certificate is not None
        found = certificate.to_cryptography()
        assert isinstance(found, x509.Certificate)
        return found.subject.rfc4514_string(), meeting

    def test_by_issuer(self) -> None:
        """The certificate is sent whose issuer, or the issuer of that, the server names."""
        client = self.client()
        for version in (TLS_1_2, TLS_1_3):
            for authority, name in ((self.red, "CN=red"), (self.blue, "CN=blue")):
                got, meeting = self.sent(self.server(authority, version=version), client)
                self.assertEqual(got, name)
                self.assertTrue(meeting.accepted, meeting.server.refusal)
                text = f"Client certificate sent: {name} from "
                self.assertIn(text, " ".join(meeting.client.log.texts))

    def test_order(self) -> None:
        """Of several that fit, the first of the configuration is sent."""
        got, _ = self.sent(self.server(self.blue, self.red), self.client())
        self.assertEqual(got, "CN=red")

    def test_nothing_named(self) -> None:
        """A server that names nobody gets ``cert``, without one the first identity."""
        self.assertEqual(self.sent(self.server(), self.client(cert=True))[0], "CN=plain")
        self.assertEqual(self.sent(self.server(), self.client())[0], "CN=red")

    def test_nothing_fits(self) -> None:
        """The same for a server that names only others."""
        server = self.server(Authority("Green CA"))
        for cert in (True, False):
            meeting = Meeting(server, self.client(cert=cert)).shake()
            self.addCleanup(meeting.close)
            self.assertIn("certificate verify failed", meeting.server.refusal)

    def test_match_goes_before_cert(self) -> None:
        """``cert`` is the fall-back only."""
        got, _ = self.sent(self.server(self.blue), self.client(cert=True))
        self.assertEqual(got, "CN=blue")

    def test_resumed(self) -> None:
        """A session made with a chosen certificate can be resumed."""
        for version in (TLS_1_2, TLS_1_3):
            server, client = self.server(self.blue, version=version), self.client()
            _, first = self.sent(server, client)
            session = first.session()
            first.close()
            got, second = self.sent(server, client, session)
            self.assertEqual(got, "CN=blue")
            self.assertIn("TLS accepted: previous session reused", second.server.log.texts)

    def test_not_asked(self) -> None:
        """A server that asks for nothing gets nothing."""
        server = self.build(TLSPolicy("server", Role.SERVER, (self.plain_file,)))
        meeting = Meeting(server, self.client()).shake()
        self.addCleanup(meeting.close)
        self.assertTrue(meeting.accepted)
        self.assertIsNone(meeting.server.connection.get_peer_certificate())
        self.assertNotIn("Client certificate sent", " ".join(meeting.client.log.texts))

    def test_bad_file(self) -> None:
        """Each file needs a certificate and its key; what is wrong is found at start."""
        bad = self.directory / "bad.pem"
        bad.write_bytes(self.red.cert.public_bytes(PEM))
        error = self.assertRaises(ContextRefused, self.client, files=(self.red_file, str(bad)))
        self.assertIn("no private key found", str(error))

    def test_contexts_are_let_go(self) -> None:
        """After a reload the old context, callback included, is freed."""
        client = self.client()
        watched = weakref.ref(client.context)
        del client
        gc.collect()
        self.assertIsNone(watched())
