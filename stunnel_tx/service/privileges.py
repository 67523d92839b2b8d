"""Giving up the rights of root: chroot, setgid, setuid, in this order and for good.

Names are looked up before the chroot, since the jail has no account database, and what was
found is remembered for reloads inside it. An id of 0 or an absent option means that nothing is
to be changed.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from stunnel_tx.errors import OperatingError
from stunnel_tx.telemetry.events import CHROOTED, ROOT_GROUP_KEPT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stunnel_tx.configuration.model import Settings
    from stunnel_tx.telemetry.log import Scope


class System(Protocol):
    """The calls of the operating system that are used here; ``os`` has them all."""

    def chroot(self, path: str) -> None:
        """Make *path* the root directory."""

    def chdir(self, path: str) -> None:
        """Make *path* the working directory."""

    def setgid(self, gid: int, /) -> None:
        """Set the group ids."""

    def setgroups(self, groups: Sequence[int], /) -> None:
        """Set the supplementary groups."""

    def setuid(self, uid: int, /) -> None:
        """Set the user ids."""

    def getegid(self) -> int:
        """The effective group id."""


@frozen
class Privileges:
    """What to change to: a directory to be jailed in, a user id and a group id.

    None and 0 mean "leave as it is".
    """

    directory: str | None = None
    uid: int = 0
    gid: int = 0


def privileges(settings: Settings) -> Privileges:
    """Read ``chroot``, ``setuid`` and ``setgid`` of the global *settings*.

    Raises OperatingError for a name that the account database does not know.
    """
    return Privileges(
        directory=settings["chroot"] or None,
        uid=find_user(settings["setuid"]),
        gid=find_group(settings["setgid"]),
    )


@cache
def find_user(name: str | int | None) -> int:
    """The numeric id of the user *name* (a name or a number); 0 when there is none to set."""
    if not name:
        return 0
    # Only loaded where it is used: most configurations name no account.
    import pwd

    try:
        return pwd.getpwnam(str(name)).pw_uid
    except KeyError:
        return _number("setuid", "user", name)


@cache
def find_group(name: str | int | None) -> int:
    """The numeric id of the group *name* (a name or a number); 0 when there is none to set."""
    if not name:
        return 0
    import grp

    try:
        return grp.getgrnam(str(name)).gr_gid
    except KeyError:
        return _number("setgid", "group", name)


def _number(option: str, kind: str, name: str | int) -> int:
    text = str(name)
    if text.isascii() and text.isdigit():
        return int(text)
    message = f"{option}: no {kind} is called {text!r}; create it, or give an existing {kind}"
    raise OperatingError(message) from None


def give_up(wanted: Privileges, scope: Scope, system: System = os) -> None:
    """Change to *wanted* and make sure that root cannot be had back.

    Raises OperatingError, after which the process must not go on.
    """
    if wanted.directory is not None:
        _enter_jail(wanted.directory, system)
        scope(CHROOTED, wanted.directory)
    if wanted.gid:
        _attempt("setgid", wanted.gid, lambda: system.setgid(wanted.gid))
        _attempt("setgroups", wanted.gid, lambda: system.setgroups([wanted.gid]))
    if wanted.uid:
        if not wanted.gid and system.getegid() == 0:
            scope(ROOT_GROUP_KEPT)
        _attempt("setuid", wanted.uid, lambda: system.setuid(wanted.uid))
        _verify(system)


def _enter_jail(directory: str, system: System) -> None:
    try:
        system.chroot(directory)
        # A working directory outside would be a way out of the jail.
        system.chdir("/")
    except OSError as error:
        remedy = (
            "start as root, or leave 'chroot' out"
            if isinstance(error, PermissionError)
            else "create the directory first"
        )
        message = f"chroot to {directory}: {error.strerror}; {remedy}"
        raise OperatingError(message) from error


def _attempt(call: str, number: int, change: Callable[[], None]) -> None:
    try:
        change()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "not a valid id"
        option = "setuid" if call == "setuid" else "setgid"
        message = f"{call}({number}): {reason}; start as root, or leave {option!r} out"
        raise OperatingError(message) from error


def _verify(system: System) -> None:
    """Try to become root again: it must fail."""
    try:
        system.setuid(0)
    except OSError:
        return
    message = "setuid: root's rights could be taken back; remove CAP_SETUID from the process"
    raise OperatingError(message)
