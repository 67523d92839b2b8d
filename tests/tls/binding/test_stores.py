"""Tests of stores in several contexts, and of what happens without the private calls."""

from __future__ import annotations

import gc

from cryptography import x509
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.binding import stores
from stunnel_tx.tls.binding.stores import AuthorityNames, store_of, use_store
from tests.doubles.certificates import Authority


class StoreTests(SynchronousTestCase):
    """References to a store."""

    def test_shared(self) -> None:
        """Both contexts have the same store, which outlives the first and our reference."""
        first, second = SSL.Context(SSL.TLS_METHOD), SSL.Context(SSL.TLS_METHOD)
        store = store_of(first)
        assert store is not None
        self.assertTrue(use_store(second, store))
        self.assertEqual(_address(first), _address(second))
        del first, store
        gc.collect()
        found = second.get_cert_store()
        assert found is not None
        found.add_crl(x509.load_pem_x509_crl(Authority("Root").crl()))

    def test_without_the_calls(self) -> None:
        """Where the calls have moved, each context keeps its own store."""
        self.patch(stores, "_lib", None)
        self.assertIsNone(store_of(SSL.Context(SSL.TLS_METHOD)))


class AuthorityNamesTests(SynchronousTestCase):
    """What a server asks for."""

    def sent(self, names: AuthorityNames) -> list[str]:
        """The names that a server has for its clients."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        names.add_to(context)
        return [str(name.CN) for name in SSL.Connection(context).get_client_ca_list()]

    def test_names(self) -> None:
        """They are sent in their order, with the private call and without."""
        names = [Authority("One").cert, Authority("Two").cert]
        self.assertEqual(self.sent(AuthorityNames(names)), ["One", "Two"])
        self.patch(stores, "_lib", None)
        self.assertEqual(self.sent(AuthorityNames(names)), ["One", "Two"])


def _address(context: SSL.Context) -> object:
    store = context.get_cert_store()
    assert store is not None
    return store._store
