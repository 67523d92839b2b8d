"""Tests of what negotiations learn of sockets and TLS connections."""

from __future__ import annotations

import socket
from pathlib import Path

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import ProtocolViolation
from stunnel_tx.negotiation.peer import Endpoint
from stunnel_tx.negotiation.proxy_header import V2_SIGNATURE, encode_v2
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.policy import Role, TLSPolicy, TrustPolicy, VerificationPolicy
from stunnel_tx.tunnel.conversations import (
    end_text,
    endpoint,
    local_end,
    receive_header,
    remote_end,
    send_header,
    session_of,
)
from tests.doubles.certificates import DER, Authority
from tests.doubles.driving import Driver
from tests.doubles.handshakes import Meeting
from tests.doubles.recording import Recording

SOURCE, TARGET = Endpoint("192.0.2.1", 1025), Endpoint("192.0.2.2", 443)


class EndpointTests(SynchronousTestCase):
    """Socket addresses as values."""

    def test_kinds(self) -> None:
        """Internet addresses, paths, abstract and unnamed sockets."""
        self.assertEqual(endpoint(("192.0.2.1", 80)), Endpoint("192.0.2.1", 80))
        self.assertEqual(endpoint(("::1", 80, 0, 0)), Endpoint("::1", 80))
        self.assertEqual(endpoint("/run/x"), Endpoint("/run/x"))
        self.assertEqual(endpoint(b"\0name"), Endpoint("\0name"))
        self.assertIsNone(endpoint(""))

    def test_text(self) -> None:
        """In the log a path has no port, and a missing one no colon."""
        for end, text in (
            (Endpoint("192.0.2.1", 80), "192.0.2.1:80"),
            (Endpoint("2001:db8::1", 80), "2001:db8::1:80"),
            (Endpoint("192.0.2.1"), "192.0.2.1:0"),
            (Endpoint("/run/x"), "/run/x"),
            (Endpoint(""), "unnamed socket"),
        ):
            self.assertEqual(end_text(end), text)

    def test_ends(self) -> None:
        """Both ends of a connection are told, and none of a socket that is gone."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            near = socket.create_connection(server.getsockname())
            far, _ = server.accept()
        self.assertEqual(local_end(near), remote_end(far))
        near.close()
        far.close()
        self.assertIsNone(local_end(near))
        self.assertIsNone(remote_end(near))


class HeaderTests(SynchronousTestCase):
    """PROXY headers on real sockets."""

    def setUp(self) -> None:
        self.driver = Driver()
        self.log = Recording()
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        for each in (self.ours, self.theirs):
            self.addCleanup(each.close)

    def test_received(self) -> None:
        """A header is taken off, the ClientHello behind it stays, the log names the client."""
        self.theirs.sendall(encode_v2(SOURCE, TARGET) + b"\x16\x03\x01")
        header = self.driver.run(lambda task: receive_header(task, self.ours, self.log.scope))
        self.assertEqual((header.source, header.target), (SOURCE, TARGET))
        self.assertEqual(self.ours.recv(100), b"\x16\x03\x01")
        self.assertEqual(self.log.texts, ["PROXY header of version 2: client 192.0.2.1:1025"])

    def test_unix(self) -> None:
        """A client on a UNIX socket is named by its path alone, if it has one."""
        for path, shown in (("/run/app", "/run/app"), ("", "unnamed socket")):
            ends = [each.encode().ljust(108, b"\0") for each in (path, "/run/service")]
            self.theirs.sendall(V2_SIGNATURE + b"\x21\x31\0\xd8" + b"".join(ends))
            header = self.driver.run(lambda task: receive_header(task, self.ours, self.log.scope))
            self.assertEqual(header.target, Endpoint("/run/service"))
            self.assertEqual(self.log.texts[-1], f"PROXY header of version 2: client {shown}")

    def test_missing(self) -> None:
        """A listed peer that sends no header is refused."""
        self.theirs.sendall(b"\x16\x03\x01\x02\x00")
        self.assertRaises(
            ProtocolViolation,
            self.driver.run,
            lambda task: receive_header(task, self.ours, self.log.scope),
        )

    def test_sent(self) -> None:
        """Either version is sent, as one write."""
        self.driver.run(lambda task: send_header(task, self.ours, 1, SOURCE, TARGET, None))
        self.assertEqual(self.theirs.recv(1000), b"PROXY TCP4 192.0.2.1 192.0.2.2 1025 443\r\n")
        self.driver.run(lambda task: send_header(task, self.ours, 2, SOURCE, TARGET, None))
        self.assertEqual(self.theirs.recv(1000), encode_v2(SOURCE, TARGET))
        self.assertTrue(encode_v2(SOURCE, TARGET).startswith(V2_SIGNATURE))


class SessionTests(SynchronousTestCase):
    """TLS as other protocols want to know it."""

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        authority = Authority("Root")
        self.client = authority.issue("client", ["client.example"])
        self.files = {
            "server": authority.issue("server.example", ["server.example"]).pem(
                directory / "server.pem"
            ),
            "client": self.client.pem(directory / "client.pem"),
            "root": authority.pem(directory / "root.pem"),
        }

    def meet(self, verification: VerificationPolicy, *, certificate: bool) -> Meeting:
        """A handshake with the given demands."""
        trust = TrustPolicy(self.files["root"])
        server = TLSPolicy("s", Role.SERVER, (self.files["server"],), None, trust, verification)
        files = (self.files["client"],) if certificate else ()
        client = TLSPolicy("c", Role.CLIENT, files, server_name="server.example")
        scope = Recording().scope
        ends = [build_context(each, scope, lambda _prompt: None) for each in (server, client)]
        meeting = Meeting(ends[0], ends[1]).shake()
        self.addCleanup(meeting.close)
        self.assertTrue(meeting.accepted)
        return meeting

    def test_verified(self) -> None:
        """Names, version, cipher and the verified certificate are told."""
        verification = VerificationPolicy(request=True, require=True, chain=True)
        meeting = self.meet(verification, certificate=True)
        session = session_of(meeting.server.context, meeting.server.connection)
        self.assertEqual(session.version, "TLSv1.3")
        self.assertTrue(session.cipher.startswith("TLS_"))
        self.assertEqual(session.server_name, "server.example")
        self.assertEqual(session.common_name, "client")
        self.assertEqual(session.certificate, self.client.cert.public_bytes(DER))
        self.assertEqual((session.verified, session.resumed, session.alpn), (True, False, None))

    def test_only_requested(self) -> None:
        """A certificate that nobody judged is not called verified."""
        meeting = self.meet(VerificationPolicy(request=True), certificate=True)
        session = session_of(meeting.server.context, meeting.server.connection)
        self.assertIsNotNone(session.certificate)
        self.assertFalse(session.verified)

    def test_without_certificate(self) -> None:
        """A client without a certificate has no name and is not verified."""
        verification = VerificationPolicy(request=True, chain=True)
        meeting = self.meet(verification, certificate=False)
        session = session_of(meeting.server.context, meeting.server.connection)
        self.assertEqual((session.certificate, session.common_name), (None, None))
        self.assertFalse(session.verified)
        self.assertIsInstance(meeting.server.connection, SSL.Connection)
