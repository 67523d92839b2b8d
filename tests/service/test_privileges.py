"""Tests of stunnel_tx.service.privileges."""

from __future__ import annotations

import grp
import os
import pwd
from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import OperatingError
from stunnel_tx.service.privileges import (
    Privileges,
    find_group,
    find_user,
    give_up,
    privileges,
)
from tests.doubles.programs import global_options, recording_log

if TYPE_CHECKING:
    from collections.abc import Sequence


class ScriptedSystem:
    """Notes the calls; those named in ``refused`` raise the error found there."""

    def __init__(self, gid: int = 0, refused: dict[str, OSError] | None = None) -> None:
        self.calls: list[tuple[str, object]] = []
        self.uid = 0
        self.gid = gid
        self.sticky = True
        self.refused = refused or {}

    def _note(self, name: str, value: object) -> None:
        self.calls.append((name, value))
        if name in self.refused:
            raise self.refused[name]

    def chroot(self, path: str) -> None:
        """Note the call."""
        self._note("chroot", path)

    def chdir(self, path: str) -> None:
        """Note the call."""
        self._note("chdir", path)

    def setgid(self, gid: int, /) -> None:
        """Note the call and take over the group."""
        self._note("setgid", gid)
        self.gid = gid

    def setgroups(self, groups: Sequence[int], /) -> None:
        """Note the call."""
        self._note("setgroups", list(groups))

    def setuid(self, uid: int, /) -> None:
        """Note the call; root cannot be had back, unless the system is not ``sticky``."""
        self._note("setuid", uid)
        if uid == 0 and self.uid != 0 and self.sticky:
            raise PermissionError(1, "Operation not permitted")
        self.uid = uid

    def getegid(self) -> int:
        """The present group."""
        return self.gid


class GiveUpTests(SynchronousTestCase):
    """The way from root to an ordinary account."""

    def _give_up(self, system: ScriptedSystem, **wanted: object) -> list[str]:
        log, sink = recording_log()
        give_up(Privileges(**wanted), log.main, system)  # type: ignore[arg-type]
        return sink.texts

    def test_order(self) -> None:
        """Jail, group, supplementary groups, user; then the attempt to become root again."""
        system = ScriptedSystem()
        texts = self._give_up(system, directory="/jail", uid=70, gid=80)
        self.assertEqual(
            system.calls,
            [
                ("chroot", "/jail"),
                ("chdir", "/"),
                ("setgid", 80),
                ("setgroups", [80]),
                ("setuid", 70),
                ("setuid", 0),
            ],
        )
        self.assertEqual(texts, ["Switched to chroot directory: /jail"])

    def test_nothing_wanted(self) -> None:
        """Without options, or with ids of 0, nothing is called."""
        system = ScriptedSystem()
        self.assertEqual(self._give_up(system), [])
        self.assertEqual(system.calls, [])

    def test_user_without_group_warns(self) -> None:
        """``setuid`` alone leaves the groups of root, and the log says so."""
        texts = self._give_up(ScriptedSystem(), uid=70)
        self.assertEqual(len(texts), 1)
        self.assertIn("keeps the groups of root", texts[0])
        self.assertEqual(self._give_up(ScriptedSystem(gid=80), uid=70), [])

    def test_root_that_can_be_had_back_is_an_error(self) -> None:
        """When becoming root again works, the program must not go on."""
        system = ScriptedSystem()
        system.sticky = False
        with self.assertRaises(OperatingError) as caught:
            self._give_up(system, uid=70, gid=80)
        self.assertIn("could be taken back", str(caught.exception))

    def test_refusals_name_call_reason_and_remedy(self) -> None:
        """Each refused call ends the start with what was tried and what to do."""
        refusal = PermissionError(1, "Operation not permitted")
        missing = FileNotFoundError(2, "No such file or directory")
        for call, error, expected in (
            ("chroot", refusal, "chroot to /jail: Operation not permitted; start as root"),
            ("chroot", missing, "chroot to /jail: No such file or directory; create"),
            ("setgid", refusal, "setgid(80): Operation not permitted; start as root"),
            ("setgroups", refusal, "setgroups(80): Operation not permitted; start as root"),
            ("setuid", refusal, "setuid(70): Operation not permitted; start as root"),
        ):
            with self.assertRaises(OperatingError) as caught:
                self._give_up(
                    ScriptedSystem(refused={call: error}), directory="/jail", uid=70, gid=80
                )
            self.assertIn(expected, str(caught.exception))


class NameTests(SynchronousTestCase):
    """Accounts by name and by number."""

    def test_names_of_this_machine(self) -> None:
        """A name gives the id of the account database."""
        user = pwd.getpwuid(os.getuid())
        group = grp.getgrgid(0)
        self.assertEqual(find_user(user.pw_name), user.pw_uid)
        self.assertEqual(find_group(group.gr_name), 0)

    def test_numbers_and_nothing(self) -> None:
        """A number stands for itself; no value is 0, which changes nothing."""
        self.assertEqual((find_user("4711"), find_group("4712")), (4711, 4712))
        self.assertEqual((find_user(None), find_group("")), (0, 0))

    def test_names_stay_known_inside_a_jail(self) -> None:
        """A name that was looked up once needs no account database any more."""
        user = pwd.getpwuid(os.getuid())
        group = grp.getgrgid(0)
        find_user(user.pw_name)
        find_group(group.gr_name)
        self.patch(pwd, "getpwnam", lambda _: self.fail("looked up again"))
        self.patch(grp, "getgrnam", lambda _: self.fail("looked up again"))
        self.assertEqual(find_user(user.pw_name), user.pw_uid)
        self.assertEqual(find_group(group.gr_name), 0)

    def test_unknown_names(self) -> None:
        """An unknown name is an error that names option and account."""
        error = self.assertRaises(OperatingError, find_user, "no such user")
        self.assertIn("setuid: no user is called 'no such user'", str(error))
        error = self.assertRaises(OperatingError, find_group, "²")
        self.assertIn("setgid: no group is called", str(error))

    def test_options(self) -> None:
        """The three global options become one value."""
        settings = global_options(chroot="/jail", setuid="4711", setgid="4712")
        self.assertEqual(privileges(settings), Privileges("/jail", 4711, 4712))
        self.assertEqual(privileges(global_options()), Privileges())
