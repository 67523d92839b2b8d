"""Tests of handshakes with certificates that OpenSSL reads and other parsers do not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID
from OpenSSL import SSL, crypto
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.policy import (
    RevocationPolicy,
    Role,
    TLSPolicy,
    TrustPolicy,
    VerificationPolicy,
)
from stunnel_tx.tls.verification import Outcome
from stunnel_tx.tunnel.conversations import session_of
from tests.doubles.certificates import DAY, NOW, Authority, Issued, self_signed
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from stunnel_tx.tls.handshake import TLSContext

VERSIONS = (0x0303, 0x0304)

#: A subjectAltName with an ediPartyName (RFC 5280 §4.2.1.6) and nothing else.
EDI_PARTY = bytes.fromhex("300aa508a1060c0461626364")

CHAIN = VerificationPolicy(True, True, True)
NAMED = VerificationPolicy(True, True, True, hosts=("peer.example",))


def element(tag: int, content: bytes) -> bytes:
    """A DER element."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def long_winded(issued: Issued, signer: Issued) -> crypto.X509:
    """The certificate of *issued* with a length that takes more bytes than it has to (no DER)."""
    tbs = issued.cert.tbs_certificate_bytes
    body = tbs[4:] if tbs[1] == 0x82 else tbs[3:]
    validity = body.index(b"\x30\x1e\x17\x0d")
    tbs = element(0x30, body[:validity] + b"\x30\x81\x1e" + body[validity + 2 :])
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    signature = signer.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    der = element(0x30, tbs + algorithm + element(0x03, b"\0" + signature))
    return crypto.load_certificate(crypto.FILETYPE_ASN1, der)


def edi_party(issued: Issued, signer: Issued) -> crypto.X509:
    """The certificate of *issued* with another kind of name."""
    builder = x509.CertificateBuilder(
        issuer_name=signer.cert.subject,
        subject_name=issued.cert.subject,
        public_key=issued.cert.public_key(),
        serial_number=issued.cert.serial_number,
        not_valid_before=NOW - DAY,
        not_valid_after=NOW + DAY,
    ).add_extension(
        x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, EDI_PARTY),
        critical=False,
    )
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    return crypto.X509.from_cryptography(builder.sign(signer.key, hashes.SHA256()))


ODDITIES = {"length": long_winded, "ediPartyName": edi_party}


class OddCertificateTests(SynchronousTestCase):
    """Every doubt about a certificate is settled by the policy, and none by an exception."""

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.root = Authority("Root")
        self.cert = self.root.issue("server").pem(directory / "server.pem")
        self.trust = TrustPolicy(self.root.pem(directory / "root.pem"))
        lists = directory / "lists.pem"
        lists.write_bytes(self.root.crl())
        self.lists = RevocationPolicy(str(lists))

    def server(self, verification: VerificationPolicy, version: int, **more: Any) -> TLSContext:
        """A server that judges its clients."""
        policy = TLSPolicy(
            *("s", Role.SERVER, (self.cert,), None, self.trust, verification),
            max_version=version,
            **more,
        )
        return build_context(policy, Recording().scope, lambda _prompt: None)

    def client(self, kind: str, *, trusted: bool = True) -> TLSContext:
        """A client with an odd certificate; our own program would not load it."""
        issued = self.root.issue("peer", ["peer.example"]) if trusted else self_signed("peer")
        odd = ODDITIES[kind](issued, self.root.issued if trusted else issued)
        context = build_context(TLSPolicy("c", Role.CLIENT), Recording().scope, lambda _: None)
        context.context.use_certificate(odd)
        context.context.use_privatekey(crypto.PKey.from_cryptography_key(issued.key))
        return context

    def meet(
        self, server: TLSContext, client: TLSContext, session: SSL.Session | None = None
    ) -> Meeting:
        """One handshake."""
        meeting = Meeting(server, client, session).shake()
        self.addCleanup(meeting.close)
        return meeting

    def test_they_are_odd(self) -> None:
        """The parser that is asked for names does not read these certificates."""
        issued = self.root.issue("peer")
        self.assertRaises(ValueError, long_winded(issued, self.root.issued).to_cryptography)
        readable = edi_party(issued, self.root.issued).to_cryptography()
        self.assertRaises(x509.UnsupportedGeneralNameType, lambda: readable.extensions)

    def test_chain_alone(self) -> None:
        """Where nothing but the chain counts, such a peer is in, and stays in when it resumes."""
        for verification in (CHAIN, VerificationPolicy(True, True), VerificationPolicy(True)):
            for kind in ODDITIES:
                for version in VERSIONS:
                    client = self.client(kind)
                    server = self.server(verification, version)
                    first = self.meet(server, client)
                    self.assertTrue(first.accepted, (kind, first.server.refusal))
                    second = self.meet(server, client, first.session())
                    self.assertTrue(second.accepted, (kind, second.server.refusal))
                    self.assertTrue(second.server.resumed)

    def test_lists(self) -> None:
        """With revocation lists, names are still of no interest."""
        client, server = self.client("ediPartyName"), self.server(CHAIN, 0, revocation=self.lists)
        first = self.meet(server, client)
        second = self.meet(server, client, first.session())
        self.assertTrue(second.accepted, second.server.refusal)

    def test_names(self) -> None:
        """Where a name has to match, one that cannot be read does not; the reason is told."""
        for kind in ODDITIES:
            for version in VERSIONS:
                meeting = self.meet(self.server(NAMED, version), self.client(kind))
                self.assertFalse(meeting.accepted)
                rejection = meeting.server.context.rejection(meeting.server.connection)
                self.assertIn("peer certificate cannot be read", rejection)
                self.assertIn("Rejected by CERT at depth=0: ", "\n".join(meeting.server.log.texts))

    def test_key_alone(self) -> None:
        """A pinned key is found, whatever stands in the names."""
        issued = self.root.issue("peer")
        client = build_context(TLSPolicy("c", Role.CLIENT), Recording().scope, lambda _: None)
        client.context.use_certificate(edi_party(issued, self.root.issued))
        client.context.use_privatekey(crypto.PKey.from_cryptography_key(issued.key))
        self.trust = TrustPolicy(issued.pem(Path(self.mktemp()), key=False))
        for version in VERSIONS:
            server = self.server(VerificationPolicy(True, True, False, True), version)
            first = self.meet(server, client)
            self.assertTrue(first.accepted, first.server.refusal)
            second = self.meet(server, client, first.session())
            self.assertTrue(second.accepted, second.server.refusal)

    def test_redirect(self) -> None:
        """A service with a redirect leads them there, or lets them in, as it does with others."""
        for kind in ODDITIES:
            for version in VERSIONS:
                for trusted, verification, outcome in (
                    (False, CHAIN, Outcome.UNAUTHENTICATED),
                    (False, NAMED, Outcome.UNAUTHENTICATED),
                    (True, NAMED, Outcome.UNAUTHENTICATED),
                    (True, CHAIN, Outcome.ACCEPTED),
                ):
                    server = self.server(verification, version, redirect=True)
                    client = self.client(kind, trusted=trusted)
                    first = self.meet(server, client)
                    self.assertIs(first.server.outcome, outcome, (kind, trusted))
                    second = self.meet(server, client, first.session())
                    self.assertIs(second.server.outcome, outcome, (kind, trusted))
                    self.assertTrue(second.server.resumed)

    def test_told_to_backends(self) -> None:
        """What a PROXY header tells of such a client is the certificate, if not its name."""
        for kind, name in (("length", None), ("ediPartyName", "peer")):
            meeting = self.meet(self.server(CHAIN, 0), self.client(kind))
            end = meeting.server
            session = session_of(end.context, end.connection)
            self.assertEqual((session.common_name, session.verified), (name, True))
            assert session.certificate is not None
            self.assertEqual(session.certificate[:1], b"0")
