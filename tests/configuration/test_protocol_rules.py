"""Tests of stunnel_tx.configuration.protocol_rules: each rule, kept and broken."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stunnel_tx.configuration.protocol_rules import PROTOCOL_RULES, place_fault
from stunnel_tx.configuration.protocols import BUILT_IN
from stunnel_tx.negotiation.destinations import split_host_port
from tests.configuration.test_rules import CLIENT, SERVER, RuleCase

BEHIND = "protocolHost = h:443\n"
LISTED = "protocolAllow = 192.0.2.0/24 443\n"
NOWHERE = SERVER.replace("connect = 80\n", "")


class ProtocolTests(RuleCase):
    """The option protocol."""

    def test_both_modes(self) -> None:
        """Every protocol that is not refused works in both modes."""
        for name, protocol in BUILT_IN.items():
            if protocol.unsupported:
                continue
            client = f"{CLIENT}{BEHIND}protocol = {name}\n"
            server = NOWHERE + LISTED if protocol.chooses_destination else SERVER
            self.assertEqual(self.complaints(client), [], name)
            self.assertEqual(self.complaints(f"{server}protocol = {name}\n"), [], name)

    def test_refused(self) -> None:
        """A protocol that is not to be had is refused with the reason."""
        for name in ("capwin", "capwinctrl"):
            for text in (CLIENT, SERVER):
                self.assert_complaint(
                    f"{text}protocol = {name}\n", f"Protocol not supported: {name}", "proprietary"
                )

    def test_unknown(self) -> None:
        """An unknown protocol is not supported either."""
        self.assert_complaint(f"{SERVER}protocol = gopher\n", "Protocol not supported")

    def test_udp(self) -> None:
        """No protocol goes over datagrams, and a program they would end at is no endpoint."""
        self.assert_complaint(
            f"{SERVER}protocol = pgsql\ntransport = udp\n", "Protocol not supported over udp"
        )
        socks = SERVER.replace("connect = 80", "protocol = socks\ntransport = udp")
        self.assertIn("Each service must define two endpoints", self.complaints(socks)[0])


class DestinationTests(RuleCase):
    """Where protocols lead that go through a proxy, or are one."""

    def test_host_behind(self) -> None:
        """A client of a proxy has to say where it wants to go, port included."""
        for name in ("connect", "socks"):
            self.assert_complaint(f"{CLIENT}protocol = {name}\n", "protocolHost")
            for host in ("h", "h:", ":1", "h:0", "h:x", "h:65536"):
                self.assert_complaint(
                    f"{CLIENT}protocol = {name}\nprotocolHost = {host}\n", "Invalid protocolHost"
                )
            text = f"{CLIENT}protocol = {name}\nprotocolHost = [2001:db8::1]:443\n"
            self.assertEqual(self.complaints(text), [])

    def test_bad_hosts(self) -> None:
        """What no connection could be made with is refused, with what would be right."""
        for name in ("connect", "socks"):
            for host, remedy in (
                ("::1:443", "write [::1]:443"),
                ("[h]:443", "write an IPv6 address in the brackets"),
                ("a b:443", "visible ASCII"),
                ("bücher.example:443", "visible ASCII"),
                ("user@h:443", "visible ASCII"),
            ):
                text = f"{CLIENT}protocol = {name}\nprotocolHost = {host}\n"
                self.assert_complaint(text, "Invalid protocolHost", remedy)

    @settings(deadline=None, max_examples=100)
    @given(st.text(alphabet=":[]0123456789abfx.-_ /@é\udcff\x7f", max_size=24))
    def test_as_when_connecting(self, host: str) -> None:
        """A host behind a proxy passes when it can be asked for, and only then."""
        try:
            split_host_port(host)
        except ValueError:
            good = False
        else:
            good = True
        self.assertEqual(place_fault(host) == "", good, host)

    def test_names(self) -> None:
        """Elsewhere it is a name: what a mail client calls itself, or an XMPP domain."""
        for name, host, good in (
            ("smtp", "me.example", True),
            ("smtp", "[192.0.2.1]", True),
            ("smtp", "bad host", False),
            ("lmtp", "bad host", False),
            ("xmpp", "b\u00fccher.example", True),
            ("xmpp", "bad host", False),
            ("xmpp-server", "a'b", False),
            ("imap", "bad host", True),
        ):
            text = f"{CLIENT}protocol = {name}\nprotocolHost = {host}\n"
            found = self.complaints(text)
            self.assertEqual(found == [], good, (name, host, found))
            self.assertTrue(good or "Invalid protocolHost" in found[0])

    def test_allow_list(self) -> None:
        """An HTTP proxy without an allow list is refused; a SOCKS proxy has a default."""
        self.assert_complaint(f"{NOWHERE}protocol = connect\n", "protocolAllow")
        self.assertEqual(self.complaints(f"{NOWHERE}protocol = connect\n{LISTED}"), [])
        self.assertEqual(self.complaints(f"{NOWHERE}protocol = socks\n"), [])

    def test_connect_line(self) -> None:
        """Where clients choose, a place to connect to is a third endpoint.

        Except for ``protocol = connect``, where stunnel demands the line and ignores it.
        """
        self.assert_complaint(
            f"{SERVER}protocol = socks\n{LISTED}", "Each service must define two endpoints"
        )
        self.assertEqual(self.complaints(f"{SERVER}protocol = connect\n{LISTED}"), [])


class AuthenticationTests(RuleCase):
    """The option protocolAuthentication."""

    def test_ntlm(self) -> None:
        """NTLM is refused with the reason, in any case."""
        text = f"{CLIENT}protocol = connect\n{BEHIND}protocolAuthentication = "
        self.assert_complaint(f"{text}NTLM\n", "MD4", "protocolAuthentication = basic")
        self.assertEqual(self.complaints(f"{text}Basic\n"), [])

    def test_mail(self) -> None:
        """SMTP knows PLAIN and LOGIN, and nothing is silently something else."""
        for name in ("smtp", "lmtp"):
            for word, good in (("plain", True), ("LOGIN", True), ("cram-md5", False)):
                text = f"{CLIENT}protocol = {name}\nprotocolAuthentication = {word}\n"
                self.assertEqual(self.complaints(text) == [], good, word)


class LoginTests(RuleCase):
    """The options protocolUsername and protocolPassword."""

    def test_half(self) -> None:
        """One without the other is a mistake, whatever the protocol: it would protect nothing."""
        for option, other in (
            ("protocolUsername", "protocolPassword"),
            ("protocolPassword", "protocolUsername"),
        ):
            for text in (
                f"{NOWHERE}protocol = socks\n",
                f"{NOWHERE}{LISTED}protocol = connect\n",
                f"{CLIENT}{BEHIND}protocol = connect\n",
                f"{CLIENT}protocol = smtp\n",
                f"{SERVER}protocol = imap\n",
            ):
                self.assert_complaint(f"{text}{option} = x\n", f'"{option}" needs "{other}"')
                self.assertEqual(self.complaints(f"{text}{option} = x\n{other} = y\n"), [])

    def test_values(self) -> None:
        """What a protocol cannot carry is refused, and no password is repeated."""
        connect = f"{CLIENT}{BEHIND}protocol = connect\nprotocolPassword = s3cret\n"
        self.assert_complaint(f"{connect}protocolUsername = a:b\n", "colon", "RFC 7617")
        long = "s3cret" * 43
        socks = f"{NOWHERE}protocol = socks\nprotocolUsername = a\nprotocolPassword = {long}\n"
        self.assert_complaint(socks, "protocolPassword is too long", "255")
        for text in (connect + "protocolUsername = a:b\n", socks):
            self.assertNotIn("cret", " ".join(self.complaints(text)))

    def test_header(self) -> None:
        """A line of a CONNECT request is a name, a colon and a value."""
        text = f"{CLIENT}{BEHIND}protocol = connect\nprotocolHeader = "
        for line in ("X-A: 1", "X-A:", "x_a:b: c"):
            self.assertEqual(self.complaints(f"{text}{line}\n"), [], line)
        for line in ("foo", ": x", "a b: c", "a: b\x7f"):
            self.assert_complaint(f"{text}{line}\n", "Invalid protocolHeader", "NAME: VALUE")


class HeaderTests(RuleCase):
    """The option sendProxy."""

    def test_twice(self) -> None:
        """Two headers on one connection would be one too many."""
        self.assert_complaint(f"{SERVER}protocol = proxy\nsendProxy = 2\n", "two headers")
        self.assertEqual(self.complaints(f"{SERVER}protocol = imap\nsendProxy = 2\n"), [])


class NameTests(RuleCase):
    """Protocols of services that are chosen by name."""

    def pair(self, primary: str, secondary: str) -> str:
        """A text with a primary section and a name-based one."""
        second = f"[y]\ncert = c\nsni = x:*.example.org\nconnect = 81\n{secondary}"
        return f"{SERVER}{primary}{second}"

    def test_before_tls(self) -> None:
        """What is said before the name is known must be the same in both sections."""
        ldap = "protocol = ldap\n"
        self.assertEqual(self.complaints(self.pair(ldap, ldap)), [])
        self.assert_complaint(self.pair(ldap, ""), "same protocol before TLS")
        self.assert_complaint(self.pair("", ldap), "same protocol before TLS")
        self.assertEqual(self.complaints(self.pair("", "protocol = proxy\n")), [])

    def test_connected_first(self) -> None:
        """A section that has reached its server cannot be chosen by name."""
        imap = "protocol = imap\n"
        self.assert_complaint(self.pair(imap, imap), '"sni" is incompatible')


class TableTests(RuleCase):
    """The rules as a table."""

    def test_reads(self) -> None:
        """Every rule that looks at the protocol says so."""
        self.assertTrue(all("protocol" in rule.reads for rule in PROTOCOL_RULES))
