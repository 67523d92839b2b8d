"""Tests of the private calls for contexts, and of what happens without them."""

from __future__ import annotations

import socket

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.binding import contexts
from stunnel_tx.tls.binding.capabilities import capabilities
from stunnel_tx.tls.binding.contexts import (
    clear_partial_write,
    option_bits,
    session_reused,
    set_groups,
    set_signature_algorithms,
    verify_error_text,
)


class GroupsTests(SynchronousTestCase):
    """Key exchange groups."""

    def setUp(self) -> None:
        self.context = SSL.Context(SSL.TLS_METHOD)

    def test_list(self) -> None:
        """A list of known names is taken, one unknown name spoils it."""
        self.assertTrue(set_groups(self.context, "X25519:P-256:P-384"))
        self.assertFalse(set_groups(self.context, "X25519:nonsense"))
        self.assertFalse(set_groups(self.context, "Zażółć"))

    def test_no_error_is_left_behind(self) -> None:
        """A refused list leaves nothing in OpenSSL's queue for the next call to stumble on."""
        set_groups(self.context, "nonsense")
        with self.assertRaises(SSL.Error) as caught:
            self.context.set_cipher_list(b"nonsense")
        self.assertEqual(caught.exception.args[0], [("SSL routines", "", "no cipher match")])

    def test_public_way(self) -> None:
        """Without the private call a single curve still works, and nothing else."""
        self.patch(contexts, "_lib", None)
        for name in ("P-256", "prime256v1", "secp384r1", "P-521"):
            self.assertTrue(set_groups(self.context, name))
        for name in ("X25519", "P-256:P-384", "nonsense"):
            self.assertFalse(set_groups(self.context, name))


class SignatureAlgorithmTests(SynchronousTestCase):
    """Signature algorithms."""

    def test_list(self) -> None:
        """Known names are taken, a list without one is not, and leaves no error behind."""
        context = SSL.Context(SSL.TLS_METHOD)
        self.assertTrue(set_signature_algorithms(context, "ECDSA+SHA256:RSA-PSS+SHA256"))
        self.assertFalse(set_signature_algorithms(context, "nonsense"))
        with self.assertRaises(SSL.Error) as caught:
            context.set_cipher_list(b"nonsense")
        self.assertEqual(caught.exception.args[0], [("SSL routines", "", "no cipher match")])

    def test_unavailable(self) -> None:
        """Without the private call no list can be set."""
        self.patch(contexts, "_lib", None)
        self.assertFalse(set_signature_algorithms(SSL.Context(SSL.TLS_METHOD), "ECDSA+SHA256"))


class SmallCallsTests(SynchronousTestCase):
    """The rest of them."""

    def test_partial_write(self) -> None:
        """A cleared mode bit stays cleared."""
        context = SSL.Context(SSL.TLS_METHOD)
        clear_partial_write(context)
        self.assertEqual(context.set_mode(0) & contexts._ENABLE_PARTIAL_WRITE, 0)

    def test_partial_write_bit(self) -> None:
        """The value taken from OpenSSL's headers is the library's."""
        context = SSL.Context(SSL.TLS_METHOD)
        self.assertEqual(
            context.set_mode(0) & contexts._ENABLE_PARTIAL_WRITE, contexts._ENABLE_PARTIAL_WRITE
        )

    def test_option_bits(self) -> None:
        """Options that were set are there."""
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_options(SSL.OP_NO_TICKET)
        self.assertTrue(option_bits(context) & SSL.OP_NO_TICKET)

    def test_session_reused(self) -> None:
        """A fresh connection has resumed nothing; without the call nobody knows."""
        one, two = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(two.close)
        connection = SSL.Connection(SSL.Context(SSL.TLS_METHOD), one)
        if capabilities().session_reused:
            self.assertIs(session_reused(connection), False)
        self.patch(contexts, "_lib", None)
        self.assertIsNone(session_reused(connection))

    def test_error_texts(self) -> None:
        """The words for frequent errors are OpenSSL's, with and without the private call."""
        for code, text in contexts._ERROR_TEXTS.items():
            self.assertTrue(verify_error_text(code).startswith(text), code)
        self.patch(contexts, "_lib", None)
        self.assertEqual(verify_error_text(10), "certificate has expired")
        self.assertEqual(verify_error_text(999), "certificate verification error 999")
