"""Tests of stunnel_tx.service.negotiation; whole tunnels have files of their own."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from attrs import evolve
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.loader import load
from stunnel_tx.configuration.sources import text_source
from stunnel_tx.negotiation.peer import Conversation, Endpoint
from stunnel_tx.negotiation.proxy_senders import EVERYBODY
from stunnel_tx.service.build import server_name
from stunnel_tx.service.negotiation import behind_balancer, negotiation_policy, protocol_names
from stunnel_tx.tunnel.destination import Connector
from stunnel_tx.tunnel.dialogues import Dialogues, NegotiationPolicy
from stunnel_tx.tunnel.peers import PlainPeer, TLSPeer
from tests.doubles.negotiated import NegotiatedCase
from tests.doubles.tls_pairs import TLS_1_3, contexts
from tests.doubles.tunnels import TunnelRig, tls_context

if TYPE_CHECKING:
    from stunnel_tx.configuration.model import Settings

CLIENT = "client = yes\naccept = 1\nconnect = proxy.example:2\n"
SERVER = "cert = c\naccept = 1\n"


def settings(lines: str) -> Settings:
    """The one service of a configuration."""
    (found,) = load(text_source(f"[x]\n{lines}\n".encode(), "f")).services
    return found


def policy(lines: str) -> NegotiationPolicy | None:
    """What that service says around TLS."""
    return negotiation_policy(settings(lines), Connector((), 10), None)


class PolicyTests(SynchronousTestCase):
    """From options to a policy."""

    def test_nothing(self) -> None:
        """A service without a protocol and headers has no policy at all."""
        self.assertIs(policy(CLIENT), None)

    def test_options(self) -> None:
        """Each option arrives, and the password in no representation."""
        found = policy(
            f"{CLIENT}protocol = connect\nprotocolHost = h:1\nprotocolUsername = u\n"
            "protocolPassword = hunter2\nprotocolHeader = A: b\nprotocolHeader = C: d\n"
        )
        assert found is not None
        options = found.options
        self.assertEqual(
            (options.host, options.username, options.password), ("h:1", "u", "hunter2")
        )
        self.assertEqual(options.headers, ("A: b", "C: d"))
        self.assertNotIn("hunter2", repr(found))

    def test_headers_alone(self) -> None:
        """PROXY headers need no protocol."""
        found = policy(f"{CLIENT}sendProxy = 2\nacceptProxy = unix, 10.0.0.0/8\n")
        assert found is not None
        self.assertEqual(found.send_proxy, 2)
        self.assertTrue(found.accept_proxy.include(None))
        self.assertTrue(found.accept_proxy.include(Endpoint("10.1.2.3", 1)))
        self.assertFalse(found.accept_proxy.include(Endpoint("11.1.2.3", 1)))

    def test_behind_a_balancer(self) -> None:
        """There everybody sends a header; all the rest is as it was, and renewed with it."""
        rig = TunnelRig()
        self.addCleanup(rig.close)
        for said in (None, policy(f"{SERVER}connect = 2\nprotocol = smtp\nsendProxy = 1")):
            plain = evolve(rig.policy, negotiation=said)
            found = behind_balancer(plain)
            assert found.negotiation is not None
            own = said or NegotiationPolicy()
            self.assertEqual(found.negotiation.accept_proxy, EVERYBODY)
            self.assertIs(found.negotiation.stages.early, own.stages.early)
            self.assertEqual(found.negotiation.send_proxy, own.send_proxy)
            self.assertIs(plain.negotiation, said)
            renewed = tls_context(client=True)
            plain.renew(renewed)
            self.assertIs(found.tls, renewed)

    def test_choosers(self) -> None:
        """An HTTP proxy reaches what is listed only; a SOCKS proxy what is not forbidden."""
        for name, listed in (("connect", True), ("socks", False)):
            found = policy(f"{SERVER}protocol = {name}\nprotocolAllow = 192.0.2.0/24 443\n")
            assert found is not None
            assert found.chooser is not None
            self.assertEqual(found.chooser.policy.only_listed, listed)
            self.assertIs(found.options.extra["destinations"], found.chooser.policy)
            self.assertEqual(len(found.chooser.policy.permits), 1)


class NameTests(SynchronousTestCase):
    """ALPN and SNI as protocols want them."""

    def test_application_protocols(self) -> None:
        """A protocol with a registered name has it, unless the operator names others."""
        self.assertEqual(protocol_names(settings(CLIENT)), ())
        self.assertEqual(protocol_names(settings(f"{CLIENT}protocol = imap")), (b"imap",))
        self.assertEqual(protocol_names(settings(f"{CLIENT}protocol = imap\nalpn = x")), (b"x",))

    def test_server_names(self) -> None:
        """``protocolHost`` is the name TLS is with where it is, and nowhere else."""
        for protocol, host, expected in (
            ("connect", "a.example:443", "a.example"),
            ("connect", "192.0.2.1:443", None),
            ("connect", "[2001:db8::1]:443", None),
            ("socks", "a.example:443", "proxy.example"),
            ("smtp", "a.example", "proxy.example"),
            ("xmpp", "a.example", "a.example"),
        ):
            found = settings(f"{CLIENT}protocol = {protocol}\nprotocolHost = {host}\n")
            self.assertEqual(server_name(found), expected, protocol)
        named = settings(f"{CLIENT}protocol = connect\nprotocolHost = a:1\nsni = b.example\n")
        self.assertEqual(server_name(named), "b.example")


class OtherServicesTests(NegotiatedCase):
    """Protocols together with services that are chosen by name, and with ``redirect``."""

    def test_chosen_by_name(self) -> None:
        """What is said after TLS is the chosen service's affair, headers included."""
        primary = self.server_service()
        second = primary.replace("[test]", "[second]").replace("accept = 127.0.0.1:0\n", "")
        self.rig.run(primary, second + "sni = test:second.example\nprotocol = proxy\n")
        for name, header in ((b"second.example", b"PROXY TCP4 "), (b"other.example", b"")):
            user = self.user()
            connection = SSL.Connection(contexts(TLS_1_3)[1], user.socket)
            connection.set_tlsext_host_name(name)
            connection.set_connect_state()
            user._shake(connection)
            user.say(b"hello\n")
            server = self.server()
            self.assertEqual(server.read(6), (header + b"hello\n")[:6])

    def test_redirected(self) -> None:
        """A redirected client talks to strangers: no stage, no header, no choice."""
        ca = self.server_service().split("cert = ")[1].split("\n")[0]
        user = self.server_mode(
            *("protocol = socks", "sendProxy = 1", "verifyPeer = yes", f"CAfile = {ca}"),
            f"redirect = 127.0.0.1:{self.rig.connect}",
            connect=False,
        )
        user.starts_tls()
        self.relays(user, self.server())
        self.assertIn("Redirecting connection", self.rig.log.texts)

    def test_nothing_is_kept(self) -> None:
        """When the relay begins nothing is left of the negotiation, not even as a cycle."""
        kinds = Dialogues, Conversation, PlainPeer, TLSPeer
        gc.disable()
        self.addCleanup(gc.enable)
        # Other tests may have left some, which are not looked for here.
        before = [each for each in gc.get_objects() if isinstance(each, kinds)]
        user = self.server_mode("protocol = smtp", "acceptProxy = 192.0.2.1", "sendProxy = 2")
        server = self.server()
        server.hear(b"\r\n\r\n\0\r\nQUIT\n")
        server.read(2)
        server.read(int.from_bytes(server.read(2), "big"))
        server.say(b"220 mx\r\n")
        user.hear(b"220 mx ESMTP ready\r\n")
        user.say(b"STARTTLS\r\n")
        user.hear(b"220 2.0.0 Ready to start TLS\r\n")
        user.starts_tls()
        self.relays(user, server)
        after = [each for each in gc.get_objects() if isinstance(each, kinds)]
        known = {id(each) for each in before}
        self.assertEqual([each for each in after if id(each) not in known], [])

    def test_stop_in_a_stage(self) -> None:
        """A stop in the middle of a dialogue is no error and says nothing."""
        user = self.server_mode("protocol = irc")
        user.say(b"CAP LS\r\n")
        while user.read(1) != b"\n":
            pass
        self.rig.application.stop()
        self.assertEqual(user.end(), "fin")
        self.assertEqual(self.rig.errors(), [])
