"""The same setting in the language of each program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from benchmarks.errors import NotMeasurable

if TYPE_CHECKING:
    from pathlib import Path


@frozen
class Setting:
    """What a program is to do: accept on a loopback port, connect to another, TLS on one side.

    *most_connections* bounds tables that some programs size at start; *user* is whom to become
    when root, for a program that insists. *names* are server names with a certificate each.
    *beside* is a second service without the protocol: where it accepts, and connects to.
    """

    accept: int
    connect: int
    certificate: Path
    client: bool = False
    protocol: str = ""
    most_connections: int = 1000
    user: str = ""
    names: tuple[tuple[str, Path], ...] = ()
    beside: tuple[int, int] | None = None


def stunnel_configuration(setting: Setting) -> str:
    """For stunnel and this program: one file, so that both do the same."""
    lines = [
        "foreground = yes",
        "pid =",
        "syslog = no",
        # Errors only: a line per connection would be measured too.
        "debug = err",
        "socket = l:TCP_NODELAY=1",
        "socket = r:TCP_NODELAY=1",
        "[benchmark]",
        f"accept = 127.0.0.1:{setting.accept}",
        f"connect = 127.0.0.1:{setting.connect}",
        "client = yes" if setting.client else f"cert = {setting.certificate}",
    ]
    if setting.protocol:
        lines.append(f"protocol = {setting.protocol}")
    if setting.beside is not None:
        accept, connect = setting.beside
        lines += ["[beside]", f"accept = 127.0.0.1:{accept}", f"connect = 127.0.0.1:{connect}"]
        lines.append(f"cert = {setting.certificate}")
    for name, certificate in setting.names:
        lines += [f"[{name}]", f"sni = benchmark:{name}", f"cert = {certificate}"]
        lines.append(f"connect = 127.0.0.1:{setting.connect}")
    return "\n".join(lines) + "\n"


def haproxy_configuration(setting: Setting) -> str:
    """For haproxy: TCP mode and one thread."""
    if setting.protocol:
        raise NotMeasurable("haproxy speaks no STARTTLS")
    if setting.names:
        raise NotMeasurable("only services that are chosen by name are compared")
    front = "" if setting.client else f" ssl crt {setting.certificate}"
    back = " ssl verify none" if setting.client else ""
    return (
        "global\n"
        "  nbthread 1\n"
        f"  maxconn {setting.most_connections}\n"
        "defaults\n"
        "  mode tcp\n"
        "  timeout connect 10s\n"
        "  timeout client 300s\n"
        "  timeout server 300s\n"
        "listen benchmark\n"
        f"  bind 127.0.0.1:{setting.accept}{front}\n"
        f"  server backend 127.0.0.1:{setting.connect}{back}\n"
    )


def hitch_configuration(setting: Setting) -> str:
    """For hitch: one worker; it has neither a client mode nor STARTTLS."""
    if setting.client or setting.protocol:
        raise NotMeasurable("hitch has no client mode and no STARTTLS")
    if setting.names:
        raise NotMeasurable("only services that are chosen by name are compared")
    lines = [
        f'frontend = "[127.0.0.1]:{setting.accept}"',
        f'backend = "[127.0.0.1]:{setting.connect}"',
        f'pem-file = "{setting.certificate}"',
        "workers = 1",
        "daemon = off",
        "quiet = on",
    ]
    if setting.user:
        lines.append(f'user = "{setting.user}"')
    return "\n".join(lines) + "\n"
