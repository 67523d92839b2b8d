"""Tests of a tunnel's negotiation: stages on real connections, headers, refusals."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, cast

from attrs import field, frozen
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import LimitExceeded, OperatingError, PeerRefused
from stunnel_tx.negotiation.destinations import DestinationPolicy
from stunnel_tx.negotiation.limits import LINES
from stunnel_tx.negotiation.peer import Endpoint, NegotiationOptions
from stunnel_tx.negotiation.protocols import socks
from stunnel_tx.negotiation.proxy_header import encode_v1, encode_v2
from stunnel_tx.negotiation.stages import Stages
from stunnel_tx.negotiation.upgrades import refusal
from stunnel_tx.tls.connection import TLSFacts
from stunnel_tx.tls.policy import VerificationPolicy
from stunnel_tx.tunnel.chosen import Chooser
from stunnel_tx.tunnel.destination import Connector
from stunnel_tx.tunnel.dialogues import REFUSAL_WAIT, Dialogues, NegotiationPolicy
from stunnel_tx.tunnel.task import Cancelled
from tests.doubles.destinations import permit, senders
from tests.doubles.driving import Driver
from tests.doubles.encrypted import tls_pair
from tests.doubles.recording import Recording
from tests.tunnel.test_chosen import SystemResolver

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation
    from stunnel_tx.tls.handshake import TLSContext
    from stunnel_tx.tunnel.destination import Destination
    from stunnel_tx.tunnel.task import Task

SOURCE, TARGET = Endpoint("192.0.2.1", 1025), Endpoint("192.0.2.2", 443)

BUSY, IDLE = 300.0, 1000.0


@frozen
class _Policy:
    verification: VerificationPolicy = field(factory=VerificationPolicy)


@frozen
class FixedContext:
    """Stands for a TLS context that tells what was negotiated."""

    policy: _Policy = field(factory=_Policy)

    def facts(self, _connection: SSL.Connection) -> TLSFacts:
        """Always the same."""
        return TLSFacts("TLSv1.3", "CIPHER", 128, None, "a.example", None)


CONTEXT = cast("TLSContext", FixedContext())


class NoDestination:
    """Stands for the service's own destination, which must not be used."""

    async def connect(self, task: Task, scope: object) -> socket.socket:
        """Fails the test."""
        raise AssertionError("the service's own destination was used")


NOWHERE = cast("Destination", NoDestination())


async def greet(conversation: Conversation) -> None:
    """Exchange a line with both sides."""
    await conversation.local.send(b"220 hello\r\n")
    await conversation.far().send(await conversation.local.read_line())


async def refuse(conversation: Conversation, error: Exception) -> None:
    """Say no."""
    await conversation.local.send(f"554 {error}\r\n".encode())


class DialoguesCase(SynchronousTestCase):
    """A client, ourselves, and a remote side."""

    def setUp(self) -> None:
        self.driver = Driver()
        self.log = Recording()
        self.ours, self.client = socket.socketpair()
        self.outgoing, self.remote = socket.socketpair()
        for each in (self.ours, self.outgoing):
            each.setblocking(False)
        for each in (self.ours, self.client, self.outgoing, self.remote):
            self.addCleanup(each.close)

    def dialogues(self, task: Task, policy: NegotiationPolicy) -> Dialogues:
        """What is tested."""
        return Dialogues(task, policy, self.ours, self.log.scope, task.limit("TIMEOUTbusy", BUSY))


class StageTests(DialoguesCase):
    """Stages in their places."""

    def test_stages(self) -> None:
        """Each stage runs with the sides it is to have."""
        policy = NegotiationPolicy(Stages(middle=greet, connects_first=True))

        async def whole(task: Task) -> None:
            talks = self.dialogues(task, policy)
            self.assertTrue(talks.connects_first)
            await talks.opened()
            await talks.joined(self.outgoing)
            await talks.middle()
            await talks.late(IDLE)
            self.assertFalse(talks.finished)

        self.client.sendall(b"EHLO\r\n\x16\x03")
        self.driver.run(whole)
        self.assertEqual(self.remote.recv(100), b"EHLO")
        self.assertEqual(self.ours.recv(100), b"\x16\x03")

    def test_finished(self) -> None:
        """After a goodbye no further stage runs."""

        async def leave(conversation: Conversation) -> None:
            await conversation.local.send(b"221 bye\r\n")
            conversation.finished = True

        policy = NegotiationPolicy(Stages(early=leave, middle=greet))

        async def whole(task: Task) -> bool:
            talks = self.dialogues(task, policy)
            await talks.opened()
            await talks.middle()
            await talks.part()
            return talks.finished

        running = self.driver.start(whole)
        self.assertEqual((self.client.recv(100), self.client.recv(100)), (b"221 bye\r\n", b""))
        self.client.close()
        self.assertTrue(self.driver.finish(running).result)

    def test_one_allowance(self) -> None:
        """The lines before TLS and inside it count together."""
        pair = tls_pair()
        self.addCleanup(pair.close)
        self.ours = pair.our_socket
        pair.theirs.send(b"x\r\n" * LINES)

        async def read(conversation: Conversation) -> None:
            for _ in range(LINES):
                await conversation.local.read_line()

        async def whole(task: Task) -> None:
            talks = self.dialogues(task, NegotiationPolicy(Stages(middle=read)))
            talks.encrypted(CONTEXT, pair.ours, local=True)
            await talks.middle()
            pair.theirs.send(b"x\r\n")
            await talks.conversation.local.read_line()

        self.assertRaises(LimitExceeded, self.driver.run, whole)

    def test_remote_inside_tls(self) -> None:
        """In client mode the late stage speaks to the remote side inside TLS."""
        pair = tls_pair()
        self.addCleanup(pair.close)

        async def announce(conversation: Conversation) -> None:
            await conversation.far().send(b"secret")

        async def whole(task: Task) -> None:
            talks = self.dialogues(task, NegotiationPolicy(Stages(late=announce)))
            await talks.joined(pair.our_socket)
            talks.encrypting(local=False)
            talks.encrypted(CONTEXT, pair.ours, local=False)
            self.assertIsNone(talks.conversation.session)
            await talks.late(IDLE)

        self.driver.run(whole)
        self.assertEqual(pair.theirs.recv(100), b"secret")


class HeaderTests(DialoguesCase):
    """PROXY headers beside any protocol."""

    def test_passed_on(self) -> None:
        """What a listed peer says of its client is believed and passed on, TLS included."""
        policy = NegotiationPolicy(send_proxy=2, accept_proxy=senders("unix"))
        pair = tls_pair()
        self.addCleanup(pair.close)
        self.client.sendall(encode_v1(SOURCE, TARGET) + b"\x16")

        async def whole(task: Task) -> None:
            talks = self.dialogues(task, policy)
            await talks.introduced()
            await talks.opened()
            talks.encrypted(CONTEXT, pair.ours, local=True)
            await talks.joined(self.outgoing)

        self.driver.run(whole)
        self.assertEqual(self.ours.recv(10), b"\x16")
        sent = self.remote.recv(1000)
        self.assertTrue(sent.startswith(encode_v2(SOURCE, TARGET, checksum=False)[:14]))
        self.assertIn(b"a.example", sent)
        self.assertIn(b"TLSv1.3", sent)

    def test_before_tls(self) -> None:
        """A remote side reached before TLS gets its header first, and no lies about TLS."""
        policy = NegotiationPolicy(send_proxy=1)

        async def whole(task: Task) -> None:
            talks = self.dialogues(task, policy)
            await talks.opened()
            await talks.joined(self.outgoing)

        self.driver.run(whole)
        self.assertEqual(self.remote.recv(1000), b"PROXY UNKNOWN\r\n")

    def test_unlisted(self) -> None:
        """From a peer that is not listed no header is taken."""
        policy = NegotiationPolicy(accept_proxy=senders("10.0.0.0/8"))
        self.client.sendall(encode_v1(SOURCE, TARGET))
        self.driver.run(lambda task: self.dialogues(task, policy).introduced())
        self.assertTrue(self.ours.recv(10).startswith(b"PROXY"))


class FailureTests(DialoguesCase):
    """Refusals reach the local side while it can understand them."""

    POLICY = NegotiationPolicy(Stages(refuse=refuse))

    def test_told(self) -> None:
        """A client that is still in clear reads the refusal, although it said more."""
        self.client.sendall(b"unread")
        running = self.driver.start(
            lambda task: self.dialogues(task, self.POLICY).failed(PeerRefused("no"))
        )
        self.assertEqual((self.client.recv(100), self.client.recv(100)), (b"554 no\r\n", b""))
        self.client.close()
        self.assertIs(self.driver.finish(running).result, True)

    def test_told_inside_tls(self) -> None:
        """Inside TLS the refusal is followed by close_notify."""
        pair = tls_pair()
        self.addCleanup(pair.close)
        self.ours = pair.our_socket

        async def whole(task: Task) -> bool:
            talks = self.dialogues(task, NegotiationPolicy(Stages(refuse=refusal(b"554 no\r\n"))))
            # In clear it has been told that TLS comes now.
            talks.conversation.refused = True
            talks.encrypting(local=True)
            talks.encrypted(CONTEXT, pair.ours, local=True)
            return await talks.failed(PeerRefused("no"))

        running = self.driver.start(whole)
        self.assertEqual(pair.theirs.recv(100), b"554 no\r\n")
        self.assertRaises(SSL.ZeroReturnError, pair.theirs.recv, 100)
        pair.their_socket.close()
        self.assertIs(self.driver.finish(running).result, True)

    def test_not_told(self) -> None:
        """In a handshake, while stopping, and without words nothing is said."""

        async def muted(task: Task) -> bool:
            talks = self.dialogues(task, self.POLICY)
            talks.encrypting(local=True)
            return await talks.failed(PeerRefused("no"))

        async def stopping(task: Task) -> bool:
            return await self.dialogues(task, self.POLICY).failed(Cancelled("stop"))

        async def silent(task: Task) -> bool:
            return await self.dialogues(task, NegotiationPolicy()).failed(PeerRefused("no"))

        for whole in (muted, stopping, silent):
            self.assertIs(self.driver.run(whole), False)
        self.ours.close()
        self.assertEqual(self.client.recv(100), b"")

    def test_deaf_client(self) -> None:
        """A client that does not read is waited for briefly, and one that is gone not at all."""

        async def flood(conversation: Conversation, error: Exception) -> None:
            await conversation.local.send(bytes(10_000_000))

        policy = NegotiationPolicy(Stages(refuse=flood))
        running = self.driver.start(
            lambda task: self.dialogues(task, policy).failed(PeerRefused("no"))
        )
        self.assertFalse(running.done)
        self.driver.clock.advance(REFUSAL_WAIT + 1)
        self.assertEqual((running.result, running.error), (False, None))
        self.client.close()
        gone = self.driver.run(lambda task: self.dialogues(task, policy).failed(PeerRefused("no")))
        self.assertIs(gone, False)


class ChoiceTests(DialoguesCase):
    """Destinations that clients choose."""

    def policy(self) -> NegotiationPolicy:
        """SOCKS to loopback."""
        stages = socks.NEGOTIATION.server
        assert stages is not None
        allowed = DestinationPolicy((permit("127.0.0.0/8"),))
        chooser = Chooser("SOCKS", allowed, SystemResolver(), Connector((), 10))
        return NegotiationPolicy(stages, NegotiationOptions(), chooser)

    def test_chosen(self) -> None:
        """The client's destination is connected and answered, in the place of the service's."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        port = listener.getsockname()[1]
        self.client.sendall(b"\4\1" + port.to_bytes(2, "big") + b"\x7f\0\0\1\0")

        async def whole(task: Task) -> None:
            talks = self.dialogues(task, self.policy())
            await talks.middle()
            sock = await talks.connect(NOWHERE)
            self.addCleanup(sock.close)
            await talks.joined(sock)
            await talks.late(IDLE)

        self.driver.run(whole)
        accepted, peer = listener.accept()
        accepted.close()
        self.assertEqual(
            self.client.recv(100), b"\0\x5a" + peer[1].to_bytes(2, "big") + b"\x7f\0\0\1"
        )

    def test_resolve(self) -> None:
        """A name is looked up under the same policy."""
        self.client.sendall(b"\4\xf0\0\0\x7f\0\0\1\0")

        async def whole(task: Task) -> bool:
            talks = self.dialogues(task, self.policy())
            await talks.middle()
            return talks.finished

        self.assertTrue(self.driver.run(whole))
        self.assertEqual(self.client.recv(100), b"\0\x5a\0\0\x7f\0\0\1")

    def test_nobody_connects(self) -> None:
        """A protocol that chooses does not fall back on the service's own destination."""

        async def whole(task: Task) -> None:
            talks = self.dialogues(task, NegotiationPolicy(Stages(chooses_destination=True)))
            talks.conversation.destination = TARGET
            await talks.connect(NOWHERE)

        async def nothing_chosen(task: Task) -> None:
            await self.dialogues(task, self.policy()).connect(NOWHERE)

        self.assertRaises(OperatingError, self.driver.run, whole)
        self.assertRaises(OperatingError, self.driver.run, nothing_chosen)
