"""Tunnels between real sockets, on a polled loop and a clock."""

from __future__ import annotations

import itertools
import socket
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from OpenSSL import SSL
from twisted.internet.task import Clock

from stunnel_tx.relay.deadlines import Deadlines
from stunnel_tx.relay.flow import RelayPolicy
from stunnel_tx.telemetry.counters import Counters
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.policy import Role, TLSPolicy, TrustPolicy, VerificationPolicy
from stunnel_tx.tunnel.destination import AddressTarget, Connector, Destination, SocketAddress
from stunnel_tx.tunnel.runtime import Runtime, ServicePolicy
from stunnel_tx.tunnel.tunnel import Tunnel
from tests.doubles.certificates import self_signed
from tests.doubles.polling import PATIENCE, PolledLoop
from tests.doubles.recording import Recording
from tests.doubles.relayed import ScriptedPeer
from tests.doubles.tls_pairs import TLS_1_3, contexts, tcp_pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.tls.handshake import TLSContext

BUSY, CONNECT = 300.0, 10.0
MAX_ROUNDS = 10_000
PEER = "192.0.2.1:7"


@cache
def certificate_file() -> str:
    """A file with the certificate and key of the servers below."""
    path = Path(mkdtemp()) / "server.pem"
    return self_signed("tunnel.example", ["tunnel.example"]).pem(path)


def no_passphrase(_prompt: str) -> bytes | None:
    """None is needed."""
    return None


@cache
def tls_context(*, client: bool, verify: bool = False) -> TLSContext:
    """The context of a service; a client that verifies trusts nobody who could appear here."""
    log = Recording()
    if client:
        trust = TrustPolicy(certificate_file()) if verify else TrustPolicy()
        verification = VerificationPolicy(request=verify, require=verify, chain=verify)
        policy = TLSPolicy("test", Role.CLIENT, trust=trust, verification=verification)
    else:
        policy = TLSPolicy("test", Role.SERVER, (certificate_file(),))
    return build_context(policy, log.scope, no_passphrase)


class TunnelRig:
    """A runtime, one service's policy, and a listening socket that plays the remote side."""

    def __init__(self, *, client: bool = False, verify: bool = False, reset: bool = True) -> None:
        self.client = client
        self.loop = PolledLoop()
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.log = Recording()
        self.runtime = Runtime(
            reactor=None,
            loop=self.loop,
            deadlines=Deadlines(self.clock),
            log=self.log.log,
            counters=Counters(),
        )
        self.backend = socket.socket()
        self.backend.bind(("127.0.0.1", 0))
        self.backend.listen(5)
        self.backend.setblocking(False)
        self.open: list[socket.socket] = [self.backend]
        self.destination = self.towards(SocketAddress(2, self.backend.getsockname()))
        ids = itertools.count()
        self.policy = ServicePolicy(
            name="test",
            client=client,
            tls=tls_context(client=client, verify=verify),
            destination=self.destination,
            busy=BUSY,
            relay=RelayPolicy(idle=1000.0, close=60.0, reset=reset, require_close_notify=False),
            threshold=None,
            identify=lambda: str(next(ids)),
            local_options=(),
        )

    def towards(self, *addresses: SocketAddress) -> Destination:
        """A destination of the given addresses."""
        return Destination([AddressTarget(each) for each in addresses], Connector((), CONNECT))

    def arrive(self) -> tuple[Tunnel, socket.socket]:
        """A new tunnel and the far end of the connection it was accepted for."""
        near, far = tcp_pair()
        self.open += [near, far]
        tunnel = Tunnel(self.runtime, self.policy, near, PEER)
        tunnel.start()
        return tunnel, far

    def until(self, done: Callable[[], object], *peers: ScriptedPeer) -> None:
        """Let everybody work until *done* answers with a true value."""
        for _ in range(MAX_ROUNDS):
            for peer in peers:
                peer.pump()
            if done():
                return
            self.loop.turn(PATIENCE)
        raise AssertionError("waited in vain")

    def over(self) -> bool:
        """True when no tunnel is left."""
        return not self.runtime.tunnels

    def shake(self, sock: socket.socket, *, accept: bool, version: int = TLS_1_3) -> ScriptedPeer:
        """The peer's part of the handshake on *sock*."""
        connection = SSL.Connection(contexts(version)[0 if accept else 1], sock)
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
        """The connection that has arrived at the remote side."""
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

    def join(self, version: int = TLS_1_3) -> tuple[Tunnel, ScriptedPeer, ScriptedPeer]:
        """A tunnel that relays, its user and its backend."""
        tunnel, far = self.arrive()
        if self.client:
            backend = self.shake(self.accepted(), accept=True, version=version)
            user = ScriptedPeer(far)
        else:
            user = self.shake(far, accept=False, version=version)
            backend = ScriptedPeer(self.accepted())
        self.until(lambda: tunnel._relay is not None)
        return tunnel, user, backend

    def errors(self) -> list[str]:
        """The lines that an operator would see with ``debug = err``."""
        return [text for level, _, text in self.log.lines if level <= 3]

    def close(self) -> None:
        """End every tunnel and close every socket."""
        for tunnel in list(self.runtime.tunnels):
            tunnel.abort()
        for sock in self.open:
            sock.close()
