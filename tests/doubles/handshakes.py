"""Real handshakes between two of our contexts, over a socket pair and without a reactor."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from attrs import define, field
from OpenSSL import SSL

from stunnel_tx.errors import Rejected
from stunnel_tx.tls.faults import explain
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from stunnel_tx.tls.handshake import TLSContext
    from stunnel_tx.tls.verification import Outcome

#: Turns after which a handshake that makes no progress is given up.
MAX_TURNS = 20

BOTH_CLOSED = SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN


@define
class End:
    """One end of a handshake; ``refusal`` is empty when it was content with the other.

    ``outcome`` is its verdict about the other, ``resumed`` whether it came by a session.
    """

    context: TLSContext
    connection: SSL.Connection
    log: Recording = field(factory=Recording)
    shaken: bool = False
    refusal: str = ""
    outcome: Outcome | None = None
    resumed: bool = False

    def turn(self) -> None:
        """Go as far as the input at hand allows, the verdict included."""
        try:
            if not self.shaken:
                self.connection.do_handshake()
                self.shaken = True
                self.outcome = self.context.finish(self.connection, self.log.scope)
                self.resumed = self.context.resumed(self.connection)
            self.connection.recv(1)
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.refusal = explain(error)
        except Rejected as error:
            self.refusal = error.reason


class Meeting:
    """A server and a client end, brought together over a socket pair."""

    def __init__(
        self, server: TLSContext, client: TLSContext, session: SSL.Session | None = None
    ) -> None:
        self._sockets = socket.socketpair()
        for each in self._sockets:
            each.setblocking(False)
        logs = Recording(), Recording()
        self.server = End(
            server, server.connection(self._sockets[0], logs[0].scope, "client"), logs[0]
        )
        self.client = End(
            client, client.connection(self._sockets[1], logs[1].scope, "server"), logs[1]
        )
        if session is not None:
            self.client.connection.set_session(session)

    def shake(self) -> Meeting:
        """Take turns until both ends are done or one has refused and the other knows."""
        for _ in range(MAX_TURNS):
            for end in (self.client, self.server):
                if not end.refusal:
                    end.turn()
        return self

    @property
    def accepted(self) -> bool:
        """True when both ends finished their handshake and neither refused."""
        ends = self.server, self.client
        return all(end.shaken and not end.refusal for end in ends)

    def session(self) -> SSL.Session:
        """The client's session, after some data of the server has arrived."""
        self.server.connection.send(b"!")
        self.client.connection.recv(1)
        session = self.client.connection.get_session()
        assert session is not None
        return session

    def close(self) -> None:
        """Drop both ends without a word, sessions kept alive."""
        for end, sock in zip((self.server, self.client), self._sockets, strict=True):
            if end.shaken:
                end.connection.set_shutdown(BOTH_CLOSED)
            sock.close()
