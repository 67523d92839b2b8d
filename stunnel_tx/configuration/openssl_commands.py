"""``config = COMMAND[:PARAMETER]``: the commands of OpenSSL's own configuration, as data.

OpenSSL's interpreter (SSL_CONF_cmd(3)) cannot be reached through pyOpenSSL; the commands that
can be had in another way are read here. They act after the options of the same purpose.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from stunnel_tx.configuration.option_flags import OPTION_FLAGS, OptionFlags
from stunnel_tx.configuration.values import PROTOCOL_VERSIONS, InvalidValue, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["COMMANDS", "COMMAND_FIELDS", "Overrides", "parse_command", "security_level_in"]


_NO_FLAGS = OptionFlags(0, 0)

_LEVEL = re.compile(r"@SECLEVEL=([0-5])", re.IGNORECASE)


@frozen
class Overrides:
    """What commands change; ``None`` and 0 flags leave things as the options have them.

    The fields are named and measured like those of a TLS policy.
    """

    ciphers: str | None = None
    ciphersuites: str | None = None
    groups: str | None = None
    signature_algorithms: str | None = None
    min_version: int | None = None
    max_version: int | None = None
    dh_file: str | None = None
    flags: OptionFlags = _NO_FLAGS

    @classmethod
    def together(cls, given: Iterable[Overrides]) -> Overrides:
        """The commands of a service in their order: the last one of a kind counts."""
        result = cls()
        for each in given:
            changes = {
                name: getattr(each, name) for name in _FIELDS if getattr(each, name) is not None
            }
            flags = OptionFlags(
                (result.flags.set & ~each.flags.clear) | each.flags.set,
                (result.flags.clear & ~each.flags.set) | each.flags.clear,
            )
            result = evolve(result, **changes, flags=flags)
        return result

    def bounds(self, lowest: int, highest: int) -> tuple[int, int]:
        """The versions allowed where the options say *lowest* and *highest* (0 for no bound)."""
        return (
            lowest if self.min_version is None else self.min_version,
            highest if self.max_version is None else self.max_version,
        )


_FIELDS = (
    *("ciphers", "ciphersuites", "groups", "signature_algorithms"),
    *("min_version", "max_version", "dh_file"),
)

COMMAND_FIELDS = {
    "CipherString": "ciphers",
    "Ciphersuites": "ciphersuites",
    "Curves": "groups",
    "DHParameters": "dh_file",
    "Groups": "groups",
    "SignatureAlgorithms": "signature_algorithms",
}
"""The commands whose parameter is taken as it is, and the fields they change."""

_VERSIONS = {"MaxProtocol": "max_version", "MinProtocol": "min_version"}

COMMANDS = tuple(sorted({*COMMAND_FIELDS, *_VERSIONS, "Options", "Protocol"}))
"""The commands that work here."""

_BY_LOWER_NAME = {name.lower(): name for name in COMMANDS}

# Words of "Options" that switch a flag on; those with a minus switch it off.
_OPTION_WORDS = {
    "AllowNoDHEKEX": "ALLOW_NO_DHE_KEX",
    "AntiReplay": "-NO_ANTI_REPLAY",
    "Bugs": "ALL",
    "CANames": "-DISABLE_TLSEXT_CA_NAMES",
    "ClientRenegotiation": "ALLOW_CLIENT_RENEGOTIATION",
    "Compression": "-NO_COMPRESSION",
    "DHSingle": "SINGLE_DH_USE",
    "ECDHSingle": "SINGLE_ECDH_USE",
    "EmptyFragments": "-DONT_INSERT_EMPTY_FRAGMENTS",
    "EncryptThenMac": "-NO_ENCRYPT_THEN_MAC",
    "ExtendedMasterSecret": "-NO_EXTENDED_MASTER_SECRET",
    "IgnoreUnexpectedEOF": "IGNORE_UNEXPECTED_EOF",
    "KTLS": "ENABLE_KTLS",
    "MiddleboxCompat": "ENABLE_MIDDLEBOX_COMPAT",
    "NoRenegotiation": "NO_RENEGOTIATION",
    "PreferNoDHEKEX": "PREFER_NO_DHE_KEX",
    "PrioritizeChaCha": "PRIORITIZE_CHACHA",
    "ServerPreference": "CIPHER_SERVER_PREFERENCE",
    "SessionTicket": "-NO_TICKET",
    "UnsafeLegacyRenegotiation": "ALLOW_UNSAFE_LEGACY_RENEGOTIATION",
    "UnsafeLegacyServerConnect": "LEGACY_SERVER_CONNECT",
}
_PROTOCOL_WORDS = {
    "ALL": "-NO_SSL_MASK",
    "SSLv3": "-NO_SSLv3",
    "TLSv1": "-NO_TLSv1",
    "TLSv1.1": "-NO_TLSv1_1",
    "TLSv1.2": "-NO_TLSv1_2",
    "TLSv1.3": "-NO_TLSv1_3",
}


def parse_command(given: str) -> tuple[Overrides, ...]:
    """Read one line of ``config``.

    :raises InvalidValue: for a command that cannot be had here, or a parameter it cannot have.
    """
    written, _, parameter = given.partition(":")
    name = _BY_LOWER_NAME.get(written.strip().lower())
    parameter = parameter.strip()
    if name is None:
        raise InvalidValue(
            f"config command {quoted(written.strip())} is not available",
            f"these are: {', '.join(COMMANDS)}; most others have an option of their own",
        )
    if not parameter:
        raise InvalidValue(
            f"config command {name} needs a parameter", f"write config = {name}:PARAMETER"
        )
    if name in COMMAND_FIELDS:
        field_value: dict[str, Any] = {COMMAND_FIELDS[name]: parameter}
        return (Overrides(**field_value),)
    if name in _VERSIONS:
        field_value = {_VERSIONS[name]: _version(name, parameter)}
        return (Overrides(**field_value),)
    words = _OPTION_WORDS if name == "Options" else _PROTOCOL_WORDS
    return (Overrides(flags=_flags(name, parameter, words)),)


def security_level_in(ciphers: str) -> int | None:
    """The security level that a list of *ciphers* sets for itself, ``None`` for none."""
    found = _LEVEL.findall(ciphers)
    return int(found[-1]) if found else None


def _version(name: str, parameter: str) -> int:
    lowered = parameter.lower()
    if lowered == "none":
        return 0
    if lowered == "all" or lowered not in PROTOCOL_VERSIONS:
        raise InvalidValue(
            f"{name}: invalid protocol version {quoted(parameter)}",
            "write TLSv1, TLSv1.1, TLSv1.2, TLSv1.3 or None",
        )
    return PROTOCOL_VERSIONS[lowered]


def _flags(name: str, parameter: str, words: dict[str, str]) -> OptionFlags:
    """Read a list of words, ``-`` in front of those to switch off."""
    by_lower = {word.lower(): flag for word, flag in words.items()}
    result = OptionFlags(0, 0)
    for entry in parameter.split(","):
        word = entry.strip()
        off = word.startswith("-")
        flag = by_lower.get(word.lstrip("+-").lower())
        if flag is None:
            raise InvalidValue(
                f"{name}: {quoted(word)} is not available", f"write some of {', '.join(words)}"
            )
        inverse = flag.startswith("-")
        mask = OPTION_FLAGS[flag.removeprefix("-")]
        if off == inverse:
            result = OptionFlags(result.set | mask, result.clear & ~mask)
        else:
            result = OptionFlags(result.set & ~mask, result.clear | mask)
    return result
