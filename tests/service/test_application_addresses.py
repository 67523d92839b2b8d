"""Tests of an application's addresses: endpoint strings and UNIX sockets."""

from __future__ import annotations

import socket
from pathlib import Path

from stunnel_tx.errors import OperatingError
from tests.doubles.applications import ApplicationTestCase
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
        """A string whose endpoint wraps its transports is bridged, PROXY header and all."""
        self.rig.run(self.rig.service(accept="haproxy:tcp:0:interface=127.0.0.1"))
        sock = self.rig.dial()
        sock.send(b"PROXY TCP4 192.0.2.7 192.0.2.8 1111 2222\r\n")
        user = self.rig.shake(sock)
        backend_socket = self.rig.accepted()
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
