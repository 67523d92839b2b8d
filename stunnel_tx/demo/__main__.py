"""``python -m stunnel_tx.demo [--directory DIR] [--port PORT]``: what ``make run`` runs."""

from __future__ import annotations

import socket
import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.address import IPv4Address
    from twisted.internet.interfaces import IAddress

    from stunnel_tx.demo.page import TLSFacts
    from stunnel_tx.service.lifecycle import LifecycleReactor

__all__ = ["configuration_text", "look_at_port", "main"]

_CONFIGURATION = """\
; Written by python -m stunnel_tx.demo at every start.
foreground = yes
syslog = no
debug = notice

[demo]
accept = 127.0.0.1:{accept}
connect = 127.0.0.1:{connect}
cert = {certificate}
key = {key}
alpn = http/1.1
"""

_INVITATION = """
The demo page is at https://localhost:{port}/ - try it from another terminal:

  curl --cacert {certificate} https://localhost:{port}/
  openssl s_client -CAfile {certificate} -connect 127.0.0.1:{port} \\
      -servername localhost -alpn http/1.1

(in the second one, type GET / HTTP/1.0 and two line ends). A browser will warn about the
certificate, which was made a moment ago. The configuration is {configuration}.
Ctrl-C ends it.
"""


def configuration_text(accept: int, connect: int, certificate: Path, key: Path) -> str:
    """The demo's ``stunnel.conf``: TLS on port ``accept``, the page on port ``connect``."""
    return _CONFIGURATION.format(accept=accept, connect=connect, certificate=certificate, key=key)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo until it is interrupted; returns the exit status of the command line."""
    parser = ArgumentParser(prog="python -m stunnel_tx.demo", description="The demo of stunnel_tx.")
    parser.add_argument("--directory", type=Path, help="where to keep the certificate (made anew)")
    parser.add_argument("--port", type=int, default=8443, help="the TLS port on 127.0.0.1")
    options = parser.parse_args(arguments)
    if options.directory is None:
        with TemporaryDirectory(prefix="stunnel_tx_demo.") as directory:
            return _run(Path(directory), options.port)
    try:
        look_at_port(options.port)
    except OSError as error:
        # The certificate in the directory may be that of a demo that runs.
        text = f"Port {options.port} on 127.0.0.1: {error.strerror}; is another demo running?"
        print(text, file=sys.stderr)
        return 1
    options.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _run(options.directory.absolute(), options.port)


def look_at_port(port: int) -> None:
    """Raise OSError where nobody can listen on *port* of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def _run(directory: Path, port: int) -> int:
    """Start the page, write the configuration, and go the way of ``stunnel-tx FILE``.

    The page has to ask the application for its tunnels, so the parts of that way are put
    together here.
    """
    from twisted.internet import reactor

    from stunnel_tx.cli import find_source, serve
    from stunnel_tx.demo.backend import PageFactory
    from stunnel_tx.demo.certificate import write_certificate
    from stunnel_tx.demo.visitors import facts_for
    from stunnel_tx.service.application import Application
    from stunnel_tx.service.information import introduce
    from stunnel_tx.service.lifecycle import Lifecycle
    from stunnel_tx.telemetry.log import Log
    from stunnel_tx.telemetry.observer import begin_logging

    def visitor(peer: IAddress) -> TLSFacts | None:
        return facts_for(peer, application.runtime.tunnels)

    page = reactor.listenTCP(0, PageFactory(reactor, visitor), interface="127.0.0.1")
    certificate, key = write_certificate(directory)
    configuration = directory / "stunnel.conf"
    inner = cast("IPv4Address", page.getHost()).port
    text = configuration_text(port, inner, certificate, key)
    configuration.write_text(text, encoding="utf-8")
    log = Log()
    introduce(log.main)
    begin_logging(log.main)
    source = find_source([str(configuration)], log)
    application = Application(reactor, source, log, ask=_no_passphrase)
    reactor.callWhenRunning(_invite, port, certificate, configuration)
    return serve(reactor, Lifecycle(cast("LifecycleReactor", reactor), application, log))


def _no_passphrase(_prompt: str) -> None:
    """The demo's key has none."""


def _invite(port: int, certificate: Path, configuration: Path) -> None:
    """Print the lines to try, once the program runs."""
    text = _INVITATION.format(
        port=port, certificate=_shortest(certificate), configuration=_shortest(configuration)
    )
    print(text, flush=True)


def _shortest(path: Path) -> Path:
    """``path`` relative to the working directory where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    sys.exit(main())
