"""Tests of name-based services, from the configuration to the handshake."""

from __future__ import annotations

import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from tests.doubles.applications import ApplicationRig
from tests.doubles.certificates import Authority
from tests.doubles.clients import Visit, client_context
from tests.doubles.private_reactor import open_descriptors
from tests.doubles.tls_pairs import TLS_1_2, TLS_1_3

if TYPE_CHECKING:
    from OpenSSL import SSL

    from tests.doubles.certificates import Issued


class NamesTestCase(SynchronousTestCase):
    """An application with one listener, and services that are told apart by name."""

    def setUp(self) -> None:
        self.before = open_descriptors()
        self.rig = ApplicationRig()
        temporary = TemporaryDirectory(prefix="stunnel_tx_names_")
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.authority = Authority("Names CA")
        self.client = self.authority.issue("client")
        self.stranger = Authority("Other CA").issue("client")
        self.trust = self.authority.pem(self.directory / "ca.pem")

    def tearDown(self) -> None:
        self.rig.close()
        self.assertEqual(open_descriptors(), self.before)
        self.assertNotIn("Internal error", " ".join(self.rig.log.texts))

    def section(self, name: str, *lines: str, where: str = "accept = 127.0.0.1:0") -> str:
        """A server section with a certificate for *name* alone."""
        path = self.authority.issue(name, [name]).pem(self.directory / f"{name}.pem")
        body = [f"[{name}]", f"cert = {path}", where, "debug = 7"]
        if not any(line.startswith("connect") for line in lines):
            body.append(f"connect = 127.0.0.1:{self.rig.connect}")
        return "\n".join([*body, *lines, ""])

    def secondary(self, name: str, pattern: str, *lines: str) -> str:
        """A section that takes over from ``p.example``."""
        return self.section(name, *lines, where=f"sni = p.example:{pattern}")

    def judged(self) -> tuple[str, str]:
        """The lines of a service that demands a certificate of the authority."""
        return "verifyChain = yes", f"CAfile = {self.trust}"

    def visit(
        self,
        context: SSL.Context | None = None,
        name: str | None = None,
        session: SSL.Session | None = None,
        backend: socket.socket | None = None,
    ) -> Visit:
        """One client."""
        return Visit(self.rig, context or client_context(), name, session, backend=backend)


class SwitchTests(NamesTestCase):
    """Which service a name leads to, and what of it applies."""

    def test_certificate(self) -> None:
        """Each name gets the certificate of its service, and the log tells."""
        self.rig.run(
            self.section("p.example"),
            self.secondary("q.example", "q.example\nsni = p.example:*.q.example"),
            self.secondary("r.example", "*"),
        )
        for name, subject in (
            (None, "p.example"),
            ("q.example", "q.example"),
            ("A.B.Q.Example", "q.example"),
            ("other.example", "r.example"),
        ):
            self.assertEqual(self.visit(name=name).subject, subject)
        texts = self.rig.log.texts
        self.assertIn("SNI: no servername received", texts)
        self.assertIn("SNI: matched pattern: *.q.example", texts)
        self.assertIn("SNI: switched to service [r.example]", texts)

    def test_unknown_goes_to_the_primary(self) -> None:
        """A name without a pattern is served by the primary, with an error line."""
        self.rig.run(self.section("p.example"), self.secondary("q.example", "q.example"))
        self.assertEqual(self.visit(name="x.example").subject, "p.example")
        self.assertIn("SNI: no pattern matched servername: x.example", self.rig.errors())

    def test_everything_switches(self) -> None:
        """Version, cipher, verification, destination and log level are those of the name."""
        other = socket.create_server(("127.0.0.1", 0))
        other.setblocking(False)
        self.addCleanup(other.close)
        self.rig.open.append(other)
        self.rig.run(
            self.section("p.example", "sslVersion = TLSv1.2", "debug = 3"),
            self.secondary(
                "q.example",
                "q.example",
                "sslVersion = TLSv1.3",
                "ciphersuites = TLS_CHACHA20_POLY1305_SHA256",
                "curves = P-384",
                f"connect = 127.0.0.1:{other.getsockname()[1]}",
                "debug = 7",
                *self.judged(),
            ),
        )
        first = self.visit(name="p.example")
        self.assertEqual(first.connection.get_protocol_version_name(), "TLSv1.2")
        start = len(self.rig.log.lines)
        second = self.visit(client_context(identity=self.client), "q.example", backend=other)
        self.assertEqual(second.error, "")
        self.assertEqual(second.connection.get_protocol_version_name(), "TLSv1.3")
        self.assertEqual(second.connection.get_cipher_name(), "TLS_CHACHA20_POLY1305_SHA256")
        self.assertEqual(second.connection.get_group_name(), "secp384r1")
        levels = {level for level, _, _ in self.rig.log.lines[start:]}
        self.assertTrue({5, 6, 7} <= levels, levels)
        self.assertEqual(len({ident for _, ident, _ in self.rig.log.lines[start:]}), 2)
        third = self.visit(client_context(identity=self.stranger), "q.example", backend=other)
        self.assertIn("unknown ca", third.error)

    def test_reload(self) -> None:
        """After a reload names lead to what the new configuration says."""
        primary = self.section("p.example", where="accept = 127.0.0.1:0")
        self.rig.run(primary, self.secondary("q.example", "x.example"))
        self.assertEqual(self.visit(name="x.example").subject, "q.example")
        self.rig.write(primary, self.secondary("r.example", "x.example"))
        self.rig.reload()
        self.assertEqual(self.visit(name="x.example").subject, "r.example")

    def test_pattern_of_a_secondary(self) -> None:
        """A section under one that is itself chosen by name is never reached: a warning."""
        text = self.section("r.example", where="sni = q.example:r.example")
        self.rig.run(self.section("p.example"), self.secondary("q.example", "q.example"), text)
        self.assertIn("never matches", " ".join(self.rig.log.texts))
        self.assertEqual(self.visit(name="r.example").subject, "p.example")


class RefusalTests(NamesTestCase):
    """Names and protocols that nobody here has."""

    def test_unknown_name(self) -> None:
        """With sniUnknown = refuse a stranger gets the alert, the names of all services do not."""
        self.rig.run(
            self.section("p.example", "sniUnknown = refuse"),
            self.secondary("q.example", "*.q.example"),
        )
        for version in (TLS_1_2, TLS_1_3):
            visit = self.visit(client_context(version), "x.example")
            self.assertIn("unrecognized name", visit.error)
        self.assertEqual(self.visit(name="a.q.example").subject, "q.example")
        self.assertEqual(self.visit(name="P.example").subject, "p.example")
        self.assertEqual(self.visit().subject, "p.example")
        self.assertIn('SSL_accept: unrecognized name "x.example"', " ".join(self.rig.errors()))
        counted = self.rig.application.runtime.counters.handshake_failures
        self.assertEqual(counted, {"rejected": 2})

    def test_without_patterns(self) -> None:
        """A service alone may refuse what its certificate is not for."""
        self.rig.run(self.section("p.example", "sniUnknown = refuse"))
        self.assertIn("unrecognized name", self.visit(name="q.example").error)
        self.assertEqual(self.visit(name="p.example").error, "")

    def test_protocols(self) -> None:
        """The server's first choice is taken; a client with other names only is turned away."""
        self.rig.run(
            self.section("p.example", "alpn = h2,http/1.1"),
            self.secondary("q.example", "q.example", "alpn = imap", "requireALPN = yes"),
        )
        good: tuple[tuple[str, tuple[bytes, ...], bytes], ...] = (
            ("p.example", (b"http/1.1", b"h2"), b"h2"),
            ("p.example", (), b""),
            ("q.example", (b"h2", b"imap"), b"imap"),
        )
        for name, offered, agreed in good:
            visit = self.visit(client_context(alpn=offered), name)
            self.assertEqual(visit.connection.get_alpn_proto_negotiated(), agreed)
        bad: tuple[tuple[str, tuple[bytes, ...]], ...] = (
            ("p.example", (b"imap",)),
            ("q.example", (b"h2",)),
            ("q.example", ()),
        )
        for name, offered in bad:
            visit = self.visit(client_context(alpn=offered), name)
            self.assertIn("no application protocol", visit.error)
        self.assertIn("ALPN: negotiated protocol: imap", self.rig.log.texts)

    def test_without_alpn(self) -> None:
        """Without the option a client may offer what it likes."""
        self.rig.run(self.section("p.example"))
        visit = self.visit(client_context(alpn=[b"anything"]))
        self.assertEqual((visit.error, visit.connection.get_alpn_proto_negotiated()), ("", b""))


class ResumptionTests(NamesTestCase):
    """The eight cells: a session of one service is worth nothing to the other."""

    def pair(self, *lines: str) -> None:
        """A public primary and a service that demands a certificate."""
        self.rig.run(
            self.section("p.example", *lines),
            self.secondary("q.example", "q.example", *self.judged(), *lines),
        )

    def reused(self) -> int:
        """How many handshakes have resumed a session so far."""
        return self.rig.log.texts.count("TLS accepted: previous session reused")

    def check(self, version: int, lines: tuple[str, ...], identity: Issued | None) -> None:
        """Take a session from one name to the other, in both directions."""
        self.pair(*lines)
        context = client_context(version, identity)
        first, then = ("q.example", "p.example") if identity else ("p.example", "q.example")
        session = self.visit(context, first).leave()
        visit = self.visit(context, then, session)
        self.assertEqual(self.reused(), 0)
        if identity is None:
            self.assertTrue(visit.error)
        else:
            self.assertEqual((visit.error, visit.subject), ("", then))
        again = self.visit(context, first, session)
        self.assertEqual((again.error, again.subject), ("", first))
        self.assertEqual(self.reused(), 1, "the session must have been a good one")

    def test_public_session_tls_1_3_tickets(self) -> None:
        """TLS 1.3, tickets: the public session opens nothing."""
        self.check(TLS_1_3, (), None)

    def test_public_session_tls_1_3_stateful(self) -> None:
        """TLS 1.3, no tickets: the public session opens nothing."""
        self.check(TLS_1_3, ("options = NO_TICKET",), None)

    def test_public_session_tls_1_2_tickets(self) -> None:
        """TLS 1.2, tickets: the public session opens nothing."""
        self.check(TLS_1_2, (), None)

    def test_public_session_tls_1_2_ids(self) -> None:
        """TLS 1.2, session ids: the public session opens nothing."""
        self.check(TLS_1_2, ("options = NO_TICKET",), None)

    def test_judged_session_tls_1_3_tickets(self) -> None:
        """TLS 1.3, tickets: the judged session means a full handshake elsewhere."""
        self.check(TLS_1_3, (), self.client)

    def test_judged_session_tls_1_3_stateful(self) -> None:
        """TLS 1.3, no tickets: the judged session means a full handshake elsewhere."""
        self.check(TLS_1_3, ("options = NO_TICKET",), self.client)

    def test_judged_session_tls_1_2_tickets(self) -> None:
        """TLS 1.2, tickets: the judged session means a full handshake, under the right name."""
        self.check(TLS_1_2, (), self.client)

    def test_judged_session_tls_1_2_ids(self) -> None:
        """TLS 1.2, session ids: the judged session means a full handshake elsewhere."""
        self.check(TLS_1_2, ("options = NO_TICKET",), self.client)


class RedirectTests(NamesTestCase):
    """Peers that fail verification are led elsewhere."""

    def setUp(self) -> None:
        super().setUp()
        self.elsewhere = socket.create_server(("127.0.0.1", 0))
        self.elsewhere.setblocking(False)
        self.rig.open.append(self.elsewhere)

    def serve(self, *lines: str) -> None:
        """A service that redirects."""
        where = f"redirect = 127.0.0.1:{self.elsewhere.getsockname()[1]}"
        self.rig.run(self.section("p.example", where, *self.judged(), *lines))

    def redirected(self) -> int:
        """How many connections were led elsewhere so far."""
        return self.rig.log.texts.count("Redirecting connection")

    def test_full_and_resumed(self) -> None:
        """Good, missing and strange certificates, each in a full and a resumed handshake."""
        self.serve()
        for version in (TLS_1_2, TLS_1_3):
            for identity in (self.client, None, self.stranger):
                context = client_context(version, identity)
                backend = None if identity is self.client else self.elsewhere
                before = self.redirected()
                first = self.visit(context, backend=backend)
                self.assertEqual(first.error, "")
                session = first.leave()
                second = self.visit(context, session=session, backend=backend)
                self.assertEqual(second.error, "")
                led = self.redirected() - before
                self.assertEqual(led, 0 if identity is self.client else 2)
                second.leave()
        self.assertEqual(self.rig.log.texts.count("TLS accepted: previous session reused"), 6)

    def test_stateful(self) -> None:
        """Sessions kept by the server are judged in the same way as tickets."""
        self.serve("options = NO_TICKET")
        for version in (TLS_1_2, TLS_1_3):
            context = client_context(version, self.stranger)
            session = self.visit(context, backend=self.elsewhere).leave()
            self.visit(context, session=session, backend=self.elsewhere).leave()
        self.assertEqual(self.redirected(), 4)
        self.assertEqual(self.rig.log.texts.count("TLS accepted: previous session reused"), 2)

    def test_fails_over(self) -> None:
        """The targets of redirect are tried in turn, like those of connect."""
        # Bound, so that no listener of ours gets it.
        closed = socket.socket()
        self.rig.open.append(closed)
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        where = f"redirect = 127.0.0.1:{self.elsewhere.getsockname()[1]}"
        self.rig.run(
            self.section("p.example", f"redirect = 127.0.0.1:{port}", where, *self.judged())
        )
        self.assertEqual(self.visit(backend=self.elsewhere).error, "")
        self.assertIn("Connection refused", " ".join(self.rig.errors()))
