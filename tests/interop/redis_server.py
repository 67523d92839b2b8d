"""Redis with TLS, and redis-cli without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.interop.daemon_site import host_and_port

if TYPE_CHECKING:
    from tests.interop.daemon_site import DaemonSite

#: Larger than a TLS record.
VALUE: Final = b"a value\n" * 10_000


def redis_with_tls(site: DaemonSite, address: str) -> None:
    """Run Redis at *address*; it speaks nothing but TLS."""
    host, port = host_and_port(address)
    cert = str(site.site / "server.pem")
    command = [
        "redis-server", "--port", "0", "--bind", host, "--tls-port", str(port), "--save", "",
        "--tls-cert-file", cert, "--tls-key-file", cert, "--tls-auth-clients", "no",
    ]  # fmt: skip
    site.daemon("redis", command, address)


def check_value(site: DaemonSite, port: int) -> None:
    """Without TLS, store VALUE by way of *port* and read it again."""
    cli = "redis-cli", "-p", str(port)
    site.assertEqual(site.run_client(*cli, "-x", "SET", "large", stdin=VALUE), "OK\n")
    site.assertEqual(site.run_client(*cli, "GET", "large").encode(), VALUE + b"\n")
