"""INN with one newsgroup, on a loopback port."""

from __future__ import annotations

import shutil
import signal
import subprocess
import warnings
from functools import cached_property
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from tests.doubles.real_programs import PATIENCE, find_program, free_port, missing
from tests.interop.daemon_site import host_and_port
from tests.interop.mail_site import Site

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "example.test"

ARTICLE = (
    f"From: bob@example.net\r\nNewsgroups: {GROUP}\r\nSubject: News\r\n\r\n"
    "Hello\r\n.a line with a dot\r\n"
).encode()


_PROGRAMS: Final = "/usr/lib/news/bin"

_INN: Final = """
mta: "/bin/true %s"
pathhost: news.example.org
domain: example.org
hismethod: hisv6
ovmethod: tradindexed
runasuser: news
runasgroup: news
bindaddress: {host}
port: {port}
status: 0
pathnews: /usr/lib/news
pathdb: {site}/db
pathetc: {site}/etc
pathhttp: {site}/log
pathlog: {site}/log
pathrun: {site}/run
pathspool: {site}/spool
pathtmp: {site}/spool/tmp
tlscafile: {site}/ca.pem
tlscertfile: {site}/etc/server.pem
tlskeyfile: {site}/etc/server.pem
"""

#: Groups without moderators; INN does not start without the last three.
_ACTIVE: Final = "".join(
    f"{name} 0000000000 0000000001 {flag}\n"
    for name, flag in ((GROUP, "y"), ("control", "n"), ("control.cancel", "n"), ("junk", "n"))
)

#: Files of configuration, beside those that depend on the test.
_FILES: Final = {
    "db/active": _ACTIVE,
    "db/active.times": "",
    "db/history": "",
    "db/newsgroups": "",
    "etc/control.ctl": "",
    "etc/distrib.pats": "",
    "etc/expire.ctl": "*:::0:never\n",
    "etc/incoming.conf": "",
    "etc/inn-secrets.conf": "",
    "etc/moderators": "",
    "etc/newsfeeds": "ME:!*::\nnowhere:!*:Tf:/dev/null\n",
    "etc/nnrpd.track": "",
    "etc/passwd.nntp": "",
    "etc/storage.conf": "method tradspool {\n    newsgroups: *\n    class: 0\n}\n",
}

_FOLDERS: Final = (
    "db etc log run spool spool/articles spool/incoming spool/incoming/bad spool/innfeed"
    " spool/outgoing spool/overview spool/tmp"
).split()

#: Whoever comes without TLS may do nothing but start it.
_READERS_TLS: Final = """
auth "plain" {{
    hosts: "*"
    default: "<plain>"
}}
auth "tls" {{
    hosts: "*"
    require_encryption: true
    default: "<tls>"
}}
access "plain" {{
    users: "<plain>"
    newsgroups: "!*"
    access: R
}}
access "tls" {{
    users: "<tls>"
    newsgroups: "*"
    access: RPA
}}
"""

_READERS_PLAIN: Final = """
auth "all" {{
    hosts: "*"
    default: "<all>"
}}
access "all" {{
    users: "<all>"
    newsgroups: "*"
    access: RPA
}}
"""


class NewsSite(Site):
    """A site with INN; what it has to say goes to the system's log, not to its output."""

    @cached_property
    def nntplib(self) -> Any:
        """Python's NNTP client, which 3.13 no longer has."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                return import_module("nntplib")
            except ImportError:
                return missing("this Python has no nntplib")

    def inn(self, *, tls: bool, address: str = "") -> int:
        """Run INN: with *tls* it shows and takes nothing without, else it knows no TLS; its port.

        It listens at *address*, on a free port without one. innd hands readers on to nnrpd,
        which speaks TLS.
        """
        host, port = host_and_port(address or free_port())
        for name in _FOLDERS:
            self.folder(name, "news")
        files = {
            **_FILES,
            "etc/inn.conf": _INN.format(site=self.site, host=host, port=port),
            "etc/readers.conf": (_READERS_TLS if tls else _READERS_PLAIN).format(),
        }
        if tls:
            files["etc/server.pem"] = (self.site / "server.pem").read_text(encoding="ascii")
        for name, text in files.items():
            self.news_file(self.site / name, text)
        environment = {"INNCONF": str(self.site / "etc/inn.conf")}
        self.make_history(environment)
        innd = self.start(
            "innd", [*self.as_news(), f"{_PROGRAMS}/innd", "-f", "-d"], environment=environment
        )
        # Asked to end, it takes its time.
        self.addCleanup(innd.signal, signal.SIGKILL)
        self.greeting(innd, host, port)
        return port

    def news_file(self, path: Path, text: str) -> None:
        """A file that the server owns and others cannot read."""
        path.write_text(text, encoding="ascii")
        path.chmod(0o640)
        shutil.chown(path, "news")

    def as_news(self) -> list[str]:
        """What runs a program as the user of the server."""
        return [find_program("setpriv"), "--reuid=news", "--regid=news", "--clear-groups"]

    def make_history(self, environment: dict[str, str]) -> None:
        """The index of an empty history of articles."""
        command = [*self.as_news(), find_program(f"{_PROGRAMS}/makedbz"), "-i", "-o", "-s", "1000"]
        subprocess.run(
            command, cwd=self.site / "db", env=environment, timeout=PATIENCE, check=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

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
