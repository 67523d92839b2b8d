"""Tests of the application: start, reload, stop, with real listeners and tunnels."""

from __future__ import annotations

import os
import socket

from OpenSSL import SSL

from stunnel_tx.errors import ConfigurationErrors, OperatingError
from tests.doubles.applications import ApplicationTestCase
from tests.doubles.private_reactor import open_descriptors
from tests.doubles.real_programs import free_port
from tests.doubles.tunnels import certificate_file


class StartTests(ApplicationTestCase):
    """From the text of a configuration to listeners."""

    def test_serves(self) -> None:
        """Loaded, bound and started, it serves, and says so."""
        self.rig.run(self.rig.service())
        self.talk()
        self.rig.until(lambda: not self.rig.application.runtime.tunnels)
        texts = self.rig.log.texts
        self.assertIn("Accepting new connections", texts)
        self.assertIn("Initializing service [test]", texts)
        self.assertIn("Configuration successful", texts)
        bound = [text for text in texts if text.startswith("Service [test] (FD=")]
        self.assertEqual(len(bound), 1)

    def test_not_before_start(self) -> None:
        """A connection that arrives between bind and start waits for the start."""
        self.rig.write(self.rig.service())
        self.rig.application.load()
        self.rig.application.bind()
        self.rig.dial()
        for _ in range(3):
            self.rig.turner.turn()
        self.assertEqual(len(self.rig.application.runtime.tunnels), 0)
        self.rig.application.start()
        self.rig.until(lambda: self.rig.application.runtime.tunnels)

    def test_configuration_errors(self) -> None:
        """All mistakes of the text are raised together."""
        self.rig.write(self.rig.service("nonsense = 1", "TIMEOUTbusy = often"))
        error = self.assertRaises(ConfigurationErrors, self.rig.application.load)
        self.assertEqual(len(error.problems), 2)

    def test_bad_certificate(self) -> None:
        """A file that cannot be used is the operator's error, with the service's name."""
        self.rig.write(self.rig.service().replace(certificate_file(), "/nonexistent.pem"))
        error = self.assertRaises(ConfigurationErrors, self.rig.application.load)
        self.assertIn("test", str(error))

    def test_everything_wrong_at_once(self) -> None:
        """Bad files of several services, endpoint strings and the text have a line each."""
        bad = self.rig.service("accept = tcp:x", "connect = tcp:nohost").replace(
            certificate_file(), "/nonexistent.pem"
        )
        self.rig.write(bad, self.rig.service("nonsense = 1", "local = nope.invalid", name="b"))
        error = self.assertRaises(ConfigurationErrors, self.rig.application.load)
        lines = [str(each).partition(": ")[0] for each in error.problems]
        self.assertEqual(lines, [f"test.conf:{line}" for line in (5, 7, 8, 14, 15)], str(error))

    def test_local_of_no_family(self) -> None:
        """A source address that no target can be reached from is a mistake."""
        self.rig.write(self.rig.service("local = ::1"))
        error = self.assertRaises(ConfigurationErrors, self.rig.application.load)
        self.assertIn("local: no address of the family", str(error))

    def test_port_in_use(self) -> None:
        """When a service gets none of its addresses, nothing is left bound."""
        self.rig.write(
            self.rig.service(), self.rig.service(name="b", accept=f"127.0.0.1:{self.rig.connect}")
        )
        self.rig.application.load()
        error = self.assertRaises(OperatingError, self.rig.application.bind)
        self.assertIn("Service [b]", str(error))
        self.assertEqual(self.rig.application.addresses(), ())
        text = f"Binding service [b] to 127.0.0.1:{self.rig.connect}: Address already in use (98)"
        self.assertIn(text, self.rig.log.texts)

    def test_bind_before_load(self) -> None:
        """The order of the calls is checked."""
        self.assertRaises(OperatingError, self.rig.application.bind)

    def test_two_services(self) -> None:
        """Each service has its listener, in the order of the configuration."""
        self.rig.run(self.rig.service(name="a"), self.rig.service(name="b"))
        self.talk(0)
        self.talk(1)
        accepted = [text for text in self.rig.log.texts if "accepted connection" in text]
        self.assertEqual([text.split()[1] for text in accepted], ["[a]", "[b]"])


class ReloadTests(ApplicationTestCase):
    """All of it takes effect, or nothing does."""

    def fixed(self) -> int:
        """A free port, to be named in a configuration, and another one each time."""
        return free_port()

    def test_unchanged_listener_is_kept(self) -> None:
        """The same address keeps its descriptor, while the service gets its new options."""
        accept = f"127.0.0.1:{self.fixed()}"
        self.rig.run(self.rig.service(accept=accept))
        fds = self.rig.fds()
        self.rig.write(self.rig.service("TIMEOUTbusy = 7", accept=accept))
        self.rig.reload()
        self.assertEqual(self.rig.fds(), fds)
        self.talk()
        self.assertEqual(self.rig.established[-1].policy.busy, 7)

    def test_listener_takes_new_socket_options(self) -> None:
        """Other options for the same address reach the socket that listens there already."""
        accept = f"127.0.0.1:{self.fixed()}"
        self.rig.run(self.rig.service(accept=accept))
        fds = self.rig.fds()
        self.rig.write(self.rig.service("socket = a:SO_KEEPALIVE=yes", accept=accept))
        self.rig.reload()
        self.assertEqual(self.rig.fds(), fds)
        with socket.socket(fileno=os.dup(fds[0])) as listening:
            self.assertEqual(listening.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
        self.talk()

    def test_failed_reload_leaves_the_environment_alone(self) -> None:
        """``setEnv`` takes effect with the configuration it belongs to, or not at all."""
        self.addCleanup(os.environ.pop, "STUNNEL_TX_TEST", None)
        self.rig.run(self.rig.service())
        missing = self.rig.service("key = /nonexistent/key.pem")
        self.rig.write("setEnv = STUNNEL_TX_TEST=set\n" + missing)
        self.rig.reload()
        self.assertNotIn("STUNNEL_TX_TEST", os.environ)
        self.rig.write("setEnv = STUNNEL_TX_TEST=set\n" + self.rig.service())
        self.rig.reload()
        self.assertEqual(os.environ["STUNNEL_TX_TEST"], "set")

    def test_connection_that_waits_over_a_reload(self) -> None:
        """A connection in the queue of a listener that is kept is not lost."""
        accept = f"127.0.0.1:{self.fixed()}"
        self.rig.run(self.rig.service(accept=accept))
        waiting = self.rig.dial()
        self.rig.reload()
        user = self.rig.shake(waiting)
        self.rig.accepted()
        self.assertEqual(user.end, "")

    def test_removed_listener_is_closed(self) -> None:
        """An address that is not there any more is closed, a new one opened."""
        first, second = self.fixed(), self.fixed()
        self.rig.run(self.rig.service(accept=f"127.0.0.1:{first}"))
        self.rig.write(self.rig.service(accept=f"127.0.0.1:{second}"))
        self.rig.reload()
        with socket.socket() as sock:
            self.assertEqual(sock.connect_ex(("127.0.0.1", first)), 111)
        self.assertEqual(self.rig.application.addresses(), (f"127.0.0.1:{second}",))
        self.talk()

    def test_bad_configuration_changes_nothing(self) -> None:
        """A mistake anywhere: each one is logged, and the old services go on."""
        self.rig.run(self.rig.service())
        fds, configuration = self.rig.fds(), self.rig.application.configuration
        self.rig.write(self.rig.service("nonsense = 1"), self.rig.service("bad = 2", name="b"))
        self.rig.reload()
        self.assertEqual((self.rig.fds(), self.rig.application.configuration), (fds, configuration))
        self.assertEqual(len(self.rig.errors()), 3)
        self.assertEqual(self.rig.errors()[-1], "Failed to reload the configuration file")
        self.talk()

    def test_bad_file_changes_nothing(self) -> None:
        """A certificate that cannot be read: the old one goes on."""
        self.rig.run(self.rig.service())
        fds = self.rig.fds()
        self.rig.write(self.rig.service().replace(certificate_file(), "/nonexistent.pem"))
        self.rig.reload()
        self.assertEqual(self.rig.fds(), fds)
        self.assertEqual(self.rig.errors()[-1], "Failed to reload the configuration file")
        self.talk()

    def test_port_in_use_changes_nothing(self) -> None:
        """A new address that cannot be bound: what was opened is closed, the rest goes on."""
        accept, new = f"127.0.0.1:{self.fixed()}", self.fixed()
        self.rig.run(self.rig.service(accept=accept))
        fds = self.rig.fds()
        self.rig.write(
            self.rig.service("TIMEOUTbusy = 7", accept=accept),
            self.rig.service(name="new", accept=f"127.0.0.1:{new}"),
            self.rig.service(name="b", accept=f"127.0.0.1:{self.rig.connect}"),
        )
        self.rig.reload()
        self.assertEqual(self.rig.fds(), fds)
        self.assertEqual(self.rig.errors()[-1], "Failed to reload the configuration file")
        with socket.socket() as sock:
            self.assertEqual(sock.connect_ex(("127.0.0.1", new)), 111)
        self.talk()
        self.assertEqual(self.rig.established[-1].policy.busy, 300)

    def test_tunnels_survive(self) -> None:
        """Tunnels that stand keep going under their old policy, whatever becomes of theirs."""
        self.rig.run(self.rig.service("TIMEOUTidle = 1000"))
        user, backend = self.rig.join()
        policy = self.rig.established[0].policy
        self.rig.write(self.rig.service("TIMEOUTidle = 5", name="other"))
        self.rig.reload()
        self.rig.turner.advance(60)
        user.send(b"still here")
        self.rig.until(lambda: backend.received, user, backend)
        self.assertIs(self.rig.established[0].policy, policy)
        self.assertEqual(policy.relay.idle, 1000)

    def test_same_address_in_another_service(self) -> None:
        """An address may move to another service without being closed."""
        accept = f"127.0.0.1:{self.fixed()}"
        self.rig.run(self.rig.service(accept=accept))
        fds = self.rig.fds()
        self.rig.write(self.rig.service(name="renamed", accept=accept))
        self.rig.reload()
        self.assertEqual(self.rig.fds(), fds)
        self.talk()
        self.assertEqual(self.rig.established[-1].policy.name, "renamed")

    def test_endpoint_is_kept_too(self) -> None:
        """An endpoint string that has not changed keeps its port."""
        accept = f"tcp:{self.fixed()}:interface=127.0.0.1"
        self.rig.run(self.rig.service(accept=accept))
        fds = self.rig.fds()
        self.rig.reload()
        self.assertEqual(self.rig.fds(), fds)
        self.talk()


class LifeTests(ApplicationTestCase):
    """Limits, the list, and the end."""

    def test_list(self) -> None:
        """Each tunnel is a line with its bytes, between a first and a last line; then numbers."""
        self.rig.run(self.rig.service())
        user, backend = self.rig.join()
        self.rig.until(lambda: self.rig.established)
        user.send(b"12345")
        self.rig.until(lambda: len(backend.received) == 5, user, backend)
        start = len(self.rig.log.texts)
        counters = self.rig.application.runtime.counters
        counters.resumed, counters.truncated = 2, 4
        for kind in ("tls", "timeout", "tls"):
            counters.handshake_failed(kind)
        self.rig.application.list_tunnels()
        numbers = (
            "Since the start: 1 accepted, 0 refused by the limit, 2 sessions resumed, "
            "3 handshakes failed (timeout 1, tls 2), 4 ended without close_notify"
        )
        row = "Service [test], 0 byte(s) sent to TLS, 5 byte(s) sent to socket"
        self.assertEqual(
            self.rig.log.texts[start:],
            [
                "Active connections:",
                f"Active connection 0: {row}",
                "Listed 1 active connection(s)",
                numbers,
            ],
        )
        self.assertEqual({level for level, _, _ in self.rig.log.lines[start:]}, {0})

    def test_too_many_clients(self) -> None:
        """Beyond the limit a connection is closed with a warning, and later ones are served."""
        self.rig.run(self.rig.service())
        listeners = self.rig.application._listeners
        assert listeners is not None
        listeners._limit = 1
        first = self.rig.dial()
        self.rig.until(lambda: self.rig.application.runtime.tunnels)
        second = self.rig.dial()
        self.rig.until(lambda: "Connection rejected: too many clients (>=1)" in self.rig.log.texts)
        self.assertEqual(second.recv(1), b"")
        self.assertEqual(self.rig.application.runtime.counters.refused_by_limit, 1)
        first.close()
        self.rig.until(lambda: not self.rig.application.runtime.tunnels)
        self.talk()

    def test_stop(self) -> None:
        """Stopping closes the listeners and drops every tunnel, in whatever stage."""
        self.rig.run(self.rig.service(), self.rig.service(name="b"))
        user, backend = self.rig.join()
        silent = self.rig.dial()
        self.rig.until(lambda: len(self.rig.application.runtime.tunnels) == 2)
        port = self.rig.port()
        self.rig.application.stop()
        self.assertEqual(self.rig.application.runtime.tunnels, set())
        user.pump()
        backend.pump()
        self.assertEqual((user.end, backend.end, silent.recv(1)), ("fin", "fin", b""))
        with socket.socket() as sock:
            self.assertEqual(sock.connect_ex(("127.0.0.1", port)), 111)
        self.assertIn("Terminating 2 service thread(s)", self.rig.log.texts)
        self.rig.application.stop()

    def test_a_bug_ends_one_tunnel(self) -> None:
        """What a tunnel's callback raises is one line, and only that tunnel ends."""
        self.rig.run(self.rig.service())
        user, _ = self.rig.join()
        other, other_backend = self.rig.join()
        self.rig.until(lambda: len(self.rig.established) == 2)
        relay = self.rig.established[0]._relay
        assert relay is not None
        relay._scope = None  # type: ignore[assignment]
        user.finish()
        self.rig.until(lambda: len(self.rig.application.runtime.tunnels) == 1, user)
        other.send(b"fine")
        self.rig.until(lambda: other_backend.received, other, other_backend)
        faults = [text for text in self.rig.log.texts if text.startswith("Internal error")]
        self.assertEqual(len(faults), 1)
        self.assertIn("in the relay: TypeError", faults[0])
        self.rig.log.lines.clear()

    def test_many_connections(self) -> None:
        """A hundred connections one after the other leave nothing behind."""
        self.rig.run(self.rig.service())
        self.talk()
        before = open_descriptors()
        for _ in range(100):
            user, backend = self.rig.join()
            user.send(b"x")
            user.finish()
            backend.finish()
            self.rig.until(lambda: user.end and backend.end, user, backend)  # noqa: B023 - called at once
            for sock in self.rig.open[-2:]:
                sock.close()
            del self.rig.open[-2:]
        self.rig.until(lambda: not self.rig.application.runtime.tunnels)
        self.assertEqual(open_descriptors(), before)
        self.assertEqual(self.rig.application.runtime.counters.accepted, 101)


class ClientTests(ApplicationTestCase):
    """A client service."""

    def test_client_mode(self) -> None:
        """Plain in, TLS out; without verification there is a warning at start."""
        self.rig.run(
            f"[test]\nclient = yes\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:{self.rig.connect}\n"
        )
        user = self.rig.dial()
        backend = self.rig.shake(self.rig.accepted(), accept=True)
        user.send(b"plain")
        self.rig.until(lambda: backend.received, backend)
        self.assertEqual(bytes(backend.received), b"plain")
        self.assertIsInstance(backend.connection, SSL.Connection)
        warnings = [text for level, _, text in self.rig.log.lines if level == 4]
        self.assertEqual(len(warnings), 1, warnings)
