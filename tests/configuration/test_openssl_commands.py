"""Tests of stunnel_tx.configuration.openssl_commands."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.openssl_commands import (
    COMMANDS,
    Overrides,
    parse_command,
    security_level_in,
)
from stunnel_tx.configuration.option_flags import OPTION_FLAGS, OptionFlags
from stunnel_tx.configuration.values import InvalidValue


def read(*lines: str) -> Overrides:
    """What some lines of ``config`` come to."""
    return Overrides.together(each for line in lines for each in parse_command(line))


class CommandTests(SynchronousTestCase):
    """Single commands."""

    def test_texts(self) -> None:
        """Lists are passed on as they are, the command in any case, colons included."""
        for line, field, value in (
            ("CipherString:HIGH:!aNULL", "ciphers", "HIGH:!aNULL"),
            ("ciphersuites: TLS_AES_128_GCM_SHA256", "ciphersuites", "TLS_AES_128_GCM_SHA256"),
            ("Curves:P-256:X25519", "groups", "P-256:X25519"),
            ("GROUPS:P-384", "groups", "P-384"),
            ("SignatureAlgorithms:ECDSA+SHA256", "signature_algorithms", "ECDSA+SHA256"),
            ("DHParameters:/etc/dh.pem", "dh_file", "/etc/dh.pem"),
        ):
            self.assertEqual(getattr(read(line), field), value, line)

    def test_versions(self) -> None:
        """Bounds are protocol numbers; None lifts one."""
        self.assertEqual(read("MinProtocol:TLSv1.2").min_version, 0x0303)
        self.assertEqual(read("maxprotocol:tlsv1.3").max_version, 0x0304)
        self.assertEqual(read("MinProtocol:None").min_version, 0)

    def test_protocols(self) -> None:
        """A minus switches a version off, a bare name on; ALL is all of them."""
        self.assertEqual(
            read("Protocol:-TLSv1,-TLSv1.1").flags,
            OptionFlags(OPTION_FLAGS["NO_TLSv1"] | OPTION_FLAGS["NO_TLSv1_1"], 0),
        )
        only = read("Protocol:-ALL,+TLSv1.3").flags
        no_others = OPTION_FLAGS["NO_SSL_MASK"] & ~OPTION_FLAGS["NO_TLSv1_3"]
        self.assertEqual(only, OptionFlags(no_others, OPTION_FLAGS["NO_TLSv1_3"]))

    def test_options(self) -> None:
        """Words that are the reverse of a flag clear it, and set it with a minus."""
        flags = read("Options:ServerPreference,-SessionTicket, -Bugs").flags
        self.assertEqual(
            flags,
            OptionFlags(
                OPTION_FLAGS["CIPHER_SERVER_PREFERENCE"] | OPTION_FLAGS["NO_TICKET"],
                OPTION_FLAGS["ALL"],
            ),
        )
        self.assertEqual(
            read("Options:SessionTicket").flags, OptionFlags(0, OPTION_FLAGS["NO_TICKET"])
        )

    def test_refused(self) -> None:
        """Other commands are refused with those that work, and so are unknown words."""
        error = self.assertRaises(InvalidValue, parse_command, "NumTickets:1")
        for name in COMMANDS:
            self.assertIn(name, error.remedy)
        for line in ("CipherString", "Protocol:TLSv9", "Options:x", "MinProtocol:all", ":x", ""):
            self.assertRaises(InvalidValue, parse_command, line)


class TogetherTests(SynchronousTestCase):
    """Several commands."""

    def test_last_counts(self) -> None:
        """The last command of a kind counts, flags one by one."""
        both = read("Groups:P-256", "Options:-SessionTicket", "Groups:P-384", "CipherString:HIGH")
        self.assertEqual((both.groups, both.ciphers), ("P-384", "HIGH"))
        self.assertEqual(both.flags.set, OPTION_FLAGS["NO_TICKET"])
        flags = read("Options:-SessionTicket", "Options:SessionTicket").flags
        self.assertEqual(flags, OptionFlags(0, OPTION_FLAGS["NO_TICKET"]))

    def test_nothing(self) -> None:
        """Without commands nothing is changed."""
        self.assertEqual(read(), Overrides())


class ValueTests(SynchronousTestCase):
    """What is read out of the parameters, and what follows from it."""

    def test_security_level(self) -> None:
        """The last level in a list of ciphers counts."""
        for ciphers, level in (
            ("HIGH", None),
            ("HIGH:@SECLEVEL=3", 3),
            ("HIGH@SECLEVEL=0", 0),
            ("@SECLEVEL=1:HIGH:@seclevel=2", 2),
            ("HIGH:@STRENGTH", None),
        ):
            self.assertEqual(security_level_in(ciphers), level, ciphers)

    def test_bounds(self) -> None:
        """A bound of a command replaces that of the options, none included."""
        self.assertEqual(Overrides().bounds(1, 2), (1, 2))
        self.assertEqual(Overrides(min_version=3).bounds(1, 2), (3, 2))
        self.assertEqual(Overrides(max_version=0).bounds(1, 2), (1, 0))
