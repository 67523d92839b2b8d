"""A service whose files are renewed, in the hands of a renewal and a clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.service.fingerprints import fingerprint
from stunnel_tx.service.rebuilding import renewable
from stunnel_tx.service.renewal import STEP, Renewal
from stunnel_tx.telemetry.levels import NOTICE
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.passphrases import Passphrases
from stunnel_tx.tls.policy import Role, TLSPolicy
from stunnel_tx.tunnel.runtime import ServicePolicy
from tests.doubles.certificates import DAY, NOW, Authority, Issued
from tests.doubles.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Turns of the clock that any renewal is through after.
ENOUGH = 20


class ToldWatch:
    """A watch that tells only what a test says."""

    def __init__(self) -> None:
        self.followed: set[str] = set()
        self.refreshed: list[set[str]] = []
        self.unwatched: dict[str, str] = {}
        self.closed = False
        self.tell: Callable[[Iterable[str]], None] = lambda _paths: None

    def __call__(self, tell: Callable[[Iterable[str]], None]) -> ToldWatch:
        """Take the function to tell changes to."""
        self.tell = tell
        return self

    def follow(self, paths: Iterable[str]) -> None:
        """Note what is wanted."""
        self.followed = set(paths)

    def refresh(self, paths: Iterable[str]) -> None:
        """Note the call."""
        self.refreshed.append(set(paths))

    def close(self) -> None:
        """Note the call."""
        self.closed = True


class RenewalTestCase(SynchronousTestCase):
    """A service with ``cert.pem`` and ``key.pem``, in the hands of a renewal."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        self.cert, self.key = self.directory / "cert.pem", self.directory / "key.pem"
        self.root = Authority("Root")
        self.inner = Authority("Inner", parent=self.root)
        self.log = Recording(NOTICE)
        self.clock = Clock()
        self.watch = ToldWatch()
        self.answers: list[bytes | None] = []
        self.passphrases = Passphrases(lambda _: self.answers.pop(0))
        self.today = NOW
        self.renewal = Renewal(
            self.clock, self.watch, self.log.scope, self.passphrases, lambda: self.today
        )
        self.put(self.issue())

    def issue(self, **options: Any) -> Issued:
        """A certificate that is good for a while."""
        return self.inner.issue("test", **{"not_after": NOW + 90 * DAY, **options})

    def put(self, issued: Issued, password: bytes | None = None) -> Issued:
        """Write both files."""
        self.cert.write_bytes(issued.cert_pem())
        self.key.write_bytes(issued.key_pem(password))
        return issued

    def policy(self, **options: Any) -> TLSPolicy:
        """What the service wants."""
        files = {"certificate_files": (str(self.cert),), "key_file": str(self.key)}
        return TLSPolicy("test", Role.SERVER, **{**files, **options})

    def follow(self, policy: TLSPolicy | None = None, chroot: str | None = None) -> ServicePolicy:
        """Build the service, and follow its files from now on."""
        wanted = policy or self.policy()
        source = renewable(wanted, fingerprint, chroot)
        nothing: Any = None
        self.service = ServicePolicy(
            name="test",
            client=False,
            tls=build_context(wanted, self.log.scope, self.passphrases),
            destination=nothing,
            busy=1.0,
            relay=nothing,
            threshold=None,
            identify=lambda: "0",
            local_options=(),
        )
        self.source = source
        self.log.lines.clear()
        self.renewal.follow([(self.service, source)])
        return self.service

    def tell(self, *paths: Path) -> None:
        """Say that *paths* (both files, unless others are given) may have changed."""
        self.watch.tell(str(path) for path in paths or (self.cert, self.key))

    def settle(self) -> list[str]:
        """Let everything happen that is going to; what was said."""
        for _ in range(ENOUGH):
            self.clock.advance(STEP)
        said, self.log.lines[:] = self.log.texts, []
        return said

    def serves(self, issued: Issued) -> bool:
        """True when the next connection is shown *issued*."""
        identity = self.service.tls.identity
        return identity is not None and identity.leaf == issued.cert

    def check_refused(self, reason: str) -> None:
        """What is there now is refused for *reason*, told once, and nothing has changed."""
        before = self.service.tls
        for _ in range(2):
            self.tell()
        said = self.settle()
        self.assertEqual(len(said), 1, said)
        self.assertIn("Service [test]: not renewed, what was loaded before stays in use", said[0])
        self.assertIn(reason, said[0])
        self.assertIs(self.service.tls, before)
        self.tell()
        self.assertEqual(self.settle(), [])
