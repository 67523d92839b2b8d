"""Wrong host, unknown authority, expired, or none at all: refused, and the log says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import SSL

from tests.doubles.backends import echo
from tests.doubles.wire import (
    TLS_1_2,
    TLS_1_3,
    TLSEnd,
    client_context,
    exchange,
    refused,
    server_context,
)
from tests.interop.stage import Stage, port_of

if TYPE_CHECKING:
    from tests.doubles.certificates import Issued
    from tests.doubles.real_programs import RealProgram

VERSIONS = (TLS_1_2, TLS_1_3)


class ClientModeTests(Stage):
    """We judge a server."""

    def check(self, identity: Issued, options: str, *reasons: str) -> None:
        """A server that shows *identity* is refused under *options*, for *reasons*, at once."""
        for version in VERSIONS:
            heard: list[bytes] = []

            def talk(end: TLSEnd, heard: list[bytes] = heard) -> None:
                heard.append(end.receive())

            backend = self.tls_backend(talk, server_context(identity, version))
            client = self.tunnels(
                "[client]\nclient = yes\naccept = 127.0.0.1:0\n"
                f"connect = 127.0.0.1:{backend.port}\n{options}",
                "client",
            )
            self.assertTrue(refused(port_of(client, "client")))
            for reason in reasons:
                client.said(rf"LOG[34]\[0\]: .*{reason}")
            client.said(r"LOG4\[0\]: Rejected by CERT at depth=[01]: CN=")
            client.said(
                r"LOG3\[0\]: SSL_connect: .*certificate verify failed.*: client 127\.0\.0\.1"
            )
            client.said(r"Connection (closed/)?reset\S*: 0 byte\(s\) sent to TLS")
            # The server may have finished its handshake: data it must not have got.
            self.assertIn(heard, ([], [b""]))

    def test_wrong_host(self) -> None:
        """A certificate for another name."""
        options = "verifyChain = yes\nCAfile = @ca.pem\ncheckHost = elsewhere.example\n"
        self.check(self.papers.server, options, "CERT: Subject checks failed")

    def test_wrong_address(self) -> None:
        """A certificate for another IP address."""
        options = "verifyChain = yes\nCAfile = @ca.pem\ncheckIP = 127.0.0.2\n"
        self.check(self.papers.server, options, "CERT: Subject checks failed")

    def test_unknown_authority(self) -> None:
        """A certificate of an authority that is not ours."""
        options = "verifyChain = yes\nCAfile = @ca.pem\ncheckHost = localhost\n"
        self.check(self.papers.foreign, options, "CERT: Pre-verification error: .*issuer")

    def test_expired(self) -> None:
        """A certificate whose time is over."""
        options = "verifyChain = yes\nCAfile = @ca.pem\ncheckHost = localhost\n"
        self.check(self.papers.expired, options, "CERT: Pre-verification error: .*expired")

    def test_not_pinned(self) -> None:
        """A good certificate that is not the one we have."""
        options = "verifyPeer = yes\nCAfile = @client.pem\n"
        self.check(self.papers.server, options, "Certificate not found in local repository")

    def test_right_ones(self) -> None:
        """Each check lets the right certificate through."""
        context = server_context(self.papers.server)

        def talk(end: TLSEnd) -> None:
            while data := end.receive():
                end.send(data)
            end.say_goodbye()

        port = self.tls_backend(talk, context).port
        for number, options in enumerate(
            (
                "verifyChain = yes\nCAfile = @ca.pem\ncheckHost = localhost\n",
                "verifyChain = yes\nCAfile = @ca.pem\ncheckIP = 127.0.0.1\n",
                "verifyChain = yes\nCAfile = @ca.pem\ncheckHost = other\ncheckHost = localhost\n",
                "verifyPeer = yes\nCAfile = @server.pem\n",
                "verify = 2\nCAfile = @ca.pem\n",
            )
        ):
            client = self.tunnels(
                f"[client]\nclient = yes\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:{port}\n"
                f"{options}",
                f"client{number}",
            )
            self.assertEqual(exchange(port_of(client, "client"), b"hello"), b"hello", options)

    def test_warned_at_start(self) -> None:
        """A client service without any verification is warned about."""
        client = self.tunnels("[client]\nclient = yes\naccept = 127.0.0.1:0\nconnect = 9\n")
        client.said(r"LOG4\[ui\]: .*Service \[client\] needs authentication to prevent MITM")


class ServerModeTests(Stage):
    """We judge a client."""

    def setUp(self) -> None:
        super().setUp()
        self.echo = self.backend(echo)

    def serving(self, options: str) -> RealProgram:
        """A service that wants certificates."""
        return self.server_mode(self.echo.port, options)

    def speak(self, server: RealProgram, identity: Issued | None, version: int) -> bytes:
        """What a client that shows *identity* gets back for a greeting; errors are its own."""
        context = client_context(version, identity)
        with TLSEnd.dial(port_of(server, "server"), context) as end:
            end.send(b"hello")
            return end.receive()

    def check(self, identity: Issued | None, options: str, *reasons: str) -> None:
        """A client that shows *identity* is refused under *options*, for *reasons*."""
        for version in VERSIONS:
            server = self.serving(options)
            try:
                answer = self.speak(server, identity, version)
            except (SSL.Error, ConnectionError):
                answer = b""
            self.assertEqual(answer, b"")
            for reason in reasons:
                server.said(rf"LOG[34]\[0\]: .*{reason}")
            server.said(r"LOG3\[0\]: SSL_accept: .*: client 127\.0\.0\.1:\d+$")
            server.said(r"Connection \S+: 0 byte\(s\) sent to TLS, 0 byte\(s\) sent to socket$")
            self.assertEqual(self.echo.accepted, 0)

    CHAIN = "verifyChain = yes\nCAfile = @ca.pem\n"

    def test_none(self) -> None:
        """No certificate where one is required, by each of the options that require one."""
        reason = "peer did not return a certificate"
        self.check(None, self.CHAIN, reason)
        self.check(None, "requireCert = yes\n", reason)
        self.check(None, "verifyPeer = yes\nCAfile = @client.pem\n", reason)

    def test_unknown_authority(self) -> None:
        """A certificate of an authority that is not ours."""
        self.check(
            self.papers.foreign, self.CHAIN, "CERT: Pre-verification error: .*issuer",
            "Rejected by CERT at depth=0: CN=localhost", "certificate verify failed",
        )  # fmt: skip

    def test_expired(self) -> None:
        """A certificate whose time is over."""
        self.check(
            self.papers.expired, self.CHAIN, "CERT: Pre-verification error: .*expired",
            "Rejected by CERT at depth=0: CN=localhost", "certificate verify failed",
        )  # fmt: skip

    def test_wrong_host(self) -> None:
        """A client whose certificate is for another name."""
        self.check(
            self.papers.client, self.CHAIN + "checkHost = elsewhere.example\n",
            "CERT: Subject checks failed", "Rejected by CERT at depth=0: CN=client",
        )  # fmt: skip

    def test_not_pinned(self) -> None:
        """A good certificate that is not the one we have."""
        self.check(
            self.papers.server, "verifyPeer = yes\nCAfile = @client.pem\n",
            "Certificate not found in local repository",
        )  # fmt: skip

    def test_right_ones(self) -> None:
        """Each check lets the right certificate through, and no certificate where none is due."""
        for identity, options in (
            (self.papers.client, self.CHAIN),
            (self.papers.client, self.CHAIN + "checkHost = client.example\n"),
            (self.papers.client, "verifyPeer = yes\nCAfile = @client.pem\n"),
            (self.papers.foreign, "requireCert = yes\n"),
            (None, "verify = 1\nCAfile = @ca.pem\n"),
            (None, ""),
        ):
            for version in VERSIONS:
                server = self.serving(options)
                self.assertEqual(self.speak(server, identity, version), b"hello", options)

    def talk(
        self, port: int, context: SSL.Context, session: SSL.Session | None = None
    ) -> SSL.Session | None:
        """One echo on a connection that offers *session*; the session it leaves behind."""
        with TLSEnd.dial(port, context, session=session) as end:
            end.send(b"hello")
            self.assertEqual(end.receive(), b"hello")
            left = end.connection.get_session()
            end.say_goodbye()
            end.receive_to_end()
        return left

    def test_resumed(self) -> None:
        """A client that was accepted may resume its session."""
        for version in VERSIONS:
            server = self.serving(self.CHAIN)
            port = port_of(server, "server")
            context = client_context(version, self.papers.client)
            session = self.talk(port, context)
            self.assertIsNotNone(session)
            self.talk(port, context, session)
            server.said("TLS accepted: previous session reused")

    def test_resumed_elsewhere(self) -> None:
        """A session of an open service is worth nothing to one that wants certificates."""
        where = f"accept = 127.0.0.1:0\nconnect = 127.0.0.1:{self.echo.port}\ncert = @server.pem\n"
        for version in VERSIONS:
            server = self.tunnels(f"[open]\n{where}[closed]\n{where}{self.CHAIN}")
            context = client_context(version)
            session = self.talk(port_of(server, "open"), context)
            self.assertIsNotNone(session)
            accepted = self.echo.accepted
            self.assertRaises(
                (SSL.Error, ConnectionError, self.failureException),
                self.talk, port_of(server, "closed"), context, session,
            )  # fmt: skip
            server.said("SSL_accept: .*peer did not return a certificate")
            self.assertEqual(self.echo.accepted, accepted)
            self.assertEqual(server.matches("previous session reused"), [])
