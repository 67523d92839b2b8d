"""A relay between two scripted peers on real sockets, turned by hand, with a clock by hand."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from twisted.internet.task import Clock

from stunnel_tx.relay.channel import CHUNK, PlainChannel, TLSChannel
from stunnel_tx.relay.deadlines import Deadlines
from stunnel_tx.relay.relay import Outcome, Relay, RelayPolicy
from tests.doubles.polling import PATIENCE, PolledLoop
from tests.doubles.recording import Recording
from tests.doubles.tls_pairs import TLS_1_3, attempt, tcp_pair, tls_pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.relay.channel import Channel

#: Rounds after which a condition that has not come true never will.
MAX_ROUNDS = 10_000

_LINGER_ZERO = b"\x01\0\0\0\0\0\0\0"


class ScriptedPeer:
    """The far end of one side. ``received`` and ``end`` tell what has come from the relay.

    ``end`` is "" while the connection is open, then "close_notify", "fin" or "reset". A peer with
    ``deaf`` set does not read.
    """

    def __init__(self, sock: socket.socket, connection: SSL.Connection | None = None) -> None:
        self.socket = sock
        self.connection = connection
        self.received = bytearray()
        self.end = ""
        self.deaf = False
        self.outgoing = bytearray()
        self._then: Callable[[], object] | None = None

    def send(self, data: bytes) -> None:
        """Have *data* sent as room allows."""
        self.outgoing += data
        self.pump()

    def finish(self) -> None:
        """End our direction in good order, behind everything sent."""
        self._then = self._finish
        self.pump()

    def _finish(self) -> None:
        if self.connection is not None:
            attempt(self.connection.shutdown)
        else:
            self.socket.shutdown(socket.SHUT_WR)

    def truncate(self) -> None:
        """End our direction by a FIN alone, behind everything sent."""
        self._then = lambda: self.socket.shutdown(socket.SHUT_WR)
        self.pump()

    def reset(self) -> None:
        """Drop the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.close()

    def close(self) -> None:
        """Close the socket; unread input makes that a RST (RFC 2525 §2.17)."""
        self.outgoing.clear()
        self.socket.close()

    def pump(self) -> None:
        """Send and receive what is possible now."""
        if self.socket.fileno() < 0:
            return
        try:
            self._send()
            while not self.deaf and not self.end:
                data = self._receive()
                if data is None:
                    return
                self.received += data
        except OSError as error:
            self._broken(error.errno)
        except SSL.SysCallError as error:
            self._broken(error.args[0])
        except SSL.Error:
            # OpenSSL takes nothing more after a FIN without close_notify.
            if not self.end:
                raise
            self.outgoing.clear()

    def _broken(self, number: int | None) -> None:
        if number in {errno.ECONNRESET, errno.EPIPE}:
            self.outgoing.clear()
            if not self.end:
                self._drain()
                self.end = "reset"
        else:
            self.end = "fin"

    def _drain(self) -> None:
        """What had arrived before the reset can still be read."""
        try:
            while data := self._receive():
                self.received += data
        except (OSError, SSL.Error):
            return

    def _send(self) -> None:
        sender: Callable[[bytes], int] = (self.connection or self.socket).send
        while self.outgoing:
            try:
                del self.outgoing[: sender(bytes(self.outgoing[:16384]))]
            except (BlockingIOError, SSL.WantReadError, SSL.WantWriteError):
                return
        then, self._then = self._then, None
        if then is not None:
            then()

    def _receive(self) -> bytes | None:
        """Some bytes; None when there are none now, or no more at all."""
        try:
            data = (self.connection or self.socket).recv(CHUNK)
        except (BlockingIOError, SSL.WantReadError, SSL.WantWriteError):
            return None
        except SSL.ZeroReturnError:
            self.end = "close_notify"
            return None
        if not data:
            self.end = "fin"
            return None
        return data


class Relayed:
    """The relay and its two peers: ``user`` on the local side, ``backend`` on the remote one.

    *tls* names the side with TLS: "local" (server mode), "remote" (client mode), or "" for none.
    A *local* channel of the test's own takes the place of the user's.
    """

    def __init__(
        self,
        tls: str = "local",
        version: int = TLS_1_3,
        *,
        local: Channel | None = None,
        **policy: Any,
    ) -> None:
        values = {"idle": 1000.0, "close": 60.0, "reset": True, "require_close_notify": False}
        values.update(policy)
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.loop = PolledLoop()
        self.deadlines = Deadlines(self.clock)
        self.log = Recording()
        self.outcomes: list[Outcome] = []
        joined, self.user = self._side(version if tls == "local" else 0)
        if local is not None:
            joined.close()
        remote, self.backend = self._side(version if tls == "remote" else 0)
        self.relay = Relay(
            self.loop,
            self.deadlines,
            local or joined,
            remote,
            RelayPolicy(**values),  # type: ignore[arg-type]
            self.log.scope,
            "192.0.2.1:7",
            self.outcomes.append,
        )
        self.relay.start()

    def _side(self, version: int) -> tuple[Channel, ScriptedPeer]:
        near, far = tcp_pair()
        if not version:
            return PlainChannel(near), ScriptedPeer(far)
        ours, theirs = tls_pair(version, (near, far))
        return TLSChannel(ours, near), ScriptedPeer(far, theirs)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, None while it has not."""
        assert len(self.outcomes) < 2, "ended twice"
        return self.outcomes[0] if self.outcomes else None

    def until(self, done: Callable[[], object]) -> None:
        """Let everybody work until *done* answers with a true value."""
        for _ in range(MAX_ROUNDS):
            self.user.pump()
            self.backend.pump()
            if done():
                return
            self.loop.turn(PATIENCE)
        raise AssertionError("waited in vain")

    def settle(self) -> None:
        """Let everybody work until nothing moves any more."""
        quiet = 0
        while quiet < 3:
            self.user.pump()
            self.backend.pump()
            quiet = 0 if self.loop.turn(1) else quiet + 1

    def advance(self, seconds: float) -> None:
        """Let time pass, deadlines included, and then everybody work."""
        self.clock.advance(seconds)
        self.settle()

    def close(self) -> None:
        """Take everything down."""
        self.relay.abort(reset=False)
        self.user.close()
        self.backend.close()
