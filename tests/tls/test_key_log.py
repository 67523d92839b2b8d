"""Tests of the key log."""

from __future__ import annotations

import os
from pathlib import Path

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.key_log import KeyLog
from stunnel_tx.tls.policy import Role, TLSPolicy
from tests.doubles.certificates import self_signed
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording

NOBODY = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)


class KeyLogTests(SynchronousTestCase):
    """The file and what ends up in it."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_private(self) -> None:
        """The file belongs to its owner alone, also one that was open to others before."""
        KeyLog(str(self.path))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.path.chmod(0o644)
        KeyLog(str(self.path))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_appends(self) -> None:
        """Lines are added to what is there."""
        KeyLog(str(self.path))(NOBODY, b"one")
        KeyLog(str(self.path))(NOBODY, b"two")
        self.assertEqual(self.path.read_bytes(), b"one\ntwo\n")

    def test_refused(self) -> None:
        """A symbolic link, a directory and a device are no key logs."""
        self.path.symlink_to("elsewhere")
        for path in (str(self.path), str(self.path.parent), os.devnull):
            self.assertRaises(FileUnusable, KeyLog, path)
        self.assertFalse((self.path.parent / "elsewhere").exists())

    def test_closed(self) -> None:
        """The descriptor goes with the object."""
        log = KeyLog(str(self.path))
        fd = log._fd
        del log
        self.assertRaises(OSError, os.fstat, fd)

    def test_handshake(self) -> None:
        """The secrets of a handshake are written, and the log says so at the start."""
        self.path.parent.mkdir(exist_ok=True)
        cert = self_signed("a").pem(f"{self.path}.pem")
        log = Recording()
        policy = TLSPolicy("s", Role.SERVER, (cert,), key_log=str(self.path))
        server = build_context(policy, log.scope, lambda _prompt: None)
        client = build_context(TLSPolicy("c", Role.CLIENT), log.scope, lambda _prompt: None)
        meeting = Meeting(server, client).shake()
        self.addCleanup(meeting.close)
        self.assertTrue(meeting.accepted)
        self.assertIn(b"CLIENT_TRAFFIC_SECRET_0 ", self.path.read_bytes())
        (warning,) = [each for each in log.lines if "keyLog" in each[2]]
        self.assertEqual(warning[0], 4)
        self.assertIn("whoever reads it can decrypt them", warning[2])
