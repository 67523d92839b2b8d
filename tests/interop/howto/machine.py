"""A machine on which the documentation's configurations find what they name."""

from __future__ import annotations

import re
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.doubles.certificates import DAY, NOW
from tests.doubles.real_programs import eventually
from tests.interop import private_world
from tests.interop.daemon_site import host_and_port
from tests.interop.howto.pages import RUN, blocks
from tests.interop.stage import Stage

if TYPE_CHECKING:
    from tests.doubles.certificates import Issued
    from tests.doubles.real_programs import RealProgram

_ACCEPT: Final = re.compile(r"^accept = (.*)$", re.MULTILINE)

#: The state of a socket that listens, in /proc/net/tcp.
_LISTENING: Final = "0A"

#: Where the configurations have their files.
FOLDER: Final = Path("/etc/stunnel")


class Machine(Stage):
    """A stage inside a private world, which trusts the test's authority."""

    def setUp(self) -> None:
        private_world.require()
        super().setUp()
        shutil.copyfile(self.directory / "ca.pem", private_world.AUTHORITIES)
        self._hosts = {"localhost": "127.0.0.1"}

    def host(self, name: str, address: str) -> None:
        """Let *name* have *address*."""
        self._hosts[name] = address
        lines = "".join(f"{address} {name}\n" for name, address in self._hosts.items())
        private_world.HOSTS.write_text(lines, encoding="ascii")

    def issue(self, *names: str) -> Issued:
        """A certificate of the test's authority, far enough from its end not to be warned of."""
        return self.papers.authority.issue(names[0], names, not_after=NOW + 90 * DAY)

    def certificate(self, path: Path, *names: str) -> None:
        """Write a certificate for *names* and its key to *path*, as a configuration has it."""
        self.issue(*names).pem(path)
        path.chmod(0o600)

    def run_page(self, page: str, number: int = 0) -> RealProgram:
        """Run the configuration with this *number* on *page*, unchanged, until it accepts."""
        found = blocks(page)
        self.assertEqual(len(found), RUN[page], page)
        path = FOLDER / f"{number}.conf"
        path.write_text(found[number], encoding="utf-8")
        started = self.start_ours(path)
        missing = set(_ACCEPT.findall(found[number]))

        def accepts() -> bool:
            self.assertTrue(started.running, started.log)
            missing.difference_update([each for each in missing if listens(each)])
            return not missing

        try:
            eventually(accepts, "it listens at every place")
        except AssertionError as error:
            raise AssertionError(f"{error}: {missing}\n{started.log}") from None
        return started

    def check_used(self, ours: RealProgram, *services: str) -> None:
        """Each of *services* has had a connection that moved bytes both ways and has ended."""
        for service in services:
            ours.said(
                rf"LOG5\[(\d+)\]: Service \[{service}\] accepted connection(?s:.*?)"
                r"LOG5\[\1\]: Connection (closed|reset): "
                r"[1-9]\d* byte\(s\) sent to TLS, [1-9]\d* byte\(s\) sent to socket"
            )


def listens(accept: str) -> bool:
    """True when there is a listener for *accept*, a value of that option; it is not disturbed."""
    if accept.startswith("/"):
        return Path(accept).is_socket()
    host, port = host_and_port(accept, "0.0.0.0")
    number = int.from_bytes(socket.inet_aton(host), sys.byteorder)
    table = Path("/proc/net/tcp").read_text(encoding="ascii")
    return re.search(rf": {number:08X}:{port:04X} \S+ {_LISTENING} ", table) is not None
