"""A peer that is refused gets the TLS alert it would get from stunnel4, in either role."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from OpenSSL import SSL

from tests.doubles.backends import Backend, echo
from tests.doubles.real_programs import PATIENCE
from tests.doubles.wire import (
    TLS_1_2,
    TLS_1_3,
    TLSEnd,
    client_context,
    refused,
    server_context,
)
from tests.interop.stage import Stage, port_of

if TYPE_CHECKING:
    import socket

    from tests.doubles.certificates import Issued

CHAIN = "verifyChain = yes\nCAfile = @ca.pem\n"
WRONG_HOST = CHAIN + "checkHost = elsewhere.example\n"


def alert(error: SSL.Error) -> str:
    """The name of the alert in *error*, without the protocol's name in front of it."""
    reasons = [entry[-1] for entry in error.args[0]]
    return str(reasons[0]).partition(" alert ")[2]


class AlertTests(Stage):
    """The refused peer is a pyOpenSSL end, which says what alert it got."""

    def from_client_mode(self, program: str, identity: Issued, options: str, version: int) -> str:
        """The alert a server gets that shows *identity*."""
        context = server_context(identity, version)
        got: list[str] = []
        ended = threading.Event()

        def talk(sock: socket.socket) -> None:
            try:
                TLSEnd.serve(context, sock).receive()
            except SSL.Error as error:
                got.append(alert(error))
            ended.set()

        backend: Backend[socket.socket] = self.backend(talk)
        client = self.tunnels(
            "[client]\nclient = yes\naccept = 127.0.0.1:0\n"
            f"connect = 127.0.0.1:{backend.port}\n{options}",
            "client",
            program=program,
        )
        self.assertTrue(refused(port_of(client, "client")))
        self.assertTrue(ended.wait(PATIENCE))
        return "".join(got)

    def from_server_mode(
        self, program: str, identity: Issued | None, options: str, version: int
    ) -> str:
        """The alert a client gets that shows *identity*."""
        server = self.server_mode(self.backend(echo).port, options, program=program)
        context = client_context(version, identity)
        try:
            with TLSEnd.dial(port_of(server, "server"), context) as end:
                end.receive()
        except SSL.Error as error:
            return alert(error)
        return ""

    def test_client_mode(self) -> None:
        """What a refused server is told."""
        for version in (TLS_1_2, TLS_1_3):
            for identity, options, told in (
                (self.papers.foreign, CHAIN, "unknown ca"),
                (self.papers.expired, CHAIN, "certificate expired"),
                (self.papers.server, WRONG_HOST, "internal error"),
            ):
                for program in ("stunnel4", "stunnel-tx"):
                    got = self.from_client_mode(program, identity, options, version)
                    self.assertEqual(got, told, program)

    def test_server_mode(self) -> None:
        """What a refused client is told."""
        for identity, options, told in (
            (self.papers.foreign, CHAIN, "unknown ca"),
            (self.papers.expired, CHAIN, "certificate expired"),
            (self.papers.client, WRONG_HOST, "internal error"),
        ):
            # With TLS 1.3 the client has done its part before it is judged, and stunnel4's reset
            # mostly overtakes its alert. Ours arrives.
            for program, version in (
                ("stunnel4", TLS_1_2),
                ("stunnel-tx", TLS_1_2),
                ("stunnel-tx", TLS_1_3),
            ):
                got = self.from_server_mode(program, identity, options, version)
                self.assertEqual(got, told, program)

    def test_no_certificate(self) -> None:
        """What a client without a certificate is told, which TLS 1.3 has a word for."""
        for version, told in (
            (TLS_1_2, "handshake failure"),
            (TLS_1_3, "certificate required"),
        ):
            for program in ("stunnel4", "stunnel-tx"):
                self.assertEqual(
                    self.from_server_mode(program, None, CHAIN, version), told, program
                )
