"""CRLfile and CRLpath, looked up by ours and by stunnel4, with lists of openssl's making."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.doubles.backends import echo
from tests.doubles.certificates import Authority
from tests.doubles.real_programs import RealProgram, find_program
from tests.doubles.wire import exchange, is_reset
from tests.interop.stage import Stage, port_of


class RevokedTests(Stage):
    """A good and a revoked client in front of a server that looks both up."""

    def setUp(self) -> None:
        super().setUp()
        authority = Authority("Revoking CA")
        authority.pem(self.directory / "ca.pem")
        good, revoked = authority.issue("good"), authority.issue("revoked")
        for name, issued in (("good", good), ("revoked", revoked)):
            Path(issued.pem(self.directory / f"{name}.pem")).chmod(0o600)
        (self.directory / "crl").mkdir()
        for place in ("list.pem", "crl/list.pem"):
            (self.directory / place).write_bytes(authority.crl(revoked))
        subprocess.run(
            [find_program("openssl"), "rehash", str(self.directory / "crl")],
            check=True,
            capture_output=True,
        )

    def client(self, port: int, identity: str) -> RealProgram:
        """stunnel4 with one of the certificates."""
        return self.tunnels(
            "[client]\nclient = yes\naccept = 127.0.0.1:0\n"
            f"connect = 127.0.0.1:{port}\ncert = @{identity}.pem\n",
            name=f"client_{identity}",
            program="stunnel4",
        )

    def check(self, lists: str, program: str) -> None:
        """The good client gets its echo, the revoked one a reset, and the log the reason."""
        backend = self.backend(echo)
        more = f"verifyChain = yes\nCAfile = @ca.pem\n{lists}\n"
        server = self.server_mode(backend.port, more, program=program)
        port = port_of(server, "server")
        good, bad = self.client(port, "good"), self.client(port, "revoked")
        self.assertEqual(exchange(port_of(good, "client"), b"hi\n"), b"hi\n")
        self.assertTrue(is_reset(port_of(bad, "client")))
        server.said("CERT: Pre-verification error: certificate revoked")
        server.said("Rejected by CERT at depth=0: CN=revoked")
        bad.said("alert certificate revoked")

    def test_file(self) -> None:
        """CRLfile, in stunnel4 and in ours."""
        for program in ("stunnel4", "stunnel-tx"):
            self.check("CRLfile = @list.pem", program)

    def test_directory(self) -> None:
        """CRLpath with the names that openssl rehash gives, in stunnel4 and in ours."""
        for program in ("stunnel4", "stunnel-tx"):
            self.check("CRLpath = @crl", program)
