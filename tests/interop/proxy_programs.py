"""Proxies of other people: tinyproxy for HTTP, microsocks for SOCKS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.interop.daemon_site import host_and_port, need_users

if TYPE_CHECKING:
    from tests.doubles.real_programs import RealProgram
    from tests.interop.daemon_site import DaemonSite

_TINYPROXY: Final = """
User nobody
Group nogroup
Port {port}
Listen {host}
Timeout 60
LogLevel Connect
MaxClients 20
Allow 127.0.0.1
BasicAuth {user} {password}
ConnectPort {reached}
"""


def tinyproxy(site: DaemonSite, address: str, reached: int, login: tuple[str, str]) -> RealProgram:
    """Run tinyproxy at *address* for whoever knows *login*, to port *reached* of any host."""
    need_users()
    host, port = host_and_port(address)
    user, password = login
    text = _TINYPROXY.format(host=host, port=port, user=user, password=password, reached=reached)
    path = site.file("tinyproxy.conf", text)
    return site.daemon("tinyproxy", ["tinyproxy", "-d", "-c", str(path)], address)


def microsocks(site: DaemonSite, address: str, login: tuple[str, str] | None = None) -> RealProgram:
    """Run microsocks at *address*, with *login* only for whoever knows it."""
    host, port = host_and_port(address)
    options = [] if login is None else ["-u", login[0], "-P", login[1]]
    command = ["microsocks", "-i", host, "-p", str(port), *options]
    return site.daemon("microsocks", command, address)
