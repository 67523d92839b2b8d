"""Our client mode: sessions, protocols and certificates, as other programs' servers see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.doubles.backends import echo
from tests.doubles.wire import dial, exchange, is_reset
from tests.interop.stage import Stage, port_of

if TYPE_CHECKING:
    from tests.doubles.real_programs import RealProgram


class ClientTests(Stage):
    """Counterparts are stunnel4 and ``openssl s_server``."""

    def s_server(self, *options: str) -> RealProgram:
        """OpenSSL's server on a port of its choice, with our certificate."""
        command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "server.pem"]
        return self.start("s_server", [*command, "-key", "server.pem", *options])

    def reach(self, s_server: RealProgram, more: str = "", name: str = "client") -> RealProgram:
        """Client mode in front of it."""
        port = int(s_server.said(r"^ACCEPT \S*:(\d+)$")[1])
        return self.client_mode(port, more, name=name)

    def test_resumes_with_stunnel4(self) -> None:
        """Sessions of stunnel4 are resumed again and again, also while one is in use."""
        for version in ("TLSv1.2", "TLSv1.3"):
            backend = self.backend(echo)
            more = f"sslVersion = {version}\n"
            far = self.server_mode(backend.port, more, program="stunnel4", name=f"far{version}")
            near = self.client_mode(port_of(far, "server"), more, name=f"near{version}")
            port = port_of(near, "client")
            with dial(port) as first:
                first.sendall(b"first\n")
                self.assertEqual(first.recv(100), b"first\n")
                for _ in range(3):
                    self.assertEqual(exchange(port, b"more\n"), b"more\n")
            near.said("TLS connected: previous session reused", 3)
            far.said("TLS accepted: previous session reused", 3)

    def test_resumes_with_s_server(self) -> None:
        """OpenSSL's own server agrees that a session is resumed; sessionResume = no ends that."""
        for version in ("-tls1_2", "-tls1_3"):
            for more, wanted in (("", 2), ("sessionResume = no\n", 0)):
                server = self.s_server(version, "-rev")
                near = self.reach(server, more, f"near{version}{wanted}")
                for _ in range(3):
                    with dial(port_of(near, "client")) as sock:
                        sock.sendall(b"stunnel\n")
                        self.assertEqual(sock.recv(100), b"lennuts\n")
                    near.said("Connection (closed|reset)", 1)
                server.stop()
                found = near.matches("TLS connected: previous session reused")
                self.assertEqual(len(found), wanted, (version, more))

    def test_offers_protocols(self) -> None:
        """s_server settles on one of the names offered; one who must have one leaves without."""
        server = self.s_server("-alpn", "imap", "-rev")
        near = self.reach(server, "alpn = h2,imap\nrequireALPN = yes\n")
        with dial(port_of(near, "client")) as sock:
            sock.sendall(b"stunnel\n")
            self.assertEqual(sock.recv(100), b"lennuts\n")
        near.said("ALPN: negotiated protocol: imap")
        without = self.reach(self.s_server("-rev"), "alpn = h2\nrequireALPN = yes\n", "without")
        self.assertTrue(is_reset(port_of(without, "client")))
        without.said("SSL_connect: no application protocol")

    def test_certificate_by_issuer(self) -> None:
        """The identity is sent whose issuer stunnel4, or s_server, names."""
        identities = "clientIdentity = @foreign.pem\nclientIdentity = @client.pem\n"
        backend = self.backend(echo)
        for authority, name in (("ca.pem", "client"), ("stranger.pem", "localhost")):
            for version in ("TLSv1.2", "TLSv1.3"):
                far = self.server_mode(
                    backend.port,
                    f"verifyChain = yes\nCAfile = @{authority}\nsslVersion = {version}\n",
                    program="stunnel4",
                    name=f"far-{name}-{version}",
                )
                near = self.client_mode(
                    port_of(far, "server"), identities, name=f"near-{name}-{version}"
                )
                self.assertEqual(exchange(port_of(near, "client"), b"hello\n"), b"hello\n")
                far.said(f"Certificate accepted at depth=0: CN={name}")
                near.said(f"Client certificate sent: CN={name} from ")
        options = ("-Verify", "1", "-CAfile", "ca.pem", "-verify_return_error", "-rev")
        near = self.reach(self.s_server(*options), identities, "openssl")
        with dial(port_of(near, "client")) as sock:
            sock.sendall(b"stunnel\n")
            self.assertEqual(sock.recv(100), b"lennuts\n")
        near.said("Client certificate sent: CN=client from ")
