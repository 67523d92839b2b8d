"""SIGHUP: all of the new file or nothing of it, and no connection is lost on the way."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from tests.doubles.backends import echo, plain
from tests.doubles.real_programs import (
    descriptors,
    eventually,
    free_port,
    settled_descriptors,
)
from tests.doubles.wire import TLSEnd, client_context, dial, exchange, refused
from tests.interop.stage import HEAD, Stage, port_of

if TYPE_CHECKING:
    import socket
    from pathlib import Path

#: Reloads under the fire of new connections.
RELOADS = 10


def shout(sock: socket.socket) -> None:
    """Say back what is heard, in capitals."""
    while data := sock.recv(1000):
        sock.sendall(data.upper())


class ReloadTests(Stage):
    """One plain client, client mode and server mode; the server's file changes."""

    def setUp(self) -> None:
        super().setUp()
        self.echo = self.backend(echo)
        self.shout = self.backend(shout)
        self.fixed = free_port()
        self.far = self.tunnels(self.sections(self.echo.port), "server")
        self.near = self.client_mode(self.fixed)
        self.port = port_of(self.near, "client")
        self.file = self.directory / "server.conf"

    def sections(self, connect: int, more: str = "") -> str:
        """The server's services."""
        return (
            f"[server]\naccept = 127.0.0.1:{self.fixed}\nconnect = 127.0.0.1:{connect}\n"
            f"cert = @server.pem\n{more}"
        )

    def rewrite(self, sections: str) -> Path:
        """Replace the server's file."""
        return self.write("server.conf", sections)

    def reload(self, count: int = 1) -> None:
        """Let it be read, and wait until it is in force."""
        bound = len(self.far.matches("bound to"))
        self.far.signal(signal.SIGHUP)
        self.far.said("bound to", bound + count)
        # Signals are answered in their order: what was asked before this is done.
        listed = len(self.far.matches("Listed "))
        self.far.signal(signal.SIGUSR2)
        self.far.said("Listed ", listed + 1)

    def test_established_tunnels(self) -> None:
        """A tunnel that stands goes on with its old backend, a new one gets the new backend."""
        with dial(self.port) as sock:
            sock.sendall(b"one")
            self.assertEqual(sock.recv(10), b"one")
            self.rewrite(self.sections(self.shout.port))
            self.reload()
            self.assertEqual(exchange(self.port, b"two"), b"TWO")
            sock.sendall(b"three")
            self.assertEqual(sock.recv(10), b"three")

    def test_no_gap(self) -> None:
        """Ten reloads under back-to-back connections refuse none of them."""
        stop = threading.Event()
        served: list[bytes] = []
        failures: list[Exception] = []

        def knock() -> None:
            while not stop.is_set():
                try:
                    served.append(exchange(self.port, b"knock"))
                except OSError as error:
                    failures.append(error)

        threads = [threading.Thread(target=knock) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for number in range(RELOADS):
                self.rewrite(self.sections((self.shout if number % 2 else self.echo).port))
                self.reload()
            eventually(lambda: len(served) > RELOADS, "some have knocked")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(set(served) - {b"knock", b"KNOCK"}, set())
        self.assertEqual(len(self.far.matches("Accepting new connections")), 1)

    def check_kept(self, sections: str, reason: str) -> None:
        """A file with *sections* is refused for *reason*, and the old one stays in force."""
        self.rewrite(sections)
        self.far.signal(signal.SIGHUP)
        self.far.said(r"LOG3\[ui\]: Failed to reload the configuration file$")
        self.far.said(rf"LOG3\[ui\]: .*{reason}")
        self.assertEqual(exchange(self.port, b"as before"), b"as before")

    def test_bad_option(self) -> None:
        """Unknown options: each is named with its line, and the old file stays in force."""
        self.check_kept(
            self.sections(self.shout.port, "colour = green\nfavour = none\n"),
            r"server\.conf:9: .*colour.*",
        )
        self.far.said(r"LOG3\[ui\]: .*server\.conf:10: .*favour")

    def test_bad_certificate(self) -> None:
        """A certificate that cannot be read."""
        text = self.sections(self.shout.port).replace("@server.pem", "@missing.pem")
        self.check_kept(text, r"missing\.pem.*No such file")

    def test_bad_second_service(self) -> None:
        """A second service that cannot listen takes nothing of the first one's change with it."""
        more = f"[more]\naccept = 127.0.0.1:{self.echo.port}\nconnect = 9\ncert = @server.pem\n"
        self.check_kept(self.sections(self.shout.port, more), r"Service \[more\]")
        self.far.said(r"LOG3\[ui\]: Binding service \[more\] failed$")

    def test_missing_file(self) -> None:
        """A file that is gone changes nothing, and comes back into force when it is there again."""
        self.file.unlink()
        self.far.signal(signal.SIGHUP)
        self.far.said("Failed to reload the configuration file")
        self.assertEqual(exchange(self.port, b"as before"), b"as before")
        self.rewrite(self.sections(self.shout.port))
        self.reload()
        self.assertEqual(exchange(self.port, b"anew"), b"ANEW")

    def test_services_come_and_go(self) -> None:
        """New services listen, dropped ones do not any more, and no descriptor stays open."""
        before = settled_descriptors(self.far.pid)
        extra = free_port()
        more = (
            f"[extra]\naccept = 127.0.0.1:{extra}\nconnect = {self.echo.port}\ncert = @server.pem\n"
        )
        for _ in range(3):
            self.rewrite(self.sections(self.echo.port, more))
            self.reload(2)
            with TLSEnd.dial(extra, client_context()) as end:
                end.send(b"new")
                self.assertEqual(end.receive(), b"new")
            self.rewrite(self.sections(self.echo.port))
            self.reload()
            self.assertRaises(ConnectionRefusedError, dial, extra)
        eventually(lambda: descriptors(self.far.pid) == before, "nothing is left open")

    def test_overlapping_addresses(self) -> None:
        """A service moves from one address to all of them and back, on the same port."""
        one = self.sections(self.echo.port)
        for sections in (one.replace("127.0.0.1:", "0.0.0.0:", 1), one):
            with dial(self.port) as sock:
                sock.sendall(b"before")
                self.assertEqual(sock.recv(10), b"before")
                self.rewrite(sections)
                self.reload()
                self.assertEqual(exchange(self.port, b"after"), b"after")
                sock.sendall(b"still")
                self.assertEqual(sock.recv(10), b"still")

    def test_bad_log_file(self) -> None:
        """A log file that cannot be opened: the services stay as they are, too."""
        extra = free_port()
        head = HEAD + "output = /nonexistent/stunnel.log\n"
        text = self.sections(self.shout.port).replace(f":{self.fixed}", f":{extra}")
        self.write("server.conf", text, head)
        self.far.signal(signal.SIGHUP)
        self.far.said(r"LOG3\[ui\]: Cannot open log file /nonexistent/stunnel\.log")
        self.far.said(r"LOG3\[ui\]: Failed to reload the configuration file$")
        self.assertEqual(exchange(self.port, b"as before"), b"as before")
        self.assertRaises(ConnectionRefusedError, dial, extra)

    def test_new_certificate(self) -> None:
        """A renewed certificate is shown after the reload, and what it replaced is not."""
        self.assertEqual(exchange(self.port, b"good"), b"good")
        self.papers.foreign.pem(self.directory / "server.pem")
        self.reload()
        self.assertTrue(refused(self.port))
        self.near.said("CERT: Pre-verification error: ")

    def test_backend_dies_meanwhile(self) -> None:
        """The new backend is only looked at when a client comes."""
        gone = plain(echo)
        gone.close()
        self.rewrite(self.sections(gone.port))
        self.reload()
        self.assertTrue(refused(self.port))
        self.far.said("Connection refused")
