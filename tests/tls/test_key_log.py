"""Tests of the key log."""

from __future__ import annotations

import os
from pathlib import Path

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.key_log import KeyLog, examine_key_log
from stunnel_tx.tls.policy import Role, TLSPolicy, TrustPolicy, VerificationPolicy
from tests.doubles.certificates import Authority, self_signed
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

    def test_examined(self) -> None:
        """What would be refused is refused without opening it for good, and no file is made."""
        examine_key_log(str(self.path))
        self.assertFalse(self.path.exists())
        self.path.write_bytes(b"one\n")
        self.path.chmod(0o640)
        examine_key_log(str(self.path))
        self.assertEqual(self.path.read_bytes(), b"one\n")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)
        link = self.path.with_suffix(".link")
        link.symlink_to("elsewhere")
        for path in (str(link), str(self.path.parent), os.devnull, f"{self.path}.d/keys"):
            self.assertRaises(FileUnusable, examine_key_log, path)

    def test_rehearsal(self) -> None:
        """A context that is built for a look only leaves no file behind."""
        cert = self_signed("a").pem(f"{self.path}.pem")
        log = Recording()
        policy = TLSPolicy("s", Role.SERVER, (cert,), key_log=str(self.path))
        build_context(policy, log.scope, lambda _prompt: None, rehearsal=True)
        self.assertFalse(self.path.exists())
        self.assertEqual([each for each in log.texts if "keyLog" in each], [])
        bad = TLSPolicy("s", Role.SERVER, (cert,), key_log=str(self.path.parent))
        self.assertRaises(
            OperatingError, build_context, bad, log.scope, lambda _prompt: None, rehearsal=True
        )

    def test_chosen_identity(self) -> None:
        """The secrets of a connection whose certificate was chosen are written, all of them."""
        authority = Authority("CA")
        cert = authority.issue("a").pem(f"{self.path}.pem")
        bundle = authority.pem(f"{self.path}.ca")
        log = Recording()
        verification = VerificationPolicy(True, True, True)
        for version in (0x0303, 0x0304):
            server = build_context(
                TLSPolicy(
                    *("s", Role.SERVER, (cert,), None, TrustPolicy(bundle), verification),
                    max_version=version,
                ),
                log.scope,
                lambda _prompt: None,
            )
            path = Path(f"{self.path}.{version}")
            policy = TLSPolicy("c", Role.CLIENT, identity_files=(cert,), key_log=str(path))
            client = build_context(policy, log.scope, lambda _prompt: None)
            meeting = Meeting(server, client).shake()
            self.addCleanup(meeting.close)
            self.assertTrue(meeting.accepted, meeting.server.refusal)
            kinds = {line.split()[0] for line in path.read_bytes().splitlines()}
            wanted = {b"CLIENT_RANDOM"}
            if version > 0x0303:
                ends, stages = (b"CLIENT", b"SERVER"), (b"HANDSHAKE_TRAFFIC", b"TRAFFIC")
                wanted = {
                    *(b"%s_%s_SECRET" % (end, stages[0]) for end in ends),
                    *(b"%s_%s_SECRET_0" % (end, stages[1]) for end in ends),
                    b"EXPORTER_SECRET",
                }
            self.assertEqual(kinds, wanted)

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
