"""The command ``stunnel-tx``: stunnel's command line, and ``check``.

::

    stunnel-tx [FILE] | -fd N | -help | -version | -sockets | -options
    stunnel-tx --help | --version | check [FILE]

As with stunnel only the first two arguments are looked at, single-dash words may be written
in any case, and what they print goes to standard error. ``--help``, ``--version`` and
``check`` are not stunnel's; they print to standard output. A configuration file that bears
one of these names is written ``./check``.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Protocol, cast

from stunnel_tx.errors import ConfigurationErrors, OperatingError, StunnelTxError
from stunnel_tx.service.information import introduce
from stunnel_tx.service.logs import show_failed_start
from stunnel_tx.service.process import INTERRUPTED, occupy_standard_streams
from stunnel_tx.telemetry.events import (
    BAD_DESCRIPTOR,
    BAD_FILE_NAME,
    DEFAULT_FILE,
    NO_DESCRIPTOR,
    REALPATH_FAILED,
    SYNTAX_LINE,
)
from stunnel_tx.telemetry.levels import WARNING
from stunnel_tx.telemetry.log import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stunnel_tx.configuration.sources import Source
    from stunnel_tx.service.lifecycle import Lifecycle, LifecycleReactor, Program

#: Read when no argument names another file, as stunnel's packages have it.
DEFAULT_CONFIGURATION = "/etc/stunnel/stunnel.conf"

SYNTAX = (
    " ",
    "Syntax:",
    "stunnel-tx [<filename>] | -fd <n> | -help | -version | -sockets | -options",
    "    <filename>  - use specified config file",
    "    -fd <n>     - read the config file from a file descriptor",
    "    -help       - get config file help",
    "    -version    - display version and defaults",
    "    -sockets    - display default socket options",
    "    -options    - display supported TLS options",
    "stunnel-tx check [<filename>]",
    "    check       - list every error and security warning, and exit",
)


class MainReactor(Protocol):
    """The part of the reactor that ``serve`` uses."""

    def addSystemEventTrigger(  # noqa: N802 - Twisted's name
        self, phase: str, event: str, function: Callable[..., object], /
    ) -> object:
        """Call *function* in *phase* of *event*."""

    def run(self) -> None:
        """Turn until stopped."""


class UnusableSource(StunnelTxError):
    """The command line names no configuration that can be read; the log says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the arguments *argv*; returns the exit status."""
    # Most of what is made during a start stays: the collector would only look for nothing.
    gc.disable()
    arguments = list(sys.argv[1:] if argv is None else argv)[:2]
    word = arguments[0] if arguments else ""
    try:
        if word not in ("--help", "--version", "check") and word.lower() not in INFORMATION:
            return run(arguments)
        if word == "check":
            return check(arguments[1:])
        return show(word.lower().replace("--", "-"), 1 if word.startswith("--") else 2)
    except KeyboardInterrupt:
        return INTERRUPTED


def show(word: str, fd: int) -> int:
    """Print the banner and what *word* asks for to descriptor *fd*."""
    log = Log()
    introduce(log.main)
    lines = [text for _, _, text in log.take_pending()]
    lines += INFORMATION[word]()
    return _print(lines, fd)


def _help() -> list[str]:
    from stunnel_tx.configuration.listing import help_lines

    return [*SYNTAX, " ", *help_lines()]


def _version() -> list[str]:
    from stunnel_tx.configuration.listing import default_lines
    from stunnel_tx.service.information import library_lines

    return [*library_lines(), " ", *default_lines()]


def _sockets() -> list[str]:
    from stunnel_tx.configuration.listing import socket_lines
    from stunnel_tx.service.information import socket_default

    return [" ", *socket_lines(socket_default)]


def _options() -> list[str]:
    from stunnel_tx.configuration.listing import flag_lines

    return [" ", *flag_lines()]


#: What can be asked of the program without a configuration, by the word that asks for it.
INFORMATION: dict[str, Callable[[], list[str]]] = {
    "-help": _help,
    "-version": _version,
    "-sockets": _sockets,
    "-options": _options,
}


def find_source(arguments: Sequence[str], log: Log) -> Source:
    """The configuration that *arguments* name.

    Raises UnusableSource when there is none; the reason has then been logged.
    """
    from stunnel_tx.configuration.sources import descriptor_source, file_source

    say = log.main
    if arguments and arguments[0].lower() == "-fd":
        if len(arguments) == 1:
            say(NO_DESCRIPTOR)
        elif not (arguments[1].isascii() and arguments[1].isdigit()):
            say(BAD_DESCRIPTOR)
        else:
            return descriptor_source(int(arguments[1]))
        for line in SYNTAX:
            say(SYNTAX_LINE, line)
        raise UnusableSource("no descriptor")
    path = arguments[0] if arguments else DEFAULT_CONFIGURATION
    if not arguments:
        say(DEFAULT_FILE, path)
    try:
        os.path.realpath(path, strict=True)
    except (OSError, ValueError) as error:
        say(BAD_FILE_NAME, path)
        reason = getattr(error, "strerror", None) or str(error)
        say(REALPATH_FAILED, reason, getattr(error, "errno", None) or 0)
        raise UnusableSource(path) from error
    return file_source(path)


def check(arguments: Sequence[str]) -> int:
    """Print every error and security warning of a configuration; 1 when there are errors.

    Certificates and keys are loaded and every TLS context is built, but nothing is bound.
    """
    log = Log()
    findings: list[tuple[str, str]] = []
    failed = True
    try:
        source = find_source(arguments, log)
    except UnusableSource:
        # The log has the reason, and is shown below.
        pass
    else:
        findings, failed = _findings(source, log)
    known = {text for _, text in findings}
    for level, _, text in log.take_pending():
        # What was logged on the way is often one of the findings over again.
        if level <= WARNING and text not in known:
            findings.append(("warning" if level == WARNING else "error", text))
    lines = [f"{severity}: {text}" for severity, text in findings]
    verdict = "Configuration failed" if failed else "Configuration successful"
    return _print([*lines, verdict], 1) or int(failed)


def _findings(source: Source, log: Log) -> tuple[list[tuple[str, str]], bool]:
    """Pairs of severity and text, and whether the configuration cannot be used."""
    from stunnel_tx.configuration.check import security_warnings
    from stunnel_tx.configuration.loader import examine
    from stunnel_tx.service.protocols import find_protocol

    errors: list[object] = []
    try:
        _application(source, log, rehearsal=True).load()
    except ConfigurationErrors as error:
        errors += error.problems
    except OperatingError as error:
        errors.append(error)
    except Exception as error:  # noqa: BLE001 - the operator gets one line, never a traceback
        errors.append(f"Internal error: {type(error).__name__}: {error}; please report this")
    try:
        understood = examine(source, find_protocol=find_protocol).configuration
    except OperatingError:
        # A plugin that cannot be used has been reported above.
        understood = examine(source).configuration
    warnings = [*understood.notes, *security_warnings(understood)]
    findings = [("warning", str(warning)) for warning in warnings]
    return [*findings, *(("error", str(error)) for error in errors)], bool(errors)


def _print(lines: Sequence[str], fd: int) -> int:
    """Print *lines* to descriptor *fd*; 1 when nobody reads them, else 0."""
    text = "".join(f"{line}\n" for line in lines)
    try:
        with os.fdopen(os.dup(fd), "wb") as stream:
            # Undecodable parts of file names appear escaped.
            stream.write(text.encode("utf-8", "backslashreplace"))
    except OSError:
        return 1
    return 0


def _application(source: Source, log: Log, *, rehearsal: bool = False) -> Program:
    from twisted.internet import reactor

    from stunnel_tx.service.application import Application
    from stunnel_tx.service.terminal import ask_passphrase

    return Application(reactor, source, log, ask=ask_passphrase, rehearsal=rehearsal)


def run(arguments: Sequence[str]) -> int:
    """Serve the configuration that *arguments* name until a signal ends it."""
    occupy_standard_streams()
    log = Log()
    introduce(log.main)
    try:
        source = find_source(arguments, log)
    except UnusableSource:
        show_failed_start(log)
        return 1
    from twisted.internet import reactor

    from stunnel_tx.service.lifecycle import Lifecycle
    from stunnel_tx.telemetry.observer import begin_logging

    begin_logging(log.main)
    lifecycle = Lifecycle(cast("LifecycleReactor", reactor), _application(source, log), log)
    return serve(reactor, lifecycle)


def serve(reactor: MainReactor, lifecycle: Lifecycle) -> int:
    """Run *lifecycle* from its beginning to its end; returns the exit status."""
    try:
        _start(lifecycle)
    except KeyboardInterrupt:
        lifecycle.finish()
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the operator gets one line, never a traceback
        lifecycle.abandon(error)
        return 1
    reactor.addSystemEventTrigger("before", "shutdown", lifecycle.finish)
    reactor.run()
    lifecycle.close()
    return 0


def _start(lifecycle: Lifecycle) -> None:
    options = lifecycle.load().globals
    lifecycle.bind()
    lifecycle.settle()
    if options["foreground"] == "no":
        lifecycle.detach()
    lifecycle.begin()
