"""Tests of building contexts: what goes in, and every way it can be refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import x25519
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError
from stunnel_tx.tls import context as module
from stunnel_tx.tls.context import TLSContext, build_context, session_scope
from stunnel_tx.tls.identity import Identity
from stunnel_tx.tls.passphrases import Passphrases
from stunnel_tx.tls.policy import (
    COMPATIBLE_CIPHERS,
    Role,
    TLSPolicy,
    TrustPolicy,
    VerificationPolicy,
)
from tests.doubles.certificates import DAY, NOW, PEM, Authority, Issued
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording
from tests.tls.hashed import subject_hash

TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = 0x0301, 0x0302, 0x0303, 0x0304
NO_COMPRESSION = 0x20000


class ContextTestCase(SynchronousTestCase):
    """Files for a server and a client."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.log = Recording()
        self.root = Authority("Root")
        self.trust = TrustPolicy(self.root.pem(self.directory / "root.pem"))
        self.cert = self.root.issue("server", ["a.example"]).pem(self.directory / "server.pem")

    def server(self, **values: Any) -> TLSContext:
        """A server's context."""
        values = {"certificate_files": (self.cert,), **values}
        return self.build(TLSPolicy("srv", Role.SERVER, **values))

    def client(self, **values: Any) -> TLSContext:
        """A client's context."""
        return self.build(TLSPolicy("cli", Role.CLIENT, **values))

    def build(self, policy: TLSPolicy) -> TLSContext:
        """A context, logging into the recording."""
        return build_context(policy, self.log.scope, lambda _prompt: None)

    def meet(self, server: TLSContext, client: TLSContext) -> Meeting:
        """A finished handshake, good or bad."""
        meeting = Meeting(server, client).shake()
        self.addCleanup(meeting.close)
        return meeting


class RefusedTests(ContextTestCase):
    """Settings and files a context cannot be made of."""

    def refused(self, **values: Any) -> str:
        """The error's text."""
        error = self.assertRaises(OperatingError, self.server, **values)
        self.assertIn("Service [srv]: Failed to initialize TLS context: ", str(error))
        return str(error)

    def test_ciphers(self) -> None:
        """Lists without a known name have no cipher match, with the option's name."""
        self.assertIn("no cipher match in 'ciphers': NONSENSE", self.refused(ciphers="NONSENSE"))
        self.assertIn("no cipher match in 'ciphersuites'", self.refused(ciphersuites="NONSENSE"))

    def test_groups(self) -> None:
        """One unknown group spoils the list."""
        text = self.refused(groups="X25519:sect163r1")
        self.assertIn("Invalid groups list in 'curves': X25519:sect163r1", text)

    def test_versions(self) -> None:
        """A version that the library does not have is refused by number."""
        self.assertIn("Invalid protocol version", self.refused(min_version=0x0300))
        self.assertIn("0x0305", self.refused(max_version=0x0305))

    def test_files(self) -> None:
        """A missing certificate or trust file is named."""
        self.assertIn("gone.pem: No such file", self.refused(certificate_files=("gone.pem",)))
        verification = VerificationPolicy(True, True, True)
        text = self.refused(trust=TrustPolicy("gone.pem"), verification=verification)
        self.assertIn("gone.pem: No such file", text)

    def test_weak_key(self) -> None:
        """What OpenSSL itself turns down is given in its words, with the file."""
        text = self.refused(security_level=5)
        self.assertIn("server.pem: ee key too small", text)

    def test_useless_key(self) -> None:
        """A key that cannot sign is refused, whatever pyOpenSSL makes of it."""
        issued = self.root.issue("x")
        identity = Identity(issued.cert, (), x25519.X25519PrivateKey.generate())
        self.patch(module, "load_identity", lambda *_args: identity)
        self.assertIn(self.cert, self.refused())

    def test_server_name(self) -> None:
        """A name that cannot go on the wire is refused before any connection."""
        error = self.assertRaises(OperatingError, self.client, server_name="a" * 64 + ".b")
        self.assertIn("'sni' is not a host name", str(error))

    def test_encrypted_key_without_an_answer(self) -> None:
        """Without somebody to ask, an encrypted key is an error, not a hang."""
        path = self.directory / "locked.pem"
        issued = self.root.issue("x")
        path.write_bytes(issued.cert_pem() + issued.key_pem(b"secret"))
        text = self.refused(certificate_files=(str(path),))
        self.assertIn("locked.pem: encrypted, and no passphrase was given", text)


class SettingsTests(ContextTestCase):
    """What ends up in the context, seen from the other side of a handshake."""

    def test_defaults(self) -> None:
        """Two contexts with default settings agree on TLS 1.3, AES-256 and the hybrid group."""
        facts = self.facts(self.meet(self.server(), self.client()))
        self.assertEqual(facts, ("TLSv1.3", "TLS_AES_256_GCM_SHA384", "X25519MLKEM768"))

    def facts(self, meeting: Meeting) -> tuple[str, str, str | None]:
        """Version, cipher and group of an accepted handshake."""
        self.assertTrue(meeting.accepted, (meeting.server.refusal, meeting.client.refusal))
        facts = meeting.client.context.facts(meeting.client.connection)
        return facts.version, facts.cipher, facts.group

    def test_version_bounds(self) -> None:
        """Bounds are kept on both sides, and no common version is refused."""
        meeting = self.meet(self.server(max_version=TLS_1_2), self.client())
        self.assertEqual(self.facts(meeting)[0], "TLSv1.2")
        meeting = self.meet(self.server(min_version=TLS_1_3), self.client(max_version=TLS_1_2))
        self.assertIn("unsupported protocol", meeting.server.refusal)
        self.assertIn("protocol version", meeting.client.refusal)

    def test_old_versions_need_level_zero(self) -> None:
        """TLS 1.0 and 1.1 work with securityLevel 0 on both sides only."""
        for version, name in ((TLS_1_0, "TLSv1"), (TLS_1_1, "TLSv1.1")):
            old = {"security_level": 0, "ciphers": COMPATIBLE_CIPHERS}
            server = self.server(min_version=TLS_1_0, **old)
            meeting = self.meet(server, self.client(max_version=version, **old))
            self.assertEqual(self.facts(meeting)[0], name)
            meeting = self.meet(
                self.server(min_version=TLS_1_0, ciphers=COMPATIBLE_CIPHERS),
                self.client(max_version=version, **old),
            )
            self.assertFalse(meeting.accepted)

    def test_ciphers_and_groups(self) -> None:
        """Lists choose what is used."""
        server = self.server(
            ciphers="ECDHE-ECDSA-CHACHA20-POLY1305", groups="P-384", max_version=TLS_1_2
        )
        self.assertEqual(
            self.facts(self.meet(server, self.client())),
            ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305", "secp384r1"),
        )
        server = self.server(ciphersuites="TLS_CHACHA20_POLY1305_SHA256")
        self.assertEqual(
            self.facts(self.meet(server, self.client()))[1], "TLS_CHACHA20_POLY1305_SHA256"
        )

    def test_library_defaults(self) -> None:
        """Empty lists keep the library's own."""
        server = self.server(ciphers="", ciphersuites="", groups="", security_level=2)
        self.assertEqual(self.facts(self.meet(server, self.client()))[0], "TLSv1.3")

    def test_no_key_exchange_group(self) -> None:
        """A handshake without a key exchange group has none to tell."""
        path = self.directory / "rsa.pem"
        path.write_bytes(_rsa_pem())
        server = self.server(
            certificate_files=(str(path),), max_version=TLS_1_2, ciphers=COMPATIBLE_CIPHERS
        )
        meeting = self.meet(server, self.client(ciphers="AES256-GCM-SHA384"))
        self.assertEqual(self.facts(meeting), ("TLSv1.2", "AES256-GCM-SHA384", None))

    def test_modes(self) -> None:
        """Buffers are released, and a write puts out all it was given."""
        modes = self.server().context.set_mode(0)
        self.assertTrue(modes & SSL.MODE_RELEASE_BUFFERS)
        self.assertFalse(modes & 1)

    def test_no_verify_callback_without_a_request(self) -> None:
        """A service that asks for nothing has no callback to be called."""
        context = self.server().context
        self.assertEqual(context.get_verify_mode(), SSL.VERIFY_NONE)
        context = self.server(verification=VerificationPolicy(True, True)).context
        mode = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        self.assertEqual(context.get_verify_mode(), mode)

    def test_session_scope(self) -> None:
        """Service, verification and trust each make sessions of their own; nothing else does."""
        request = VerificationPolicy(True)
        policies = [
            TLSPolicy("a", Role.SERVER, ("c",)),
            TLSPolicy("b", Role.SERVER, ("c",)),
            TLSPolicy("a", Role.SERVER, ("c",), verification=request),
            TLSPolicy("a", Role.SERVER, ("c",), trust=self.trust),
        ]
        scopes = [session_scope(policy) for policy in policies]
        self.assertEqual(len(set(scopes)), len(policies))
        self.assertEqual({len(scope) for scope in scopes}, {32})
        again = TLSPolicy("a", Role.SERVER, ("c",), session_timeout=5)
        self.assertEqual(session_scope(again), scopes[0])

    def test_session_scope_is_used(self) -> None:
        """The context gets just that session id context."""
        used: list[bytes] = []
        self.patch(SSL.Context, "set_session_id", lambda _context, scope: used.append(scope))
        policy = self.server().policy
        self.assertEqual(used, [session_scope(policy)])

    def test_sessions(self) -> None:
        """Time-out and cache follow the policy."""
        context = self.server(session_timeout=77).context
        self.assertEqual(context.get_timeout(), 77)
        self.assertEqual(context.get_session_cache_mode(), SSL.SESS_CACHE_SERVER)
        context = self.server(session_resume=False).context
        self.assertEqual(context.get_session_cache_mode(), SSL.SESS_CACHE_OFF)
        self.assertTrue(context.set_options(0) & SSL.OP_NO_TICKET)


class OptionTests(ContextTestCase):
    """The option mask."""

    def test_set_and_clear(self) -> None:
        """Bits are set as wanted, and what is both set and cleared stays clear."""
        wanted = SSL.OP_NO_TICKET | SSL.OP_CIPHER_SERVER_PREFERENCE
        bits = self.server(options_set=wanted, options_clear=SSL.OP_NO_TICKET).context.set_options(
            0
        )
        self.assertTrue(bits & SSL.OP_CIPHER_SERVER_PREFERENCE)
        self.assertFalse(bits & SSL.OP_NO_TICKET)
        self.assertFalse([each for each in self.log.texts if "cannot be cleared" in each])

    def test_stuck_bits(self) -> None:
        """A bit that the library sets by itself cannot be cleared, and the log says so."""
        self.server(options_clear=NO_COMPRESSION)
        self.assertIn("TLS options 0x20000 cannot be cleared in this library", self.log.texts)

    def test_renegotiation(self) -> None:
        """With renegotiation = no the library refuses it."""
        on, off = self.server(), self.server(renegotiation=False)
        self.assertFalse(on.context.set_options(0) & SSL.OP_NO_RENEGOTIATION)
        self.assertTrue(off.context.set_options(0) & SSL.OP_NO_RENEGOTIATION)


class FilesTests(ContextTestCase):
    """Identity and trust."""

    def test_chain_is_sent(self) -> None:
        """Intermediates reach the peer, which trusts the root alone."""
        inner = Authority("Inner", parent=self.root)
        path = inner.issue("leaf", ["a.example"]).pem(self.directory / "leaf.pem")
        client = self.client(
            trust=self.trust,
            verification=VerificationPolicy(True, True, True, hosts=("a.example",)),
        )
        meeting = self.meet(self.server(certificate_files=(path,)), client)
        self.assertTrue(meeting.accepted, meeting.client.refusal)

    def test_trusted_directory(self) -> None:
        """A hashed directory serves as trust, without a bundle."""
        directory = self.directory / "hashed"
        directory.mkdir()
        (directory / f"{subject_hash(self.root)}.0").write_bytes(self.root.cert.public_bytes(PEM))
        client = self.client(
            trust=TrustPolicy(ca_path=str(directory)),
            verification=VerificationPolicy(True, True, True),
        )
        meeting = self.meet(self.server(), client)
        self.assertTrue(meeting.accepted, meeting.client.refusal)

    def test_client_ca_list(self) -> None:
        """A server that asks for certificates names the authorities it trusts."""
        server = self.server(trust=self.trust, verification=VerificationPolicy(True, True, True))
        meeting = Meeting(server, self.client())
        self.addCleanup(meeting.close)
        meeting.shake()
        names = [name.CN for name in meeting.client.connection.get_client_ca_list()]
        self.assertEqual(names, ["Root"])
        self.assertIn("Configured trusted client CA: CN=Root", self.log.texts)

    def test_unused_trust_is_no_obstacle(self) -> None:
        """A trust file that cannot be read is only reported where nothing depends on it."""
        self.client(trust=TrustPolicy("gone.pem"))
        self.assertTrue(
            [each for each in self.log.texts if "Trusted certificates are not loaded" in each]
        )

    def test_validity_of_our_own(self) -> None:
        """A certificate of ours outside its validity is served, with a warning."""
        for start, text in (
            (NOW - 2 * DAY, "Own certificate has expired"),
            (NOW + DAY, "Own certificate is not valid before"),
        ):
            issued: Issued = self.root.issue("old", [], start, start + DAY / 2)
            path = issued.pem(self.directory / "old.pem")
            self.assertEqual(self.server(certificate_files=(path,)).identity.leaf, issued.cert)  # type: ignore[union-attr]
            self.assertTrue([each for each in self.log.texts if text in each], text)

    def test_client_without_a_certificate(self) -> None:
        """A client needs no identity."""
        self.assertIsNone(self.client().identity)

    def test_shared_passphrases(self) -> None:
        """One answer serves every service that shares the operator's passphrases."""
        issued = self.root.issue("x")
        path = self.directory / "locked.pem"
        path.write_bytes(issued.cert_pem() + issued.key_pem(b"secret"))
        answers: list[bytes | None] = [b"secret"]
        passphrases = Passphrases(lambda _prompt: answers.pop())
        for service in ("one", "two"):
            policy = TLSPolicy(service, Role.SERVER, (str(path),))
            build_context(policy, self.log.scope, passphrases)
        self.assertEqual(answers, [])


def _rsa_pem() -> bytes:
    """A self-signed RSA certificate with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    from tests.doubles.certificates import PKCS8, name_of

    key = rsa.generate_private_key(65537, 2048)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name_of("rsa"))
        .issuer_name(name_of("rsa"))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(PEM, PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(PEM) + text
