"""Making a service anew from what its files hold, or leaving it as it was.

A service is renewed as a whole, from what all its files hold at one moment. What cannot be used
is reported once; the files may not be complete yet, and their next change brings a new try.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from stunnel_tx.errors import OperatingError
from stunnel_tx.service.fingerprints import Fingerprint, fingerprint
from stunnel_tx.telemetry import events
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.errors import ContextRefused
from stunnel_tx.tls.files import files_of, with_absolute_paths
from stunnel_tx.tls.names import distinguished_name
from stunnel_tx.tls.pem import NOT_A_FILE
from stunnel_tx.tls.system_roots import system_roots
from stunnel_tx.tls.validity import objection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.handshake import TLSContext
    from stunnel_tx.tls.identity import Identity
    from stunnel_tx.tls.passphrases import Passphrases
    from stunnel_tx.tls.policy import TLSPolicy
    from stunnel_tx.tunnel.runtime import ServicePolicy

__all__ = ["Content", "Follower", "Rebuilder", "Renewable", "identities_of", "renewable"]

Content = tuple[Fingerprint, ...]
"""What the files of one service hold, in their order."""


@frozen(eq=False)
class Renewable:
    """What a service is rebuilt from: its policy with absolute paths, and what the files held.

    ``seen`` was taken before the files were read for the first time, so that no change since
    goes unnoticed. It is empty where the process has changed its root directory meanwhile:
    files in the jail need not be those from outside.
    """

    policy: TLSPolicy
    seen: Mapping[str, Fingerprint] = field(factory=dict)


def renewable(
    policy: TLSPolicy, look: Callable[[str], Fingerprint], chroot: str | None
) -> Renewable:
    """Note what the files of *policy* hold, about to be read; *chroot* is still to come."""
    if chroot is not None:
        return Renewable(with_absolute_paths(policy, "/"))
    fixed = with_absolute_paths(policy, os.getcwd())  # noqa: PTH109 - a string is wanted
    return Renewable(fixed, {path: look(path) for path in files_of(fixed)})


def identities_of(context: TLSContext) -> list[tuple[str, Identity]]:
    """Every certificate of *context*, with chain and key, after the file that has it."""
    policy, found = context.policy, []
    if context.identity is not None:
        found.append((policy.certificate_files[0], context.identity))
    if context.identities is not None:
        found += zip(policy.identity_files, context.identities.identities, strict=True)
    return found


@define(eq=False)
class Follower:
    """One service, what it was built from, and what it was last refused for."""

    service: ServicePolicy
    policy: TLSPolicy
    files: tuple[str, ...]
    built_from: Content
    refused: Content | None = None
    retry: datetime | None = None

    def would_change(self, now: Content) -> bool:
        """True when files that hold *now* are something new."""
        return now not in (self.built_from, self.refused)

    def due(self, now: Content) -> bool:
        """True when files that hold *now* are to be tried; what was refused may be gone by then."""
        if now == self.built_from:
            # Put back, or never touched: whatever was refused is gone.
            self.refused = self.retry = None
            return False
        return now != self.refused


class Rebuilder:
    """Makes contexts from changed files, and puts them into use or says why not."""

    def __init__(self, scope: Scope, passphrases: Passphrases, now: Callable[[], datetime]) -> None:
        self._scope = scope
        self._passphrases = passphrases
        self._now = now

    def rebuild(self, follower: Follower, content: Content) -> bool:
        """Try *content*, what the files of *follower* held when they were last looked at.

        False when they hold something else by now: what came of it may be half of each, and
        they are to be looked at again.
        """
        try:
            context = self._build(follower, content)
        except OperatingError as error:
            context = None
            reason = error.reason if isinstance(error, ContextRefused) else str(error)
        if tuple(fingerprint(path) for path in follower.files) != content:
            return False
        if context is None:
            self._refuse(follower, content, reason)
        else:
            self._judge(follower, content, context)
        return True

    def _build(self, follower: Follower, content: Content) -> TLSContext:
        for path, now, then in zip(follower.files, content, follower.built_from, strict=True):
            if now.cut and not then.cut:
                raise OperatingError(f"{path}: a PEM block has no end; is the file complete?")
            if now.problem == NOT_A_FILE:
                # To read it could take as long as somebody likes.
                raise OperatingError(f"{path}: {NOT_A_FILE}")
        return build_context(follower.policy, self._scope, self._passphrases)

    def _judge(self, follower: Follower, content: Content, context: TLSContext) -> None:
        service, identity = follower.service, context.identity
        # The same options make the same number of identities, in the same order.
        identities = zip(identities_of(context), identities_of(service.tls), strict=True)
        for (path, new), (_, old) in identities:
            problem = objection(new, old, self._now(), system_roots)
            if problem is not None:
                self._refuse(follower, content, f"{path}: {problem.reason}", problem.until)
                return
        pairs = zip(follower.files, content, follower.built_from, strict=True)
        changed = ", ".join(path for path, now, then in pairs if now != then)
        follower.built_from, follower.refused, follower.retry = content, None, None
        service.renew(context)
        if identity is None:
            self._scope(events.RENEWED, service.name, changed)
        else:
            name = distinguished_name(identity.leaf.subject)
            self._scope(events.RENEWED_UNTIL, service.name, changed, identity.not_after, name)

    def _refuse(
        self, follower: Follower, content: Content, reason: str, until: datetime | None = None
    ) -> None:
        follower.refused, follower.retry = content, until
        self._scope(events.RENEWAL_REFUSED, follower.service.name, reason)
