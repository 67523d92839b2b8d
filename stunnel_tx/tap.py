"""``twistd stunnel --config FILE``: the program as a service of Twisted's daemon runner.

Here the process belongs to twistd, so twistd's own options rule what both know:

==============  ===========================================================================
``foreground``  twistd decides: ``-n`` stays in the foreground. ``foreground = yes`` in the
                file only adds the log lines on standard error (seen with ``-n``)
``pid``         written as well, next to twistd's ``--pidfile`` (``twistd.pid``, unless
                ``--pidfile=`` is given)
``output``      our log goes there and to ``syslog``, as the file says; twistd's
                ``--logfile`` gets Twisted's own messages only
``chroot``      ``chroot``, ``setuid`` and ``setgid`` act after twistd's ``--chroot``,
                ``--uid`` and ``--gid``; use one kind or the other
==============  ===========================================================================

The configuration is read before twistd becomes a daemon: its mistakes appear on the terminal.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn, cast

from twisted.application import service
from twisted.python import usage

from stunnel_tx.cli import DEFAULT_CONFIGURATION
from stunnel_tx.errors import StunnelTxError
from stunnel_tx.service.information import introduce
from stunnel_tx.service.logs import FAILED_START_LEVEL
from stunnel_tx.service.process import occupy_standard_streams
from stunnel_tx.telemetry.log import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.service.lifecycle import Lifecycle, LifecycleReactor


class Options(usage.Options):
    """The options of ``twistd stunnel``; the configuration is read as soon as it is known."""

    synopsis = "[--config FILE]"
    longdesc = "TLS tunnels as a stunnel.conf describes them."
    optParameters: ClassVar[list[list[str]]] = [
        ["config", "c", DEFAULT_CONFIGURATION, "configuration file of stunnel"]
    ]

    lifecycle: Lifecycle | None = None

    def postOptions(self) -> None:
        """Read the configuration; raises UsageError with everything that is wrong in it."""
        # As early as twistd asks us for anything, which is before it loads its reactor.
        occupy_standard_streams()
        log = Log()
        introduce(log.main)
        lifecycle = make_lifecycle(self["config"], log)
        try:
            lifecycle.load()
        except StunnelTxError as error:
            raise usage.UsageError(str(error)) from error
        self.lifecycle = lifecycle


def make_lifecycle(path: str, log: Log) -> Lifecycle:
    """A lifecycle for the configuration file *path*.

    Raises UsageError when there is no such file.
    """
    from twisted.internet import reactor

    from stunnel_tx.configuration.sources import file_source
    from stunnel_tx.service.application import Application
    from stunnel_tx.service.lifecycle import Lifecycle
    from stunnel_tx.service.terminal import ask_passphrase

    try:
        Path(path).stat()
    except OSError as error:
        message = f'Invalid configuration file name "{path}": {error.strerror}'
        raise usage.UsageError(message) from error
    program = Application(reactor, file_source(path), log, ask=ask_passphrase)
    return Lifecycle(cast("LifecycleReactor", reactor), program, log)


class TunnelService(service.Service):
    """Runs a lifecycle that has been loaded at the moments twistd gives it."""

    name = "stunnel"

    def __init__(self, lifecycle: Lifecycle, detached: Callable[[], bool] = bool) -> None:
        self._lifecycle = lifecycle
        self._detached = detached

    def privilegedStartService(self) -> None:
        """Open every listener, with the rights twistd was started with."""
        try:
            self._lifecycle.bind()
        except StunnelTxError as error:
            self._give_up(error)

    def startService(self) -> None:
        """Give up root's rights, open the logs and accept."""
        super().startService()  # type: ignore[no-untyped-call]
        try:
            self._lifecycle.settle()
            self._lifecycle.begin()
        except StunnelTxError as error:
            self._give_up(error)

    def stopService(self) -> None:
        """Close the listeners and drop the tunnels."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._lifecycle.finish()

    def _give_up(self, error: StunnelTxError) -> NoReturn:
        """End twistd: the operator is at fault, and is told why without a traceback.

        The parent of a daemon waits for an exception of its child, of which it shows the
        text; nobody sees the child's own traceback.
        """
        if self._detached():
            self._lifecycle.abandon(error, hand_to_twistd)
            raise error
        self._lifecycle.abandon(error)
        raise SystemExit(1) from error


def hand_to_twistd(log: Log) -> None:
    """Put the lines of a failed start into the log of twistd, as a daemon has no terminal."""
    from twisted.logger import Logger

    logger = Logger("stunnel_tx")
    for level, _, text in log.take_pending():
        if level <= FAILED_START_LEVEL:
            logger.info("{text}", text=text)


def makeService(options: Options) -> service.IService:
    """The service for parsed *options*; their lifecycle has read the configuration."""
    from twisted.logger import globalLogPublisher

    from stunnel_tx.telemetry.observer import LogObserver

    lifecycle = options.lifecycle
    if lifecycle is None:
        raise usage.UsageError("the options have not been parsed")
    globalLogPublisher.addObserver(LogObserver(lifecycle.scope))
    runner = options.parent

    def detached() -> bool:
        """True in the child of twistd; other runners never detach."""
        return runner is not None and not runner.get("nodaemon", True)

    return TunnelService(lifecycle, detached)
