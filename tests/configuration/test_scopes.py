"""Tests of stunnel_tx.configuration.scopes: what a section inherits, and what lines add up to.

The matrix: kind of option x given in {no part, the global part, the section, both}, each
once or repeated.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.lexer import lex
from stunnel_tx.configuration.option import Context, Repeat, Scope
from stunnel_tx.configuration.option_flags import OPTION_FLAGS
from stunnel_tx.configuration.options import OPTIONS
from stunnel_tx.configuration.scopes import ReadScopes, read_scopes
from stunnel_tx.configuration.socket_options import DEFAULT_SOCKET_OPTIONS, SocketOption
from stunnel_tx.configuration.values import DebugLevel
from stunnel_tx.configuration.verification import VerificationFlags
from tests.configuration.option_samples import SAMPLES

ADDRESS_LISTS = ("accept", "connect", "redirect")


def read(text: str) -> ReadScopes:
    """Read a text into scopes."""
    return read_scopes(lex(text.encode(), "f").items, Context())


def value(option: str, global_lines: list[str], section_lines: list[str]) -> Any:
    """Return what an option is in a section, given the texts of its lines."""
    above = "".join(f"{option} = {line}\n" for line in global_lines)
    below = "".join(f"{option} = {line}\n" for line in section_lines)
    scopes = read(f"{above}[x]\n{below}[other]\n")
    return scopes.sections[0].settings[option]


OTHER_LISTS = {
    "checkURI": ["spiffe://a/1", "spiffe://a/2", "spiffe://a/3"],
    "config": ["Groups:P-256", "Groups:P-384", "CipherString:HIGH"],
    "pinSHA256": [f"{'A' * 42}{last}=" for last in "AEI"],
}


def list_texts(option: str) -> list[str]:
    """Return three different entries for an option that is a list."""
    if option in ADDRESS_LISTS:
        return ["h:1", "h:2", "h:3"]
    if option in OTHER_LISTS:
        return OTHER_LISTS[option]
    return ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


class ScalarTests(SynchronousTestCase):
    """Options of which the last line counts."""

    def test_matrix(self) -> None:
        """A scalar is the last line of the section, else the last of the global part."""
        checked = 0
        for option in OPTIONS:
            good = SAMPLES[option.name].good
            usable = option.scope is Scope.SERVICE and option.name not in {"service", "debug"}
            if option.repeat is not Repeat.LAST or not usable or len(good) < 2:
                continue
            (one, first), (two, second) = good[:2]
            name, checked = option.name, checked + 1
            self.assertEqual(value(name, [], []), option.default, name)
            self.assertEqual(value(name, [one], []), first, name)
            self.assertEqual(value(name, [], [two]), second, name)
            self.assertEqual(value(name, [one], [two]), second, name)
            self.assertEqual(value(name, [two, one], []), first, name)
            self.assertEqual(value(name, [], [two, one]), first, name)
            self.assertEqual(value(name, [two, two], [two, one]), first, name)
        self.assertGreater(checked, 30)

    def test_cleared(self) -> None:
        """An empty CAfile takes back the inherited one."""
        self.assertIsNone(value("CAfile", ["ca.pem"], [""]))

    def test_debug(self) -> None:
        """A section inherits the global level, and sets one without a facility."""
        self.assertEqual(value("debug", ["local0.info"], []), DebugLevel("local0", 6))
        self.assertEqual(value("debug", ["local0.info"], ["err"]), DebugLevel(None, 3))

    def test_service(self) -> None:
        """The service option renames a section and is not inherited by it."""
        scopes = read("service = daemon\n[x]\n[y]\nservice = z\n")
        names = [section.settings.name for section in scopes.sections]
        self.assertEqual((names, scopes.globals.settings["service"]), (["x", "z"], "daemon"))
        self.assertEqual([s.settings["service"] for s in scopes.sections], ["x", "z"])

    def test_ssl_version(self) -> None:
        """The option sslVersion sets both bounds, and the order of lines decides."""
        text = "[x]\nsslVersion = TLSv1.2\nsslVersionMax = TLSv1.3\n[y]\nsslVersionMax = TLSv1.3\n"
        scopes = read(text + "sslVersion = TLSv1.2\n")
        bounds = [
            (s.settings["sslVersionMin"], s.settings["sslVersionMax"]) for s in scopes.sections
        ]
        self.assertEqual(bounds, [(0x0303, 0x0304), (0x0303, 0x0303)])


class ListTests(SynchronousTestCase):
    """Options whose lines add up."""

    def test_matrix(self) -> None:
        """A section's first line drops the global list; without one it keeps that list."""
        checked = 0
        for option in OPTIONS:
            if option.repeat is not Repeat.LIST or option.scope is not Scope.SERVICE:
                continue
            name, checked = option.name, checked + 1
            one, two, three = list_texts(name)
            entry = {text: value(name, [], [text])[0] for text in (one, two, three)}
            self.assertEqual(value(name, [], []), (), name)
            self.assertEqual(value(name, [one, two], []), (entry[one], entry[two]), name)
            self.assertEqual(value(name, [], [one, two]), (entry[one], entry[two]), name)
            self.assertEqual(value(name, [one], [two]), (entry[two],), name)
            self.assertEqual(value(name, [one], [two, three]), (entry[two], entry[three]), name)
            self.assertEqual(value(name, [one, two], [three]), (entry[three],), name)
        self.assertGreaterEqual(checked, 10)

    def test_sections_do_not_share(self) -> None:
        """What one section adds does not show in the next, nor in the global part."""
        scopes = read("connect = h:1\n[x]\nconnect = h:2\n[y]\n[z]\nconnect = h:3\n")
        texts = [[str(a) for a in s.settings["connect"]] for s in scopes.sections]
        self.assertEqual(texts, [["h:2"], ["h:1"], ["h:3"]])
        self.assertEqual([str(a) for a in scopes.globals.settings["connect"]], ["h:1"])

    def test_same_name_twice(self) -> None:
        """Two sections of one name are two services; the second starts afresh."""
        scopes = read("connect = h:1\n[x]\nconnect = h:2\n[x]\nclient = yes\n")
        texts = [[str(a) for a in s.settings["connect"]] for s in scopes.sections]
        self.assertEqual(texts, [["h:2"], ["h:1"]])

    def test_places(self) -> None:
        """Each entry of a list has the place of its line."""
        scopes = read("connect = h:1\n[x]\nconnect = h:2\nconnect = h:3\n[y]\n")
        places = [[p.line for p in s.settings.places("connect")] for s in scopes.sections]
        self.assertEqual(places, [[3, 4], [1]])

    def test_global_lists(self) -> None:
        """Lists of the global part add up too."""
        scopes = read("setEnv = A=1\nsetEnv = B=\n[x]\n")
        self.assertEqual(scopes.globals.settings["setEnv"], (("A", "1"), ("B", None)))


class UnionTests(SynchronousTestCase):
    """Options whose bits add up over both parts."""

    def test_option_flags(self) -> None:
        """Flags set anywhere stay set, those to clear are kept apart."""
        ticket, chacha = OPTION_FLAGS["NO_TICKET"], OPTION_FLAGS["PRIORITIZE_CHACHA"]
        sslv3 = OPTION_FLAGS["NO_SSLv3"]
        cases: list[tuple[list[str], list[str], int, int]] = [
            ([], [], sslv3, 0),
            (["NO_TICKET"], [], sslv3 | ticket, 0),
            ([], ["NO_TICKET"], sslv3 | ticket, 0),
            (["NO_TICKET"], ["PRIORITIZE_CHACHA"], sslv3 | ticket | chacha, 0),
            ([], ["NO_TICKET", "PRIORITIZE_CHACHA"], sslv3 | ticket | chacha, 0),
            (["NO_TICKET"], ["-NO_TICKET"], sslv3 | ticket, ticket),
            (["-NO_SSLv3"], ["NO_SSLv3"], sslv3, sslv3),
        ]
        for above, below, set_, clear in cases:
            flags = value("options", above, below)
            self.assertEqual((flags.set, flags.clear), (set_, clear), (above, below))

    def test_ocsp_flags(self) -> None:
        """Flags of OCSP join those of the global part."""
        self.assertEqual(value("OCSPflag", ["NOCERTS"], []), {"NOCERTS"})
        self.assertEqual(value("OCSPflag", ["NOCERTS"], ["NOTIME"]), {"NOCERTS", "NOTIME"})
        self.assertEqual(value("OCSPflag", [], []), frozenset())


class SocketTests(SynchronousTestCase):
    """The option socket, entry by entry."""

    def test_matrix(self) -> None:
        """An entry replaces the one for its side and name only."""
        default = {(o.side, o.name): o.value for o in DEFAULT_SOCKET_OPTIONS}
        cases: list[tuple[list[str], list[str], dict[tuple[str, str], object]]] = [
            ([], [], {}),
            (["l:SO_RCVBUF=1"], [], {("l", "SO_RCVBUF"): 1}),
            ([], ["l:SO_RCVBUF=2"], {("l", "SO_RCVBUF"): 2}),
            (["l:SO_RCVBUF=1"], ["l:SO_RCVBUF=2"], {("l", "SO_RCVBUF"): 2}),
            (
                ["l:SO_RCVBUF=1"],
                ["r:SO_RCVBUF=2"],
                {("l", "SO_RCVBUF"): 1, ("r", "SO_RCVBUF"): 2},
            ),
            ([], ["l:SO_RCVBUF=1", "l:SO_RCVBUF=2"], {("l", "SO_RCVBUF"): 2}),
            (["a:SO_REUSEADDR=no"], [], {("a", "SO_REUSEADDR"): False}),
        ]
        for above, below, expected in cases:
            entries: tuple[SocketOption, ...] = value("socket", above, below)
            found = {(o.side, o.name): o.value for o in entries}
            self.assertEqual(found, default | expected, (above, below))
            self.assertEqual(len(found), len(entries))


class VerificationTests(SynchronousTestCase):
    """The derived setting verification."""

    def flags(self, above: str, below: str) -> VerificationFlags:
        """Return the flags of a section."""
        flags = read(f"{above}[x]\n{below}").sections[0].settings["verification"]
        assert isinstance(flags, VerificationFlags)
        return flags

    def test_inherited(self) -> None:
        """A section starts from the flags of the global part."""
        chain = VerificationFlags(request=True, require=True, chain=True, pin=False)
        self.assertEqual(self.flags("verifyChain = yes\n", ""), chain)
        optional = VerificationFlags(request=True, require=False, chain=True, pin=False)
        self.assertEqual(self.flags("verifyChain = yes\n", "requireCert = no\n"), optional)

    def test_overwritten(self) -> None:
        """The option verify in a section overwrites all that was inherited."""
        optional = VerificationFlags(request=True, require=False, chain=False, pin=False)
        self.assertEqual(
            self.flags("verifyChain = yes\nverifyPeer = yes\n", "verify=0\n"), optional
        )

    def test_order(self) -> None:
        """The order of the lines decides, not the order of the options."""
        first = self.flags("", "requireCert = no\nverifyChain = yes\n")
        second = self.flags("", "verifyChain = yes\nrequireCert = no\n")
        self.assertEqual((first.require, second.require), (True, False))


class ProblemTests(SynchronousTestCase):
    """Lines that are in the wrong place or wrong altogether."""

    def test_unknown(self) -> None:
        """An unknown name is refused in stunnel's words, with what was probably meant."""
        (problem,) = read("[x]\nconect = 80\n").problems
        self.assertIn('"conect": Specified option name is not valid here', str(problem))
        self.assertIn("did you mean connect?", str(problem))
        self.assertEqual((problem.service, str(problem.place)), ("x", "f:2"))

    def test_unknown_without_its_value(self) -> None:
        """No part of a value is shown with an unknown name, wherever the first ``=`` is."""
        for line in ("protocolPasword = hunter2", "protocolPassword hunter2=x"):
            (problem,) = read(f"[x]\n{line}\n").problems
            self.assertNotIn("hunter2", str(problem))
            self.assertIn('f:2: "protocolPas', str(problem))
            self.assertIn("did you mean protocolPassword?", str(problem))

    def test_global_in_section(self) -> None:
        """A global option in a section is told where it belongs."""
        (problem,) = read("[x]\npid = /x\n").problems
        self.assertIn("Specified option name is not valid here", problem.text)
        self.assertIn("above the first [section]", problem.remedy)

    def test_bad_value(self) -> None:
        """A bad value keeps the older one, and the option counts as broken."""
        scopes = read("[x]\nfailover = rr\nfailover = never\n")
        self.assertEqual(scopes.sections[0].settings["failover"], "rr")
        self.assertEqual(scopes.sections[0].broken, {"failover"})
        self.assertEqual(str(scopes.problems[0].place), "f:3")

    def test_broken_is_inherited(self) -> None:
        """What is broken above is broken in every section."""
        scopes = read("accept = example.com\n[x]\n")
        self.assertEqual(scopes.sections[0].broken, {"accept"})

    def test_notes(self) -> None:
        """Ignored options and those with a caveat leave a note at each of their lines."""
        scopes = read("RNDfile = x\n[x]\nstack = 9\nsessionCacheSize = 9\n[y]\nclient = yes\n")
        self.assertEqual([str(note.place) for note in scopes.notes], ["f:1", "f:3", "f:4"])
        self.assertEqual(scopes.problems, ())

    def test_global_options_stay_global(self) -> None:
        """A section does not answer for global options."""
        self.assertNotIn("pid", read("pid = /x\n[x]\n").sections[0].settings)
