"""Tests of an application's addresses: endpoint strings and UNIX sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from stunnel_tx.errors import ConfigurationErrors, OperatingError
from tests.doubles.applications import ApplicationTestCase
from tests.doubles.negotiated import Party
from tests.doubles.socket_paths import socket_path


class EndpointTests(ApplicationTestCase):
    """Twisted endpoint strings in accept and connect."""

    def test_accept(self) -> None:
        """tcp: and unix: strings serve like stunnel's own addresses."""
        path = socket_path()
        self.rig.run(
            self.rig.service(accept="tcp:0:interface=127.0.0.1"),
            self.rig.service(name="b", accept=f"unix:{path}"),
        )
        self.talk()
        sock = socket.socket(socket.AF_UNIX)
        self.rig.open.append(sock)
        sock.connect(path)
        sock.setblocking(False)
        user = self.rig.shake(sock)
        user.send(b"x")
        self.rig.accepted()

    def test_wrapped(self) -> None:
        """A string whose endpoint wraps its transports is bridged.

        Of the two headers that this one wants, the endpoint takes the first.
        """
        self.rig.run(self.rig.service(accept="haproxy:haproxy:tcp:0:interface=127.0.0.1"))
        sock = self.rig.dial()
        sock.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
        sock.send(b"PROXY TCP4 192.0.2.7 192.0.2.8 1111 2222\r\n")
        user = self.rig.shake(sock)
        backend_socket = self.rig.accepted()
        self.assertEqual(self.named(), ["192.0.2.7:1111"])
        user.send(b"through the bridge")
        data = bytearray()

        def arrived() -> bool:
            try:
                data.extend(backend_socket.recv(100))
            except BlockingIOError:
                return False
            return len(data) >= 18

        self.rig.until(arrived, user)
        self.assertEqual(bytes(data), b"through the bridge")

    def named(self) -> list[str]:
        """Who the log says has come."""
        start = "Service [test] accepted connection from "
        return [text[len(start) :] for text in self.rig.log.texts if text.startswith(start)]

    def check_haproxy(self, accept: str, sock: socket.socket | None = None) -> None:
        """The client is whom the header names, in the log and for the backend.

        It is so from the first line on, before TLS and although the server is to speak first;
        the balancer's address is in no line that is not for debugging.
        """
        lines = "sendProxy = 1", "protocol = smtp", "debug = 7"
        self.rig.run(self.rig.service(*lines, accept=accept))
        if sock is None:
            # An address, as a port could be that of another connection, too.
            balancer, where = "127.0.0.5", ("127.0.0.1", self.rig.port())
            sock = socket.create_connection(where, source_address=(balancer, 0))
        else:
            balancer = "unix"
            sock.connect(accept.rpartition(":")[2])
        self.rig.open.append(sock)
        sock.send(b"PROXY TCP4 192.0.2.7 192.0.2.8 1111 2222\r\n")
        backend = self.rig.accepted()
        self.assertEqual(self.named(), ["192.0.2.7:1111"])
        Party(self.rig, backend).hear(b"PROXY TCP4 192.0.2.7 192.0.2.8 1111 2222\r\n")
        sock.close()
        self.rig.until(lambda: not self.rig.application.runtime.tunnels)
        texts = [text for level, _, text in self.rig.log.lines if 0 < level < 7]
        self.assertEqual([text for text in texts if balancer in text], [])

    def test_haproxy(self) -> None:
        """Behind haproxy:tcp: the client's address is that of the header."""
        self.check_haproxy("haproxy:tcp:0:interface=127.0.0.1")

    def test_haproxy_unix(self) -> None:
        """So it is behind haproxy:unix:, where there was no address at all."""
        self.check_haproxy(f"haproxy:unix:{socket_path()}", socket.socket(socket.AF_UNIX))

    def test_haproxy_without_header(self) -> None:
        """Who sends no header is turned away, and named as who he is."""
        self.rig.run(self.rig.service(accept="haproxy:tcp:0:interface=127.0.0.1"))
        sock = self.rig.dial()
        host, port = sock.getsockname()
        sock.send(b"GET / HTTP/1.0\r\n\r\n")
        self.rig.until(self.rig.errors)
        self.assertEqual(self.named(), [f"{host}:{port}"])
        (error,) = self.rig.errors()
        self.assertIn("no PROXY protocol header", error)
        self.assertIn(f"client {host}:{port}", error)

    def test_haproxy_and_silence(self) -> None:
        """The header has no more time than anything else before the relay."""
        self.rig.run(
            self.rig.service("TIMEOUTbusy = 5", accept="haproxy:tcp:0:interface=127.0.0.1")
        )
        self.rig.dial()
        self.rig.until(lambda: self.rig.application.runtime.tunnels)
        self.rig.turner.advance(6)
        self.rig.until(lambda: not self.rig.application.runtime.tunnels)
        self.assertEqual(len(self.named()), 1)
        self.assertEqual(len(self.rig.errors()), 1, self.rig.errors())

    def test_haproxy_beside_a_plain_address(self) -> None:
        """Headers are wanted at that address alone, over a reload too."""
        sections = (
            self.rig.service(accept="haproxy:tcp:0:interface=127.0.0.1"),
            self.rig.service(name="b"),
        )
        self.rig.run(*sections)
        for _ in range(2):
            sock = self.rig.dial()
            sock.send(b"PROXY TCP4 192.0.2.7 192.0.2.8 1111 2222\r\n")
            self.rig.shake(sock)
            self.rig.accepted()
            self.talk(1)
            self.rig.reload()
        self.assertEqual(self.named(), ["192.0.2.7:1111"] * 2)

    def test_haproxy_string_that_is_wrong(self) -> None:
        """A mistake behind haproxy: is told with the whole string."""
        self.rig.write(self.rig.service(accept="haproxy:tcp:x"))
        error = self.assertRaises(ConfigurationErrors, self.rig.application.load)
        self.assertIn("test.conf:6: Service [test]: endpoint haproxy:tcp:x: ", str(error))

    def test_socket_options(self) -> None:
        """Those of ``a:`` reach the socket behind a string, at start and on a reload."""
        accept = "tcp:0:interface=127.0.0.1"
        for value in ("yes", "no"):
            section = self.rig.service(f"socket = a:SO_KEEPALIVE={value}", accept=accept)
            if value == "yes":
                self.rig.run(section)
            else:
                self.rig.write(section)
                self.rig.reload()
            with socket.socket(fileno=os.dup(self.rig.fds()[0])) as sock:
                kept = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            self.assertEqual(kept, int(value == "yes"))
        self.talk()

    def test_connect(self) -> None:
        """tcp: and unix: strings lead to the backend."""
        path = socket_path()
        unix = socket.socket(socket.AF_UNIX)
        self.rig.open.append(unix)
        unix.bind(path)
        unix.listen(1)
        unix.setblocking(False)
        self.rig.run(
            self.rig.service(f"connect = tcp:127.0.0.1:{self.rig.connect}"),
            self.rig.service(f"connect = unix:{path}", name="b"),
        )
        self.talk()
        tcp, self.rig.backend = self.rig.backend, unix
        self.talk(1)
        self.rig.backend = tcp

    def test_refused_endpoint(self) -> None:
        """An endpoint that does not connect leads to the next target."""
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            refusing = closed.getsockname()[1]
            self.rig.run(
                self.rig.service(
                    f"connect = tcp:127.0.0.1:{refusing}",
                    f"connect = tcp:127.0.0.1:{self.rig.connect}",
                    "failover = prio",
                )
            )
            self.talk()
        self.assertEqual(len([text for text in self.rig.errors() if "s_connect" in text]), 1)


class UnixTests(ApplicationTestCase):
    """UNIX sockets to accept on."""

    def test_serves_and_cleans_up(self) -> None:
        """The socket file is there while it serves, and gone afterwards."""
        path = socket_path()
        self.rig.run(self.rig.service(accept=path))
        sock = socket.socket(socket.AF_UNIX)
        self.rig.open.append(sock)
        sock.connect(path)
        sock.setblocking(False)
        self.rig.shake(sock)
        self.rig.accepted()
        self.rig.application.stop()
        self.assertFalse(Path(path).exists())

    def test_stale_file(self) -> None:
        """A file that a dead process left is replaced."""
        path = socket_path()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        self.rig.run(self.rig.service(accept=path))
        self.assertEqual(len(self.rig.fds()), 1)

    def test_live_file(self) -> None:
        """A socket that somebody listens on, and a file that is none, are left alone."""
        path = socket_path()
        live = socket.socket(socket.AF_UNIX)
        self.rig.open.append(live)
        live.bind(path)
        live.listen(1)
        plain = Path(socket_path())
        plain.write_text("precious")
        for taken in (path, str(plain)):
            self.rig.write(self.rig.service(accept=taken))
            self.rig.application.load()
            self.assertRaises(OperatingError, self.rig.application.bind)
            self.assertTrue(Path(taken).exists())
        self.assertEqual(plain.read_text(), "precious")
