"""A whole application on a private reactor, configured by text, with real sockets around it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from attrs import evolve
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.sources import text_source
from stunnel_tx.service.application import Application
from tests.doubles.polling import PATIENCE
from tests.doubles.private_reactor import PrivateReactor, open_descriptors
from tests.doubles.recording import Recording
from tests.doubles.relayed import ScriptedPeer
from tests.doubles.tls_pairs import TLS_1_3, contexts
from tests.doubles.tunnels import certificate_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.tunnel.tunnel import Tunnel

HEAD = "foreground = yes\npid =\nsyslog = no\n"
MAX_ROUNDS = 10_000


class ApplicationRig:
    """One application; ``write`` sets the text that the next load or reload reads."""

    def __init__(self) -> None:
        self.turner = PrivateReactor()
        self.log = Recording()
        self.text = ""
        self.established: list[Tunnel] = []
        self.backend = socket.socket()
        self.backend.bind(("127.0.0.1", 0))
        self.backend.listen(16)
        self.backend.setblocking(False)
        self.open: list[socket.socket] = [self.backend]
        self.connect = self.backend.getsockname()[1]
        source = text_source(b"", "test.conf")
        self.application = Application(
            self.turner.reactor,
            evolve(source, read=self.read),
            self.log.log,
            ask=lambda _prompt: None,
            established=self.established.append,
        )

    def read(self) -> bytes:
        """The text as it is at the moment."""
        return self.text.encode()

    def service(self, *lines: str, name: str = "test", accept: str = "127.0.0.1:0") -> str:
        """The text of one server section that leads to the backend."""
        body = [f"[{name}]", f"cert = {certificate_file()}", f"accept = {accept}"]
        if not any(line.startswith("connect") for line in lines):
            body.append(f"connect = 127.0.0.1:{self.connect}")
        return "\n".join([*body, *lines, ""])

    def write(self, *sections: str) -> None:
        """Set the text of the configuration."""
        self.text = HEAD + "\n".join(sections)

    def run(self, *sections: str) -> None:
        """Load, bind and start."""
        self.write(*sections)
        self.application.load()
        self.application.bind()
        self.application.start()

    def reload(self) -> None:
        """Reload, and turn until that has ended."""
        self.application.reload()
        self.until(lambda: not self.application.reloading)

    def fds(self) -> list[int]:
        """The listening descriptors, in the order of the configuration."""
        return [each.fd for each in self.application._listeners or ()]

    def port(self, number: int = 0) -> int:
        """The port of a listener."""
        return int(self.application.addresses()[number].rpartition(":")[2])

    def dial(self, number: int = 0) -> socket.socket:
        """A connection to a listener."""
        sock = socket.create_connection(("127.0.0.1", self.port(number)))
        sock.setblocking(False)
        self.open.append(sock)
        return sock

    def until(self, done: Callable[[], object], *peers: ScriptedPeer) -> None:
        """Let everybody work until *done* answers with a true value."""
        for _ in range(MAX_ROUNDS):
            for peer in peers:
                peer.pump()
            if done():
                return
            self.turner.turn(PATIENCE / 1000)
        raise AssertionError("waited in vain")

    def refuse(self) -> None:
        """Let nobody listen any more where services connect to; nobody else gets the port."""
        self.backend.close()
        self.backend = socket.socket()
        self.backend.bind(("127.0.0.1", self.connect))
        self.open.append(self.backend)

    def shake(self, sock: socket.socket, *, accept: bool = False) -> ScriptedPeer:
        """The peer's part of the handshake on *sock*."""
        connection = SSL.Connection(contexts(TLS_1_3)[0 if accept else 1], sock)
        if accept:
            connection.set_accept_state()
        else:
            connection.set_connect_state()

        def done() -> bool:
            try:
                connection.do_handshake()
            except SSL.WantReadError:
                return False
            return True

        self.until(done)
        return ScriptedPeer(sock, connection)

    def accepted(self) -> socket.socket:
        """The next connection that arrives at the backend."""
        found: list[socket.socket] = []

        def there() -> bool:
            try:
                sock, _ = self.backend.accept()
            except BlockingIOError:
                return False
            sock.setblocking(False)
            found.append(sock)
            return True

        self.until(there)
        self.open += found
        return found[0]

    def join(self, number: int = 0) -> tuple[ScriptedPeer, ScriptedPeer]:
        """A user and a backend with a tunnel between them."""
        user = self.shake(self.dial(number))
        return user, ScriptedPeer(self.accepted())

    def errors(self) -> list[str]:
        """The lines that an operator would see with ``debug = err``."""
        return [text for level, _, text in self.log.lines if 0 < level <= 3]

    def close(self) -> None:
        """Stop and close everything."""
        self.application.stop()
        for sock in self.open:
            sock.close()
        for _ in range(10):
            self.turner.turn()
        self.turner.close()


class ApplicationTestCase(SynchronousTestCase):
    """One application; no descriptor may be left when it has stopped."""

    def setUp(self) -> None:
        certificate_file()
        self.before = open_descriptors()
        self.rig = ApplicationRig()

    def tearDown(self) -> None:
        self.rig.close()
        self.assertEqual(open_descriptors(), self.before)
        self.assertNotIn("Internal error", " ".join(self.rig.log.texts))

    def talk(self, number: int = 0) -> None:
        """A new connection to listener *number* works in both directions."""
        user, backend = self.rig.join(number)
        user.send(b"ping")
        backend.send(b"pong")
        self.rig.until(lambda: user.received and backend.received, user, backend)
        user.finish()
        backend.finish()
        self.rig.until(lambda: user.end and backend.end, user, backend)
