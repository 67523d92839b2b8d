"""Tests of reloads: beside the reactor, one at a time, all or nothing."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.model import Place, Problem, Severity
from stunnel_tx.errors import ConfigurationErrors, OperatingError
from stunnel_tx.service.reloading import NoChange, Reloading
from tests.doubles.applications import ApplicationTestCase
from tests.doubles.private_reactor import open_descriptors
from tests.doubles.real_programs import free_port
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from stunnel_tx.configuration.model import Configuration


class ScriptedThreads:
    """Threads that are done when the test says so."""

    def __init__(self) -> None:
        self.calls: list[Deferred[Any]] = []

    def call(self, _function: Callable[..., Any], *_args: object) -> Deferred[Any]:
        """The next answer, not there yet."""
        self.calls.append(Deferred())
        return self.calls[-1]


class ReloadingTests(SynchronousTestCase):
    """Requests, readings and switches."""

    def setUp(self) -> None:
        self.threads = ScriptedThreads()
        threads: Any = self.threads
        self.log = Recording()
        self.switched: list[object] = []
        self.reloading = Reloading(threads, self.log.scope, self._read, self.switched.append)

    def _read(self) -> Any:
        raise AssertionError("the threads are scripted")

    def answer(self, number: int, result: object) -> None:
        """End the reading *number*."""
        deferred = self.threads.calls[number]
        if isinstance(result, Exception):
            deferred.errback(result)
        else:
            deferred.callback(result)

    def test_one_at_a_time(self) -> None:
        """However often a reload is asked for in the middle of one, one more follows."""
        self.assertFalse(self.reloading.under_way)
        for _ in range(3):
            self.reloading.request()
        self.assertEqual(len(self.threads.calls), 1)
        self.assertTrue(self.reloading.under_way)
        self.answer(0, "first")
        self.assertEqual((self.switched, len(self.threads.calls)), (["first"], 2))
        self.answer(1, "second")
        self.assertEqual((self.switched, len(self.threads.calls)), (["first", "second"], 2))
        self.assertFalse(self.reloading.under_way)

    def test_stopped_in_the_middle(self) -> None:
        """A program that stops does not change its configuration any more, and says nothing."""
        for result in ("late", OperatingError("late")):
            self.setUp()
            self.reloading.request()
            self.reloading.close()
            self.reloading.request()
            self.answer(0, result)
            self.assertEqual((self.switched, self.log.lines), ([], []))
            self.assertEqual(len(self.threads.calls), 1)

    def told(self, error: Exception) -> list[str]:
        """What a reading that ends with *error* leaves in the log, without debugging."""
        self.log.lines.clear()
        self.reloading.request()
        self.answer(-1, error)
        self.assertFalse(self.reloading.under_way)
        return [text for level, _, text in self.log.lines if level < 7]

    def test_failures(self) -> None:
        """Mistakes, what the system refuses, and bugs: each is told, and the last line is one."""
        last = "Failed to reload the configuration file"
        problems = [Problem(Severity.ERROR, "is wrong", Place("a.conf", 3), "", "pid")]
        self.assertEqual(
            self.told(ConfigurationErrors(problems)), ["a.conf:3: pid: is wrong", last]
        )
        self.assertEqual(self.told(OperatingError("no certificate")), ["no certificate", last])
        bug = "Internal error in the reload: ImportError: no module; please report this"
        self.assertEqual(self.told(ImportError("no module")), [bug, last])
        self.assertEqual(self.switched, [])


class PreparedChange(NoChange):
    """Remembers what became of it."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(configuration)
        self.configuration = configuration
        self.ends: list[str] = []

    def apply(self) -> None:
        """Remember it."""
        self.ends.append("applied")

    def discard(self) -> None:
        """Remember it."""
        self.ends.append("discarded")


class ApplicationReloadTests(ApplicationTestCase):
    """A whole application that reloads."""

    def bind(self) -> tuple[int, socket.socket]:
        """A port that somebody else listens on at another address, with its socket."""
        # Free at 127.0.0.1 as well, where nothing of earlier tests is in the way.
        port = free_port()
        sock = socket.create_server(("127.0.0.2", port))
        self.rig.open.append(sock)
        return port, sock

    def reload(self, prepare: Any) -> None:
        """Reload with *prepare*, to the end."""
        self.rig.application.reload(prepare)
        self.rig.until(lambda: not self.rig.application.reloading)

    def test_other_changes(self) -> None:
        """What else changes is prepared from the new configuration, and applied with it."""
        self.rig.run(self.rig.service())
        made: list[PreparedChange] = []

        def prepare(configuration: Configuration) -> PreparedChange:
            made.append(PreparedChange(configuration))
            return made[-1]

        self.reload(prepare)
        self.assertEqual(made[0].ends, ["applied"])
        self.assertIs(made[0].configuration, self.rig.application.configuration)

    def test_other_changes_fail(self) -> None:
        """When something else cannot be changed, the services are as before too."""
        self.rig.run(self.rig.service())
        fds, descriptors = self.rig.fds(), open_descriptors()

        def prepare(_: Configuration) -> PreparedChange:
            raise OperatingError("Cannot open log file")

        self.rig.write(self.rig.service(), self.rig.service(name="new"))
        self.reload(prepare)
        self.assertEqual(self.rig.fds(), fds)
        self.assertEqual(
            self.rig.errors(), ["Cannot open log file", "Failed to reload the configuration file"]
        )
        self.assertEqual(open_descriptors() - descriptors, set())
        self.talk()

    def test_place_that_cannot_be_taken_over(self) -> None:
        """So are the other changes when the last step of all fails."""
        port, _ = self.bind()
        self.rig.run(self.rig.service(accept=f"127.0.0.1:{port}"))
        self.rig.write(self.rig.service(accept=f"0.0.0.0:{port}"))
        made: list[PreparedChange] = []

        def prepare(configuration: Configuration) -> PreparedChange:
            made.append(PreparedChange(configuration))
            return made[-1]

        self.reload(prepare)
        self.assertEqual(made[0].ends, ["discarded"])
        self.assertEqual(self.rig.application.addresses(), (f"127.0.0.1:{port}",))
        self.assertEqual(self.rig.errors()[-1], "Failed to reload the configuration file")
        self.talk()

    def test_silent_name_server(self) -> None:
        """While names are looked up tunnels go on, new ones too; then the reload goes on."""
        self.rig.run(self.rig.service("TIMEOUTbusy = 7"))
        user, backend = self.rig.join()
        answer, asked = threading.Event(), threading.Event()
        self.addCleanup(answer.set)
        real = socket.getaddrinfo

        def slow(host: Any, *arguments: Any, **more: Any) -> Any:
            if host == "slow.example":
                asked.set()
                answer.wait(30)
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return real(host, *arguments, **more)

        self.patch(socket, "getaddrinfo", slow)
        self.rig.write(self.rig.service("connect = slow.example:80"))
        self.rig.application.reload()
        self.rig.until(asked.is_set)
        user.send(b"meanwhile")
        self.rig.until(lambda: backend.received, user, backend)
        self.assertTrue(self.rig.application.reloading)
        self.talk()
        answer.set()
        self.rig.until(lambda: not self.rig.application.reloading)
        self.assertEqual(
            self.rig.errors(), ['Error resolving "slow.example:80": Name or service not known']
        )
        self.assertIn("Configuration successful", self.rig.log.texts)
