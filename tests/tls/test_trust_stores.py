"""Tests of the stores that chains are built from: who shares one, and who must not."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls import trust_stores
from stunnel_tx.tls.binding import stores as binding
from stunnel_tx.tls.context import TLSContext, build_context
from stunnel_tx.tls.policy import (
    RevocationPolicy,
    Role,
    TLSPolicy,
    TrustPolicy,
    VerificationPolicy,
)
from tests.doubles.certificates import PEM, Authority
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording
from tests.tls.hashed import subject_hash

CHAIN = VerificationPolicy(request=True, require=True, chain=True)


class StoreTestCase(SynchronousTestCase):
    """Clients that trust what a file says, and servers of two authorities."""

    def setUp(self) -> None:
        gc.collect()
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.log = Recording()
        self.one, self.two = Authority("One"), Authority("Two")
        self.leaves = [each.issue("leaf", ["a.example"]) for each in (self.one, self.two)]
        self.file = self.directory / "roots.pem"
        self.one.pem(self.file)
        self.lists = self.directory / "lists.pem"
        self.before = len(trust_stores.STORES)
        self.opened: list[Any] = []
        self.count_openings()

    def count_openings(self) -> None:
        """Note every time that OpenSSL is told to parse certificates."""
        original = SSL.Context.load_verify_locations

        def load(context: SSL.Context, cafile: Any, capath: Any = None) -> None:
            self.opened.append((cafile, capath))
            original(context, cafile, capath)

        self.patch(SSL.Context, "load_verify_locations", load)

    def client(self, trust: TrustPolicy | None = None, **values: Any) -> TLSContext:
        """A client's context."""
        trust = trust or TrustPolicy(str(self.file))
        policy = TLSPolicy("c", Role.CLIENT, trust=trust, verification=CHAIN, **values)
        return build_context(policy, self.log.scope, lambda _prompt: None)

    def accepts(self, client: TLSContext) -> list[bool]:
        """Whether *client* accepts each of the servers."""
        verdicts = []
        for number, leaf in enumerate(self.leaves):
            path = leaf.pem(self.directory / f"leaf{number}.pem")
            policy = TLSPolicy("s", Role.SERVER, (path,))
            server = build_context(policy, self.log.scope, lambda _prompt: None)
            meeting = Meeting(server, client).shake()
            self.addCleanup(meeting.close)
            verdicts.append(meeting.accepted)
        return verdicts

    def set_system(self, bundle: str) -> None:
        """Have the system's store in *bundle*, as OpenSSL sees it too."""
        name = "SSL_CERT_FILE"
        before = os.environ.get(name)
        os.environ[name] = bundle
        if before is None:
            self.addCleanup(os.environ.pop, name, None)
        else:
            self.addCleanup(os.environ.__setitem__, name, before)

    def stores(self) -> int:
        """How many stores have come to those that are shared."""
        return len(trust_stores.STORES) - self.before


class SharedTests(StoreTestCase):
    """Equal content."""

    def test_parsed_once(self) -> None:
        """Many contexts of one content have one store, and all of them verify by it."""
        clients = [self.client() for _ in range(5)]
        self.assertEqual((len(self.opened), self.stores()), (1, 1))
        for client in clients:
            self.assertEqual(self.accepts(client), [True, False])

    def test_gone_with_its_users(self) -> None:
        """Nothing is kept when the contexts are gone."""
        client = self.client()
        self.assertEqual(self.stores(), 1)
        del client
        gc.collect()
        self.assertEqual(self.stores(), 0)

    def test_lists(self) -> None:
        """Contexts with the same revocation lists share them, checks included."""
        self.lists.write_bytes(self.one.crl(self.leaves[0]))
        revocation = RevocationPolicy(str(self.lists))
        clients = [self.client(revocation=revocation) for _ in range(2)]
        self.assertEqual(self.stores(), 1)
        for client in clients:
            self.assertEqual(self.accepts(client), [False, False])

    def test_system(self) -> None:
        """The system's store is parsed once as well, as long as it stays what it is."""
        self.set_system(str(self.file))
        clients = [self.client(TrustPolicy(system=True)) for _ in range(2)]
        self.assertEqual(self.stores(), 1)
        self.two.pem(self.file)
        clients.append(self.client(TrustPolicy(system=True)))
        self.assertEqual(self.stores(), 2)
        verdicts = [self.accepts(client) for client in clients]
        self.assertEqual(verdicts, [[True, False], [True, False], [False, True]])

    def test_without_the_private_calls(self) -> None:
        """Without them every context parses for itself, and verifies all the same."""
        self.patch(binding, "_lib", None)
        for client in [self.client(), self.client()]:
            self.assertEqual(self.accepts(client), [True, False])
        self.assertEqual((len(self.opened), self.stores()), (2, 0))


class SeparateTests(StoreTestCase):
    """What must not come from one context to another."""

    def test_content(self) -> None:
        """New content in the same file is another store; the old one stays as it was."""
        old = self.client()
        self.two.pem(self.file)
        new = self.client()
        self.assertEqual(self.accepts(old), [True, False])
        self.assertEqual(self.accepts(new), [False, True])

    def test_lists(self) -> None:
        """Revocation lists of one context, or their lack, mean nothing to another."""
        plain = self.client()
        self.lists.write_bytes(self.one.crl(self.leaves[0]))
        revoking = self.client(revocation=RevocationPolicy(str(self.lists)))
        self.lists.write_bytes(self.one.crl())
        renewed = self.client(revocation=RevocationPolicy(str(self.lists)))
        plain_again = self.client()
        self.assertEqual(self.accepts(plain), [True, False])
        self.assertEqual(self.accepts(revoking), [False, False])
        self.assertEqual(self.accepts(renewed), [True, False])
        self.assertEqual(self.accepts(plain_again), [True, False])

    def test_whole_chain(self) -> None:
        """To check the leaf and to check the whole chain are two things, with the same lists."""
        inner = Authority("Inner", parent=self.one)
        self.leaves = [inner.issue("leaf")]
        self.lists.write_bytes(inner.crl())
        values = [RevocationPolicy(str(self.lists), whole_chain=each) for each in (False, True)]
        clients = [self.client(revocation=each) for each in values]
        self.assertEqual([self.accepts(each) for each in clients], [[True], [False]])

    def test_directories(self) -> None:
        """With a directory each context has its own store: what one has looked up is its own."""
        hashed = self.directory / "hashed"
        hashed.mkdir()
        name = hashed / f"{subject_hash(self.two)}.0"
        self.two.pem(name)
        trust = TrustPolicy(str(self.file), str(hashed))
        first, second, plain = self.client(trust), self.client(trust), self.client()
        self.assertEqual(self.accepts(first), [True, True])
        name.unlink()
        self.assertEqual(self.accepts(second), [True, False])
        self.assertEqual(self.accepts(plain), [True, False])

    def test_system_beside_a_file(self) -> None:
        """Who trusts a file alone does not trust the system's store with it."""
        self.set_system(self.two.pem(self.directory / "system.pem"))
        both = self.client(TrustPolicy(str(self.file), system=True))
        plain = self.client()
        self.assertEqual(self.accepts(both), [True, True])
        self.assertEqual(self.accepts(plain), [True, False])

    def test_unsure_content(self) -> None:
        """What OpenSSL has read by itself, by its path, is nobody else's."""
        self.patch(os.path, "exists", lambda _path: False)
        clients = [self.client(), self.client()]
        self.assertEqual((len(self.opened), self.stores()), (2, 0))
        self.assertEqual(self.accepts(clients[1]), [True, False])


class PipeTests(StoreTestCase):
    """What can be read once only."""

    def test_bundle_from_a_pipe(self) -> None:
        """Certificates that come out of a pipe are read once, and trusted."""
        near, far = os.pipe()
        self.addCleanup(os.close, near)
        os.write(far, self.one.cert.public_bytes(PEM))
        os.close(far)
        client = self.client(TrustPolicy(f"/dev/fd/{near}"))
        self.assertEqual(self.accepts(client), [True, False])
