"""A thousand name-based services in one process: all are served, small, and no slower.

How long it takes to start is measured by ``python -m benchmarks --metrics names-1000``.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

from OpenSSL import SSL

from tests.doubles.real_programs import RealProgram, eventually, free_port, memory
from tests.interop.stage import ENVIRONMENT, HEAD, STUNNEL_TX, Stage

SERVICES = 1000

#: Bytes a service may take.
MEMORY = 150 * 1000

#: Handshakes in one measurement, and measurements in turns.
HANDSHAKES, ROUNDS = 100, 5

#: What a handshake may cost compared with one of a single service, in the best measurement of each:
#: far above what others on the machine make of it, far below what a walk through all names costs.
NOISE = 2.0


class ThousandTests(Stage):
    """Half of the names are exact, half are patterns; each service has its own certificate."""

    def run_services(self, number: int) -> tuple[int, int]:
        """Process id and port of a program with *number* names."""
        port = free_port()
        where = f"accept = 127.0.0.1:{port}\nconnect = 127.0.0.1:9"
        lines = [f"[server]\n{where}\ncert = @server.pem\n"]
        for each in range(number):
            name = f"n{each}.example"
            path = self.papers.authority.issue(name, [name]).pem(self.directory / f"{name}.pem")
            Path(path).chmod(0o600)
            pattern = f"*.{name}" if each % 2 else name
            section = f"[{name}]\nsni = server:{pattern}\nconnect = 127.0.0.1:9\ncert = {path}\n"
            lines.append(section)
        path = str(self.write(f"{number}.conf", "".join(lines), HEAD.replace("= 7", "= 4")))
        command = [*STUNNEL_TX, path]
        program = RealProgram(str(number), command, self.directory, environment=ENVIRONMENT)
        self.addCleanup(self.check_clean, program)
        eventually(lambda: answers(port), "the first connection")
        return program.pid, port

    def handshakes(self, pid: int, port: int, names: list[str]) -> float:
        """CPU seconds of process *pid* for a handshake with each of *names*."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        before = cpu(pid)
        for name in names:
            with socket.create_connection(("127.0.0.1", port)) as sock:
                connection = SSL.Connection(context, sock)
                connection.set_connect_state()
                connection.set_tlsext_host_name(name.encode("ascii"))
                connection.do_handshake()
                certificate = connection.get_peer_certificate()
                assert certificate is not None
                subject = certificate.to_cryptography().subject.rfc4514_string()
                self.assertEqual(subject, "CN=" + name.removeprefix("x."))
        return cpu(pid) - before

    def test_thousand(self) -> None:
        """Each name gets its certificate; memory and CPU time are those of a program with one."""
        one_pid, one_port = self.run_services(1)
        pid, port = self.run_services(SERVICES)
        self.assertLess((memory(pid) - memory(one_pid)) / SERVICES, MEMORY)
        names = ["x." * (each % 2) + f"n{each}.example" for each in range(SERVICES)]
        self.handshakes(pid, port, names)
        one, many = [], []
        for _ in range(ROUNDS):
            one.append(self.handshakes(one_pid, one_port, names[:1] * HANDSHAKES))
            many.append(self.handshakes(pid, port, names[-HANDSHAKES:]))
        self.assertLess(min(many), NOISE * min(one), (one, many))


def answers(port: int) -> bool:
    """True when somebody listens on *port*."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def cpu(pid: int) -> float:
    """CPU seconds that process *pid* has used, by its own clock (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)
