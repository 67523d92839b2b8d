"""Tests of stunnel_tx.configuration.protocol_rules: each rule, kept and broken."""

from __future__ import annotations

from stunnel_tx.configuration.protocol_rules import PROTOCOL_RULES
from stunnel_tx.configuration.protocols import BUILT_IN
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
