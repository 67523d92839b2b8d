"""Tests of revocation in real handshakes: what CRLfile, CRLpath and CRLcheckChain come to."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError
from stunnel_tx.tls import handshake
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.policy import (
    RevocationPolicy,
    Role,
    TLSPolicy,
    TrustPolicy,
    VerificationPolicy,
)
from tests.doubles.certificates import DAY, NOW, Authority, Issued
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording
from tests.tls.hashed import subject_hash

if TYPE_CHECKING:
    from stunnel_tx.tls.handshake import TLSContext

CHAIN = VerificationPolicy(True, True, True)
VERSIONS = (0x0303, 0x0304)


class RevocationTestCase(SynchronousTestCase):
    """A root, an intermediate, a leaf that was revoked and one that was not."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.root = Authority("Root")
        self.inner = Authority("Inner", parent=self.root)
        self.good = self.inner.issue("good", ["a.example"])
        self.revoked = self.inner.issue("revoked", ["a.example"])
        self.trust = TrustPolicy(self.root.pem(self.directory / "root.pem"))
        self.log = Recording()
        self.made = 0

    def file(self, *lists: bytes) -> RevocationPolicy:
        """A CRLfile with *lists*."""
        self.made += 1
        path = self.directory / f"lists{self.made}.pem"
        path.write_bytes(b"".join(lists))
        return RevocationPolicy(str(path))

    def folder(self, *lists: bytes) -> RevocationPolicy:
        """A CRLpath with *lists*, named after their issuers."""
        self.made += 1
        directory = self.directory / f"lists{self.made}"
        directory.mkdir()
        for number, each in enumerate(lists):
            for authority in (self.root, self.inner):
                (directory / f"{subject_hash(authority)}.r{number}").write_bytes(each)
        return RevocationPolicy(crl_path=str(directory))

    def policy(self, role: Role, issued: Issued | None = None, **values: Any) -> TLSPolicy:
        """The policy of an end that has the certificate *issued*."""
        files: tuple[str, ...] = ()
        if issued is not None:
            serial = issued.cert.serial_number
            files = (issued.pem(self.directory / f"{serial}.pem"),)
        return TLSPolicy("s", role, files, **values)

    def build(self, policy: TLSPolicy) -> TLSContext:
        """A context."""
        return build_context(policy, self.log.scope, lambda _prompt: None)

    def meet(
        self, judge: Role, peer: Issued, revocation: RevocationPolicy, version: int = 0, **more: Any
    ) -> Meeting:
        """A handshake of *peer* with the end in role *judge*, which looks at *revocation*."""
        values = {"trust": self.trust, "verification": CHAIN, "revocation": revocation, **more}
        values["max_version"] = version
        if judge is Role.SERVER:
            server = self.build(self.policy(Role.SERVER, self.good, **values))
            client = self.build(self.policy(Role.CLIENT, peer))
        else:
            server = self.build(self.policy(Role.SERVER, peer))
            client = self.build(self.policy(Role.CLIENT, None, **values))
        meeting = Meeting(server, client)
        self.addCleanup(meeting.close)
        return meeting.shake()


class TableTests(RevocationTestCase):
    """The rows of the reference: which lists are there, leaf only or the whole chain."""

    def rows(self) -> list[tuple[str, tuple[bytes, ...], Issued, str, str]]:
        """Name, lists, peer, and what is wrong for the leaf only and for the whole chain.

        Nothing wrong is an empty text; else an error and an alert.
        """
        old = {"last": NOW - 2 * DAY, "until": NOW - DAY}
        inner, root = self.inner.crl(self.revoked), self.root.crl()
        missing = "unable to get certificate CRL"
        return [
            ("intermediate's only", (inner,), self.good, "", missing),
            ("both", (inner, root), self.good, "", ""),
            (
                "intermediate revoked",
                (inner, self.root.crl(self.inner.issued)),
                self.good,
                "",
                "certificate revoked",
            ),
            ("root's expired", (inner, self.root.crl(**old)), self.good, "", "CRL has expired"),
            (
                "intermediate's expired",
                (self.inner.crl(**old), root),
                self.good,
                "CRL has expired",
                "CRL has expired",
            ),
            (
                "leaf revoked",
                (inner, root),
                self.revoked,
                "certificate revoked",
                "certificate revoked",
            ),
        ]

    def check(self, role: Role, *, folder: bool) -> None:
        """Go through the table."""
        for name, lists, peer, leaf_only, whole in self.rows():
            for chain, wrong in ((False, leaf_only), (True, whole)):
                found = self.folder(*lists) if folder else self.file(*lists)
                policy = RevocationPolicy(found.crl_file, found.crl_path, chain)
                meeting = self.meet(role, peer, policy)
                judge = meeting.server if role is Role.SERVER else meeting.client
                where = f"{name}, chain {chain}, {role}, {judge.log.texts}"
                self.assertEqual(meeting.accepted, not wrong, where)
                if wrong:
                    depth = 1 if not leaf_only else 0
                    self.assertIn(f"CERT: Pre-verification error: {wrong}", judge.log.texts, where)
                    rejected = f"Rejected by CERT at depth={depth}: "
                    self.assertTrue(
                        [each for each in judge.log.texts if each.startswith(rejected)], where
                    )

    def test_server_file(self) -> None:
        """A server looks its clients up in a file."""
        self.check(Role.SERVER, folder=False)

    def test_server_directory(self) -> None:
        """A server looks its clients up in a directory."""
        self.check(Role.SERVER, folder=True)

    def test_client_file(self) -> None:
        """A client looks its server up in a file."""
        self.check(Role.CLIENT, folder=False)

    def test_client_directory(self) -> None:
        """A client looks its server up in a directory."""
        self.check(Role.CLIENT, folder=True)

    def test_alert(self) -> None:
        """The peer is told that its certificate was revoked."""
        for version in VERSIONS:
            lists = self.file(self.inner.crl(self.revoked))
            meeting = self.meet(Role.SERVER, self.revoked, lists, version)
            self.assertIn("alert certificate revoked", meeting.client.refusal)

    def test_pin_alone(self) -> None:
        """Revocation counts with verifyPeer too, where the chain can be built."""
        bundle = self.directory / "peers.pem"
        bundle.write_bytes(self.revoked.cert_pem() + Path(self.directory / "root.pem").read_bytes())
        meeting = self.meet(
            Role.SERVER,
            self.revoked,
            self.file(self.inner.crl(self.revoked)),
            trust=TrustPolicy(str(bundle)),
            verification=VerificationPolicy(True, True, False, True),
        )
        self.assertFalse(meeting.accepted)


class ResumedTests(RevocationTestCase):
    """Sessions whose certificate is looked up again."""

    def resume(self, revocation: RevocationPolicy, later: float, version: int) -> Meeting:
        """Resume a session of the good client after *later* days."""
        values = {"trust": self.trust, "verification": CHAIN, "revocation": revocation}
        server = self.build(self.policy(Role.SERVER, self.good, max_version=version, **values))
        client = self.build(self.policy(Role.CLIENT, self.good))
        first = Meeting(server, client).shake()
        self.addCleanup(first.close)
        self.assertTrue(first.accepted, first.server.refusal)
        self.patch(handshake, "_now", lambda: NOW + later * DAY)
        again = Meeting(server, client, first.session())
        self.addCleanup(again.close)
        return again.shake()

    def test_list_expires_in_between(self) -> None:
        """A session is not resumed on the word of a list that has expired since."""
        for version in VERSIONS:
            for days, good in ((0.0, True), (0.6, False)):
                lists = self.file(self.inner.crl(until=NOW + DAY / 2))
                meeting = self.resume(lists, days, version)
                self.assertEqual(meeting.accepted, good, meeting.server.refusal)

    def test_newer_list_may_be_in_the_directory(self) -> None:
        """With a directory, whose lists are read anew, an old list decides nothing."""
        lists = self.folder(self.inner.crl(until=NOW + DAY / 2))
        self.assertTrue(self.resume(lists, 0.6, 0x0304).accepted)


class WholeChainTests(RevocationTestCase):
    """CRLcheckChain: no session keeps the chain, so that every handshake is a full one."""

    def again(self, role: Role, version: int) -> tuple[RevocationPolicy, Meeting, Meeting]:
        """Two handshakes of the same two ends, the second yet to begin; and where the lists are."""
        lists = self.folder(self.inner.crl(), self.root.crl())
        lists = RevocationPolicy(crl_path=lists.crl_path, whole_chain=True)
        values = {"trust": self.trust, "verification": CHAIN, "revocation": lists}
        values["max_version"] = version
        judge = self.build(self.policy(role, self.good, **values))
        peer = self.build(self.policy(other(role), self.good))
        ends = (judge, peer) if role is Role.SERVER else (peer, judge)
        first = Meeting(*ends).shake()
        self.addCleanup(first.close)
        self.assertTrue(first.accepted, (first.server.refusal, first.client.refusal))
        # The client has had its tickets, and offers what it keeps by itself.
        first.session()
        for end in (first.server, first.client):
            end.context.release(end.connection)
        second = Meeting(*ends)
        self.addCleanup(second.close)
        return lists, first, second

    def test_full_handshake(self) -> None:
        """The second connection of a good peer is good, by a handshake of its own."""
        for role in Role:
            for version in VERSIONS:
                _, _, second = self.again(role, version)
                second.shake()
                self.assertTrue(second.accepted, (second.server.refusal, second.client.refusal))
                texts = second.server.log.texts + second.client.log.texts
                self.assertIn("TLS accepted: new session negotiated", texts)
                self.assertIn("TLS connected: new session negotiated", texts)
                offered = [each for each in texts if each.startswith("Attempting to resume")]
                self.assertFalse(offered and role is Role.CLIENT, offered)

    def test_authority_revoked_in_between(self) -> None:
        """A peer whose issuer has been taken back since is turned down at once."""
        for role in Role:
            for version in VERSIONS:
                lists, _, second = self.again(role, version)
                assert lists.crl_path is not None
                newer = self.root.crl(self.inner.issued, last=NOW - DAY / 2)
                name = f"{subject_hash(self.root)}.r2"
                (Path(lists.crl_path) / name).write_bytes(newer)
                second.shake()
                judge = second.server if role is Role.SERVER else second.client
                self.assertFalse(second.accepted)
                self.assertIn("CERT: Pre-verification error: certificate revoked", judge.log.texts)

    def test_it_is_said(self) -> None:
        """The log says why there is no resumption; nothing is said where there is none to miss."""
        lists = self.file(self.inner.crl(), self.root.crl())
        for chain, wanted, said in (
            (True, True, True),
            (True, False, False),
            (False, True, False),
        ):
            self.log.lines.clear()
            self.build(
                self.policy(
                    Role.SERVER,
                    self.good,
                    trust=self.trust,
                    verification=CHAIN,
                    revocation=RevocationPolicy(lists.crl_file, whole_chain=chain),
                    session_resume=wanted,
                )
            )
            found = [text for text in self.log.texts if "Sessions are not resumed" in text]
            self.assertEqual(len(found), int(said), self.log.texts)


def other(role: Role) -> Role:
    """The opposite end."""
    return Role.CLIENT if role is Role.SERVER else Role.SERVER


class RefusedTests(RevocationTestCase):
    """Lists that cannot be had."""

    def test_missing(self) -> None:
        """A missing file or directory, or one without a list, is an error at start."""
        empty = self.directory / "empty.pem"
        empty.write_bytes(b"nothing\n")
        for policy, text in (
            (RevocationPolicy("gone.pem"), "gone.pem: No such file"),
            (RevocationPolicy(crl_path="gone"), "gone: No such file"),
            (RevocationPolicy(str(empty)), "Failed to load"),
        ):
            error = self.assertRaises(OperatingError, self.meet, Role.SERVER, self.good, policy)
            self.assertIn("Failed to initialize TLS context", str(error))
            self.assertIn(text, str(error))

    def test_scope(self) -> None:
        """Two services with different lists have sessions of their own."""
        used: list[bytes] = []
        self.patch(SSL.Context, "set_session_id", lambda _context, scope: used.append(scope))
        for policy in (self.file(self.inner.crl()), RevocationPolicy()):
            self.build(
                self.policy(
                    Role.SERVER, self.good, trust=self.trust, verification=CHAIN, revocation=policy
                )
            )
        self.assertEqual(len(set(used)), 2)
        self.assertEqual(len(used[0]), hashlib.sha256().digest_size)
