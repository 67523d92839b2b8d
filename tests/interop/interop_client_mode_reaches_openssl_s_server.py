"""Client mode talks to ``openssl s_server``, the plain program behind it knows nothing of TLS."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from tests.doubles.wire import dial, exchange, read_to_end
from tests.interop.stage import Stage, port_of

if TYPE_CHECKING:
    from tests.doubles.real_programs import RealProgram


class SServerTests(Stage):
    """Each TLS version, as OpenSSL's own server speaks it."""

    def s_server(self, *options: str) -> RealProgram:
        """OpenSSL's server on a port of its choice, with our certificate."""
        command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "server.pem"]
        return self.start("s_server", [*command, "-key", "server.pem", *options])

    def reach(self, s_server: RealProgram) -> RealProgram:
        """Client mode in front of it."""
        port = int(s_server.said(r"^ACCEPT \S*:(\d+)$")[1])
        return self.client_mode(port)

    def check_reversed(self, option: str, version: str) -> None:
        """Lines come back reversed, in the *version* that *option* forces."""
        client = self.reach(self.s_server(option, "-rev"))
        with dial(port_of(client, "client")) as sock:
            sock.sendall(b"stunnel\n")
            self.assertEqual(sock.recv(100), b"lennuts\n")
        client.said(rf"{version} ciphersuite: ")
        client.said("Certificate accepted at depth=0")

    def test_tls_1_2(self) -> None:
        """TLS 1.2 is spoken and carries bytes both ways."""
        self.check_reversed("-tls1_2", "TLSv1.2")

    def test_tls_1_3(self) -> None:
        """TLS 1.3 is spoken and carries bytes both ways."""
        self.check_reversed("-tls1_3", "TLSv1.3")

    def test_www(self) -> None:
        """A plain HTTP request gets the status page of ``s_server -www``, to its last byte."""
        client = self.reach(self.s_server("-www"))
        with dial(port_of(client, "client")) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            page = read_to_end(sock)
        self.assertTrue(page.startswith(b"HTTP/1.0 200 ok\r\n"), page[:100])
        self.assertTrue(page.rstrip().endswith(b"</HTML>"), page[-100:])

    def test_serves_a_file(self) -> None:
        """A file asked of ``s_server -WWW`` arrives unchanged, also by a half-closed client."""
        content = bytes(range(256)) * 1024
        (self.directory / "file.bin").write_bytes(content)
        client = self.reach(self.s_server("-WWW"))
        answer = exchange(port_of(client, "client"), b"GET /file.bin HTTP/1.0\r\n\r\n")
        self.assertTrue(answer.endswith(content), answer[:200])

    def test_wrong_port(self) -> None:
        """A server that speaks no TLS is told apart, and its client gets nothing."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = self.client_mode(listening.getsockname()[1])
            with dial(port_of(client, "client")) as sock:
                other, _ = listening.accept()
                with other:
                    other.sendall(b"220 mail.example ESMTP\r\n")
                    self.assertRaises(ConnectionResetError, sock.recv, 100)
        client.said("SSL_connect: .*may not speak TLS.*: client 127.0.0.1:")
