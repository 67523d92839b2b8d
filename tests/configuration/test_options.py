"""Tests of stunnel_tx.configuration.options."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.option import Repeat
from stunnel_tx.configuration.options import (
    GLOBAL_DEFAULTS,
    OPTIONS,
    SERVICE_DEFAULTS,
    find_option,
    suggest_option,
)
from tests.configuration.option_samples import SAMPLES

STUNNEL_OPTIONS = [
    "chroot",
    "compression",
    "debug",
    "EGD",
    "engine",
    "engineCtrl",
    "engineDefault",
    "fips",
    "foreground",
    "iconActive",
    "iconError",
    "iconIdle",
    "log",
    "output",
    "pid",
    "provider",
    "providerParameter",
    "RNDbytes",
    "RNDfile",
    "RNDoverwrite",
    "setEnv",
    "syslog",
    "taskbar",
    "accept",
    "connect",
    "client",
    "delay",
    "exec",
    "execArgs",
    "failover",
    "ident",
    "include",
    "libwrap",
    "local",
    "logId",
    "pty",
    "redirect",
    "reset",
    "retry",
    "service",
    "setgid",
    "setuid",
    "socket",
    "stack",
    "transparent",
    "transport",
    "TIMEOUTbusy",
    "TIMEOUTclose",
    "TIMEOUTconnect",
    "TIMEOUTidle",
    "TIMEOUTocsp",
    "protocol",
    "protocolAuthentication",
    "protocolDomain",
    "protocolHeader",
    "protocolHost",
    "protocolUsername",
    "protocolPassword",
    "CAengine",
    "CAfile",
    "CApath",
    "CAstore",
    "cert",
    "key",
    "checkEmail",
    "checkHost",
    "checkIP",
    "ciphers",
    "ciphersuites",
    "config",
    "CRLfile",
    "CRLpath",
    "CRLcheckChain",
    "curves",
    "engineId",
    "engineNum",
    "OCSP",
    "OCSPaia",
    "OCSPflag",
    "OCSPnonce",
    "OCSPrequire",
    "options",
    "PSKidentity",
    "PSKsecrets",
    "renegotiation",
    "requireCert",
    "securityLevel",
    "sessionCacheSize",
    "sessionCacheTimeout",
    "sessionResume",
    "sessiond",
    "sni",
    "sslVersion",
    "sslVersionMax",
    "sslVersionMin",
    "ticketKeySecret",
    "ticketMacSecret",
    "verify",
    "verifyChain",
    "verifyPeer",
]


class TableTests(SynchronousTestCase):
    """The table of all options."""

    def test_complete(self) -> None:
        """The table holds exactly stunnel's options and those marked as beyond it."""
        names = [option.name for option in OPTIONS if not option.beyond]
        self.assertEqual(sorted(names), sorted(STUNNEL_OPTIONS))

    def test_every_option_has_samples(self) -> None:
        """No option lacks a sample, and no sample lacks its option."""
        self.assertEqual(sorted(SAMPLES), sorted(option.name for option in OPTIONS))

    def test_names_are_unique(self) -> None:
        """No name or alias means two options, whatever the case."""
        names = [name.lower() for option in OPTIONS for name in (option.name, *option.aliases)]
        self.assertEqual(len(names), len(set(names)))

    def test_people_can_read_it(self) -> None:
        """Every option has a syntax and a one-line help without a full stop."""
        for option in OPTIONS:
            self.assertTrue(option.syntax, option.name)
            self.assertTrue(option.help, option.name)
            self.assertNotIn("\n", option.help)
            self.assertFalse(option.help.endswith("."), option.name)

    def test_defaults_raise_no_objection(self) -> None:
        """Writing an option's default down is never refused."""
        for option in OPTIONS:
            self.assertIsNone(option.objection(option.default), option.name)

    def test_lists_default_to_collections(self) -> None:
        """A repeatable option has a collection as its default."""
        for option in OPTIONS:
            if option.repeat in {Repeat.LIST, Repeat.PER_KEY}:
                self.assertIsInstance(option.default, tuple, option.name)

    def test_defaults_by_scope(self) -> None:
        """A section has no global options; the global part has all."""
        self.assertIn("pid", GLOBAL_DEFAULTS)
        self.assertNotIn("pid", SERVICE_DEFAULTS)
        self.assertEqual(SERVICE_DEFAULTS.keys() - GLOBAL_DEFAULTS.keys(), set())


class LookUpTests(SynchronousTestCase):
    """Names to options."""

    def test_any_case(self) -> None:
        """Option names are compared without regard to case."""
        for name in ("checkHost", "checkhost", "CHECKHOST"):
            found = find_option(name)
            assert found is not None
            self.assertEqual(found.name, "checkHost")

    def test_aliases(self) -> None:
        """The old names curve and session still work."""
        names = [option.name for option in map(find_option, ("curve", "Session")) if option]
        self.assertEqual(names, ["curves", "sessionCacheTimeout"])

    def test_unknown(self) -> None:
        """An unknown name is None, and so is a name like no other."""
        self.assertIsNone(find_option("conect"))
        self.assertIsNone(suggest_option("qqqqqq"))

    def test_suggestion(self) -> None:
        """A misspelt name leads to the option that was probably meant."""
        for wrong, right in (("conect", "connect"), ("verifychian", "verifyChain")):
            found = suggest_option(wrong)
            assert found is not None
            self.assertEqual(found.name, right)
