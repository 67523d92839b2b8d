"""Whole tunnels for the protocols of mail and news, in both modes."""

from __future__ import annotations

from OpenSSL import SSL

from tests.doubles.negotiated import NegotiatedCase, Party

SIEVE = b'"IMPLEMENTATION" "x"\r\n"SASL" "PLAIN"\r\n"SIEVE" "fileinto"\r\n'


class ClientTests(NegotiatedCase):
    """A program without TLS, and a server with it."""

    def asked(self, protocol: str, greeting: bytes, *turns: tuple[bytes, bytes]) -> None:
        """Play a client service up to its relay; *greeting* is what the user hears first."""
        user = self.client_mode(f"protocol = {protocol}")
        server = self.server()
        for expected, reply in turns:
            server.hear(expected)
            server.say(reply)
        server.takes_tls()
        user.hear(greeting)
        self.relays(user, server)
        self.assertEqual(self.rig.errors(), [])

    def test_smtp(self) -> None:
        """SMTP: the user is greeted when TLS is up, by us."""
        self.asked(
            *("smtp", b"220 localhost ESMTP ready\r\n", (b"", b"220-mx\r\n220 mx ESMTP\r\n")),
            (b"EHLO localhost\r\n", b"250-mx\r\n250 STARTTLS\r\n"),
            (b"STARTTLS\r\n", b"220 go ahead\r\n"),
        )

    def test_lmtp(self) -> None:
        """LMTP: as SMTP, with another hello."""
        self.asked(
            *("lmtp", b"220 localhost LMTP ready\r\n", (b"", b"220 mx LMTP\r\n")),
            (b"LHLO localhost\r\n", b"250 STARTTLS\r\n"),
            (b"STARTTLS\r\n", b"220 go ahead\r\n"),
        )

    def test_imap(self) -> None:
        """IMAP: capabilities seen before TLS do not reach the user."""
        self.asked(
            *("imap", b"* OK IMAP ready\r\n", (b"", b"* OK [CAPABILITY IMAP4rev1] hi\r\n")),
            (b"stunnel STARTTLS\r\n", b"stunnel OK begin\r\n"),
        )

    def test_pop3(self) -> None:
        """POP3: the greeting has no time stamp."""
        self.asked(
            *("pop3", b"+OK POP3 ready\r\n", (b"", b"+OK <1@mx>\r\n")),
            (b"STLS\r\n", b"+OK\r\n"),
        )

    def test_sieve(self) -> None:
        """ManageSieve: the server's own second greeting is the user's first."""
        user = self.client_mode("protocol = sieve")
        server = self.server()
        server.say(SIEVE + b'"STARTTLS"\r\nOK\r\n')
        server.hear(b"STARTTLS\r\n")
        server.say(b"OK\r\n")
        server.takes_tls()
        server.say(SIEVE + b"OK\r\n")
        user.hear(SIEVE + b"OK\r\n")
        self.relays(user, server)

    def test_nntp(self) -> None:
        """NNTP: the same, with codes of its own."""
        self.asked(
            *("nntp", b"200 NNTP ready\r\n", (b"", b"201 news\r\n")),
            (b"STARTTLS\r\n", b"382 go ahead\r\n"),
        )

    def test_smtp_login(self) -> None:
        """With user and password the tunnel logs in, and no line at any level shows them."""
        secret = "pässword-zV7"
        user = self.client_mode(
            *("protocol = smtp", "protocolUsername = joe", f"protocolPassword = {secret}"),
            *("protocolAuthentication = login", "protocolHost = me.example", "debug = 7"),
        )
        server = self.server()
        server.say(b"220 mx\r\n")
        for expected, reply in (
            (b"EHLO me.example\r\n", b"250 mx\r\n"),
            (b"STARTTLS\r\n", b"220 go\r\n"),
        ):
            server.hear(expected)
            server.say(reply)
        server.takes_tls()
        for expected, reply in (
            (b"EHLO me.example\r\n", b"250 AUTH LOGIN\r\n"),
            (b"AUTH LOGIN\r\n", b"334 VXNlcm5hbWU6\r\n"),
            (b"am9l\r\n", b"334 UGFzc3dvcmQ6\r\n"),
            (b"cMOkc3N3b3JkLXpWNw==\r\n", b"535 cMOkc3N3b3JkLXpWNw== is wrong\r\n"),
        ):
            server.hear(expected)
            server.say(reply)
        user.hear(b"421 4.3.2 Service not available, closing connection\r\n")
        user.leave()
        self.over("AUTH refused with 535")
        shown = " ".join(self.rig.log.texts)
        for text in (secret, "zV7", "cMOk", "am9l"):
            self.assertNotIn(text, shown)


class ServerTests(NegotiatedCase):
    """Clients with TLS, and a server without it."""

    def serve(
        self, protocol: str, greeting: bytes, ours: bytes, ask: bytes, answer: bytes
    ) -> tuple[Party, Party]:
        """Play a server service up to TLS: the server greets, and the user asks for TLS."""
        user = self.server_mode(f"protocol = {protocol}")
        server = self.server()
        server.say(greeting)
        user.hear(ours)
        user.say(ask)
        user.hear(answer)
        user.starts_tls()
        return user, server

    def relayed(self, protocol: str, *turns: bytes) -> None:
        """The same, up to the relay."""
        user, server = self.serve(protocol, *turns)
        self.relays(user, server)
        self.assertEqual(self.rig.errors(), [])

    def test_smtp(self) -> None:
        """SMTP."""
        self.relayed(
            *("smtp", b"220 mx.example ESMTP Postfix\r\n", b"220 mx.example ESMTP ready\r\n"),
            *(b"STARTTLS\r\n", b"220 2.0.0 Ready to start TLS\r\n"),
        )

    def test_lmtp(self) -> None:
        """LMTP."""
        self.relayed(
            *("lmtp", b"220 mx.example LMTP\r\n", b"220 mx.example LMTP ready\r\n"),
            *(b"STARTTLS\r\n", b"220 2.0.0 Ready to start TLS\r\n"),
        )

    def test_imap(self) -> None:
        """IMAP."""
        self.relayed(
            *("imap", b"* OK hi\r\n"),
            b"* OK [CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED] IMAP ready\r\n",
            *(b"a STARTTLS\r\n", b"a OK Begin TLS negotiation now\r\n"),
        )

    def test_pop3(self) -> None:
        """POP3."""
        self.relayed(
            *("pop3", b"+OK <1@mx>\r\n", b"+OK POP3 ready\r\n"),
            *(b"STLS\r\n", b"+OK Begin TLS negotiation\r\n"),
        )

    def test_sieve(self) -> None:
        """ManageSieve: capabilities once more inside TLS, those of the server this time."""
        ours = (
            b'"IMPLEMENTATION" "stunnel"\r\n"SASL" ""\r\n"SIEVE" ""\r\n"STARTTLS"\r\n'
            b'"VERSION" "1.0"\r\nOK "ManageSieve ready"\r\n'
        )
        user, server = self.serve(
            *("sieve", SIEVE + b"OK\r\n", ours),
            *(b"STARTTLS\r\n", b'OK "Begin TLS negotiation now"\r\n'),
        )
        user.hear(SIEVE + b"OK\r\n")
        self.relays(user, server)

    def test_nntp(self) -> None:
        """NNTP."""
        self.relayed(
            *("nntp", b"201 news\r\n", b"201 NNTP ready\r\n"),
            *(b"STARTTLS\r\n", b"382 Continue with TLS negotiation\r\n"),
        )

    def test_implicit_tls(self) -> None:
        """A client that starts TLS at once hears the server itself, on the same port."""
        for protocol, greeting in (
            ("smtp", b"220 mx\r\n"),
            ("imap", b"* OK hi\r\n"),
            ("pop3", b"+OK hi\r\n"),
            ("nntp", b"200 hi\r\n"),
        ):
            if self.rig.application.configuration is not None:
                self.tearDown()
                self.setUp()
            user = self.server_mode(f"protocol = {protocol}")
            user.starts_tls()
            server = self.server()
            server.say(greeting)
            user.hear(greeting)
            self.relays(user, server)

    def test_prompt_greeting(self) -> None:
        """A client that says nothing is greeted after the fifth of a second that it has."""
        user = self.server_mode("protocol = smtp")
        self.server().say(b"220 mx\r\n")
        self.rig.turner.turn()
        self.rig.turner.advance(0.24)
        self.rig.turner.turn()
        self.assertEqual(user.socket.recv(100), b"220 mx ESMTP ready\r\n")

    def test_application_protocols(self) -> None:
        """A client that wants another protocol is lost, and is told so by the alert."""
        user = self.server_mode("protocol = imap")
        server = self.server()
        server.say(b"* OK hi\r\n")
        user.read(len(b"* OK [CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED] IMAP ready\r\n"))
        user.say(b"a STARTTLS\r\n")
        user.hear(b"a OK Begin TLS negotiation now\r\n")
        self.assertRaises(SSL.Error, user.starts_tls, (b"h2",))
        self.over("no application protocol")

    def test_injected_command(self) -> None:
        """What is said behind STARTTLS in plaintext becomes bad TLS, and reaches nobody."""
        user = self.server_mode("protocol = smtp")
        server = self.server()
        server.say(b"220 mx\r\n")
        user.hear(b"220 mx ESMTP ready\r\n")
        user.say(b"STARTTLS\r\nRSET\r\n")
        user.hear(b"220 2.0.0 Ready to start TLS\r\n")
        self.assertEqual(user.end(), "reset")
        self.assertEqual(server.end(), "reset")
        self.over("SSL_accept: ")

    def test_goodbye(self) -> None:
        """A client that leaves without TLS reads its good-bye, and both sides end with FIN."""
        user = self.server_mode("protocol = pop3")
        server = self.server()
        server.say(b"+OK hi\r\n")
        user.hear(b"+OK POP3 ready\r\n")
        user.say(b"QUIT\r\n")
        user.hear(b"+OK Bye\r\n")
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("Client does not want TLS")


class RefusalTests(NegotiatedCase):
    """Servers without TLS, men in the middle, and backends that are not there."""

    def test_no_tls(self) -> None:
        """A server that refuses TLS is not used; the user learns it in its own protocol."""
        user = self.client_mode("protocol = smtp")
        server = self.server()
        server.say(b"220 mx\r\n")
        server.hear(b"EHLO localhost\r\n")
        server.say(b"250 mx\r\n")
        server.hear(b"STARTTLS\r\n")
        server.say(b"454 4.7.0 not now\r\n")
        user.hear(b"421 4.3.2 Service not available, closing connection\r\n")
        self.assertEqual(user.end(), "fin")
        # The log does not wait for the user to have read it.
        self.assertEqual(len(self.rig.errors()), 1)
        self.assertTrue(self.rig.application.runtime.tunnels)
        user.leave()
        self.assertEqual(server.end(), "reset")
        self.over("Server does not support TLS: 454")

    def test_injected_answer(self) -> None:
        """What a man in the middle adds to the go-ahead ends the connection, and is not read."""
        user = self.client_mode("protocol = imap")
        server = self.server()
        server.say(b"* OK hi\r\n")
        server.hear(b"stunnel STARTTLS\r\n")
        server.say(b"stunnel OK begin\r\n* OK [ALERT] pay here\r\n")
        user.hear(b"* BYE Service not available\r\n")
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("more in plaintext where TLS is to begin")

    def test_bad_handshake(self) -> None:
        """A server that agrees and then does not do TLS costs one line and a refusal."""
        user = self.client_mode("protocol = pop3")
        server = self.server()
        server.say(b"+OK\r\n")
        server.hear(b"STLS\r\n")
        server.say(b"+OK\r\n")
        server.read(5)
        server.say(b"-ERR what is this\r\n")
        user.hear(b"-ERR [SYS/TEMP] Service not available\r\n")
        self.assertEqual(user.end(), "fin")
        user.leave()
        self.over("SSL_connect: ")

    def test_nobody_there(self) -> None:
        """A server that cannot be connected is told in the protocol's words, in both modes."""
        for client in (True, False):
            if self.rig.application.configuration is not None:
                self.tearDown()
                self.setUp()
            self.rig.refuse()
            mode = self.client_mode if client else self.server_mode
            user = mode("protocol = smtp")
            user.hear(b"421 4.3.2 Service not available, closing connection\r\n")
            self.assertEqual(user.end(), "fin")
            user.leave()
            self.until(lambda: not self.rig.application.runtime.tunnels)
            self.assertEqual(len(self.rig.errors()), 1, self.rig.errors())
            self.assertRegex(self.rig.errors()[0], "^s_connect: connect .*refused")

    def test_one_deadline(self) -> None:
        """A server that says one byte at a time meets one deadline for everything."""
        user = self.client_mode("protocol = smtp", "TIMEOUTbusy = 100")
        server = self.server()
        for _ in range(19):
            server.say(b"2")
            self.rig.turner.turn()
            self.assertTrue(self.rig.application.runtime.tunnels)
            self.rig.turner.advance(5)
        self.rig.turner.advance(20)
        user.hear(b"421 4.3.2 Service not available, closing connection\r\n")
        user.leave()
        self.over("TIMEOUTbusy exceeded (100 s)")

    def test_endless_greeting(self) -> None:
        """A greeting without end is cut off by the bound on lines."""
        user = self.client_mode("protocol = smtp")
        server = self.server()
        server.say(b"220-more\r\n" * 101)
        user.hear(b"421 4.7.0 Too much said, closing connection\r\n")
        user.leave()
        self.over("lines in a negotiation exceeds 100")
