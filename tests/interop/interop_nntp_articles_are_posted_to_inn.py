"""Articles are posted to and read from INN over NNTP: STARTTLS both ways, implicit TLS too."""

from __future__ import annotations

import warnings
from importlib import import_module
from io import BytesIO
from typing import Any

from tests.doubles.real_programs import missing
from tests.interop.news_site import GROUP, NewsSite

ARTICLE = (
    f"From: bob@example.net\r\nNewsgroups: {GROUP}\r\nSubject: News\r\n\r\n"
    "Hello\r\n.a line with a dot\r\n"
).encode()


def library() -> Any:
    """Python's NNTP client, which 3.13 no longer has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return import_module("nntplib")
        except ImportError:
            return missing("this Python has no nntplib")


class Articles(NewsSite):
    """A newsgroup, and a client for it."""

    def setUp(self) -> None:
        super().setUp()
        self.nntplib = library()

    def check_group(self, client: Any) -> None:
        """Post an article with *client* and read it."""
        try:
            client.post(BytesIO(ARTICLE))
        except self.nntplib.NNTPError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None
        _, count, first, _, _ = client.group(GROUP)
        self.assertEqual(count, 1)
        _, article = client.article(first)
        self.assertIn(b"Subject: News", article.lines)
        self.assertEqual(article.lines[-2:], [b"Hello", b".a line with a dot"])
        self.assertTrue(client.quit().startswith("205"))


class ClientModeTests(Articles):
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


class ServerModeTests(Articles):
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
        said = self.s_client("nntp", self.port, f"GROUP {GROUP}\nQUIT\n")
        self.assertIn(f"211 0 1 0 {GROUP}", said)
        self.assertIn("205 Bye!", said)
