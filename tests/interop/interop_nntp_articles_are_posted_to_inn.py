"""Articles are posted to and read from INN over NNTP: STARTTLS both ways, implicit TLS too."""

from __future__ import annotations

from tests.interop.news_site import GROUP, NewsSite


class ClientModeTests(NewsSite):
    """Clients without TLS; INN shows nothing without it."""

    def setUp(self) -> None:
        super().setUp()
        self.news = self.inn(tls=True)

    def test_inn_wants_tls(self) -> None:
        """Without our program between them, INN shows no group."""
        direct = self.nntplib.NNTP("127.0.0.1", self.news)
        self.addCleanup(direct.quit)
        with self.assertRaisesRegex(self.nntplib.NNTPTemporaryError, "480"):
            direct.group(GROUP)

    def test_articles(self) -> None:
        """Python's nntplib posts and reads an article."""
        port = self.behind("nntp", f"127.0.0.1:{self.news}")
        client = self.nntplib.NNTP("127.0.0.1", port)
        self.assertNotIn("STARTTLS", client.getcapabilities())
        self.check_group(client)

    def test_refused(self) -> None:
        """A client hears 400 where the server offers no TLS."""
        store = self.dovecot(tls=False)
        port = self.behind("nntp", store.address("lmtp"))
        with self.assertRaisesRegex(self.nntplib.NNTPTemporaryError, "400"):
            self.nntplib.NNTP("127.0.0.1", port)


class ServerModeTests(NewsSite):
    """Clients with TLS; INN knows nothing of it."""

    def setUp(self) -> None:
        super().setUp()
        self.port = self.before("nntp", f"127.0.0.1:{self.inn(tls=False)}")

    def test_starttls(self) -> None:
        """Python's nntplib posts and reads an article after STARTTLS, and cannot before."""
        client = self.nntplib.NNTP("127.0.0.1", self.port)
        self.assertIn("STARTTLS", client.getcapabilities())
        with self.assertRaisesRegex(self.nntplib.NNTPTemporaryError, "483"):
            client.group(GROUP)
        client.starttls(self.trusting())
        self.assertIn("READER", client.getcapabilities())
        self.check_group(client)

    def test_implicit_tls(self) -> None:
        """A client that starts TLS unasked is served on the same port."""
        secure = self.nntplib.NNTP_SSL
        self.check_group(secure("127.0.0.1", self.port, ssl_context=self.trusting()))

    def test_s_client(self) -> None:
        """A session of openssl s_client looks at the newsgroup."""
        said = self.session("nntp", self.port, f"GROUP {GROUP}\nQUIT\n")
        self.assertIn(f"211 0 1 0 {GROUP}", said)
        self.assertIn("205 Bye!", said)
