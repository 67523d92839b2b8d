"""Text to value, for the options whose value is a word, a number or a plain text.

Each function takes the text right of ``=``, trimmed, and returns the value or raises
:class:`InvalidValue`.  Addresses, socket options and TLS option flags have their own
modules.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "FACILITIES",
    "LEVELS",
    "DebugLevel",
    "InvalidValue",
    "choice",
    "clearable_text",
    "debug_level",
    "environment_assignment",
    "hex_key",
    "integer",
    "ip_address",
    "level_only",
    "ocsp_flag",
    "one_text",
    "protocol_version",
    "responder_url",
    "retry_delay",
    "seconds",
    "text",
    "transparency",
    "verify_level",
    "words",
    "yes_no",
]

#: How a line begins that is meant to name an option.
_NAME = re.compile(r"[\w.-]+")

LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""Names of the syslog levels 0 to 7 (RFC 5424 section 6.2.1, table 2, as stunnel writes them)."""

FACILITIES = (
    *("auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "ntp"),
    *("syslog", "user", "uucp", "local0", "local1", "local2", "local3", "local4", "local5"),
    *("local6", "local7"),
)
"""Names of the syslog facilities (RFC 5424 section 6.2.1, table 1)."""

PROTOCOL_VERSIONS = {
    "all": 0,
    "tlsv1": 0x0301,
    "tlsv1.1": 0x0302,
    "tlsv1.2": 0x0303,
    "tlsv1.3": 0x0304,
}
"""``sslVersion`` words to ProtocolVersion numbers (RFC 8446 section 4.1.2); 0 sets no bound."""

OCSP_FLAGS = (
    *("NOCERTS", "NOINTERN", "NOSIGS", "NOCHAIN", "NOVERIFY", "NOEXPLICIT", "NOCASIGN"),
    *("NODELEGATED", "NOCHECKS", "TRUSTOTHER", "RESPID_KEY", "NOTIME"),
)

TICKET_KEY_BYTES = (16, 32)
"""AES-128 or AES-256."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_HEX_KEY = re.compile(r"(?:[0-9A-Fa-f]{2}:?)*", re.ASCII)


class InvalidValue(ValueError):
    """A value that cannot be meant: ``reason`` says what is wrong, ``remedy`` what is right."""

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"{reason}; {remedy}")


@frozen
class DebugLevel:
    """A log threshold: syslog level 0 (emerg) to 7 (debug), and a facility where allowed."""

    facility: str | None
    level: int

    def __str__(self) -> str:
        name = LEVELS[self.level]
        return name if self.facility is None else f"{self.facility}.{name}"


def quoted(given: str) -> str:
    """Show an operator's text in an error: quoted, printable, and not endless."""
    shown = given if len(given) <= 80 else f"{given[:77]}..."
    return '"' + "".join(c if c.isprintable() else "." for c in shown) + '"'


def quoted_name(given: str) -> str:
    """Show in an error the name that *given* begins with; what follows it may be a secret."""
    found = _NAME.match(given)
    name = found[0] if found is not None else ""
    return quoted(name if name == given else f"{name}...")


def choice(*allowed: str, reason: str = "") -> Callable[[str], str]:
    """Make a parser for one of some words, any case; the value is the word as listed here."""
    listed = [f"'{word}'" for word in allowed]
    either = f"{', '.join(listed[:-1])} or {listed[-1]}"
    complaint = reason or f"The argument needs to be either {either}"
    by_lower = {word.lower(): word for word in allowed}

    def parse(given: str) -> str:
        try:
            return by_lower[given.lower()]
        except KeyError:
            raise InvalidValue(complaint, f"write {either}, not {quoted(given)}") from None

    return parse


_yes_or_no = choice("yes", "no")


def yes_no(given: str) -> bool:
    """Read ``yes`` or ``no``."""
    return _yes_or_no(given) == "yes"


def _whole_number(given: str) -> int | None:
    return int(given) if _INTEGER.fullmatch(given) else None


def integer(reason: str, low: int | None = None, high: int | None = None) -> Callable[[str], int]:
    """Make a parser for a decimal number within inclusive bounds."""
    bounds = {
        (False, False): "a whole number",
        (True, False): f"a whole number, {low} or more",
        (False, True): f"a whole number, {high} or less",
        (True, True): f"a whole number from {low} to {high}",
    }[low is not None, high is not None]

    def parse(given: str) -> int:
        number = _whole_number(given)
        too_low = number is not None and low is not None and number < low
        too_high = number is not None and high is not None and number > high
        if number is None or too_low or too_high:
            raise InvalidValue(reason, f"write {bounds}, not {quoted(given)}")
        return number

    return parse


def seconds(what: str) -> Callable[[str], int]:
    """Make a parser for a time-out: negative waits for ever, 0 does not wait at all."""
    parse_number = integer(f"Illegal {what}")

    def parse(given: str) -> int:
        number = _whole_number(given)
        if number is None and _whole_number(given.rstrip("smh ")) is not None:
            raise InvalidValue(
                f"Illegal {what}",
                f"write the number of seconds without a unit, not {quoted(given)}",
            )
        return parse_number(given)

    return parse


def text(given: str) -> str:
    """Read a text that must not be empty."""
    if not given:
        raise InvalidValue("The argument is missing", "write a value after '='")
    return given


def clearable_text(given: str) -> str | None:
    """Read a text; an empty one (None) takes back a value inherited from the global part."""
    return given or None


def one_text(given: str) -> tuple[str, ...]:
    """Read one entry of a list of texts."""
    return (text(given),)


def words(given: str) -> tuple[str, ...]:
    """Split at white space; there is no quoting."""
    return tuple(text(given).split())


def ip_address(given: str) -> tuple[str, ...]:
    """Read one IP address of a list, in its canonical spelling."""
    bare = given[1:-1] if given.startswith("[") and given.endswith("]") else given
    try:
        return (str(ipaddress.ip_address(bare)),)
    except ValueError:
        raise InvalidValue(
            "Invalid IP address", f"write a numeric IPv4 or IPv6 address, not {quoted(given)}"
        ) from None


def _level(given: str) -> int:
    lowered = given.lower()
    if lowered in LEVELS:
        return LEVELS.index(lowered)
    if len(given) == 1 and given in "01234567":
        return int(given)
    raise InvalidValue(
        "Illegal debug level", f"write 0 to 7 or one of {', '.join(LEVELS)}, not {quoted(given)}"
    )


def level_only(given: str) -> DebugLevel:
    """Read the ``debug`` of a section: a level without a facility."""
    if "." in given:
        raise InvalidValue(
            "Illegal debug level",
            "a facility can only be given above the first section; write the level alone",
        )
    return DebugLevel(None, _level(given))


def debug_level(given: str) -> DebugLevel:
    """Read the ``debug`` of the global part: ``[FACILITY.]LEVEL``."""
    facility, dot, level = given.rpartition(".")
    if not dot:
        return DebugLevel("daemon", _level(given))
    if facility.lower() not in FACILITIES:
        raise InvalidValue(
            "Illegal syslog facility", f"write one of {', '.join(FACILITIES)} before the dot"
        )
    return DebugLevel(facility.lower(), _level(level))


def retry_delay(given: str) -> int | None:
    """Read ``retry``: milliseconds between two runs; ``yes`` is 1000, ``no`` is None."""
    lowered = given.lower()
    if lowered in {"yes", "no"}:
        return 1000 if lowered == "yes" else None
    return integer("Illegal retry delay: needs to be 'yes', 'no' or milliseconds", 0)(given)


def verify_level(given: str) -> int:
    """Read the obsolete ``verify``: 0 to 4."""
    return integer("Bad verify level", 0, 4)(given)


def protocol_version(given: str) -> int:
    """Read a TLS version as its number on the wire; 0 stands for ``all``."""
    lowered = given.lower()
    if lowered in PROTOCOL_VERSIONS:
        return PROTOCOL_VERSIONS[lowered]
    if lowered == "sslv3":
        raise InvalidValue(
            "Invalid protocol version: SSLv3 is not available in this OpenSSL",
            "SSLv3 is broken (RFC 7568); write TLSv1.2",
        )
    raise InvalidValue(
        "Invalid protocol version",
        f"write all, TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3, not {quoted(given)}",
    )


def ocsp_flag(given: str) -> frozenset[str]:
    """Read one OCSP flag of a set."""
    if given.upper() not in OCSP_FLAGS:
        raise InvalidValue("Illegal OCSP flag", f"write one of {', '.join(OCSP_FLAGS)}")
    return frozenset({given.upper()})


def responder_url(given: str) -> str:
    """Read the address of an OCSP responder (RFC 6960 appendix A): HTTP only."""
    if not re.fullmatch(r"http://[^/\s:]+(?::[0-9]{1,5})?(?:/\S*)?", given, re.IGNORECASE):
        raise InvalidValue("Invalid OCSP responder URL", "write http://HOST[:PORT]/[PATH]")
    return given


def hex_key(name: str) -> Callable[[str], bytes]:
    """Make a parser for a key of 16 or 32 bytes in hexadecimal, ``:`` allowed between bytes."""

    def parse(given: str) -> bytes:
        digits = given.replace(":", "")
        if not _HEX_KEY.fullmatch(given) or len(digits) // 2 not in TICKET_KEY_BYTES:
            raise InvalidValue(f"Failed to read {name}", "write 32 or 64 hexadecimal digits")
        return bytes.fromhex(digits)

    return parse


_transparency = choice(
    *("none", "source", "destination", "both", "no", "yes"),
    reason="Selected transparent proxy mode is not available",
)


def transparency(given: str) -> str:
    """Read ``transparent``; the old words ``no`` and ``yes`` are none and source."""
    word = _transparency(given)
    return {"no": "none", "yes": "source"}.get(word, word)


def environment_assignment(given: str) -> tuple[tuple[str, str | None], ...]:
    """Read one ``NAME=VALUE`` of a list; an empty or missing VALUE (None) unsets NAME."""
    name, _, value = given.partition("=")
    if not name.strip():
        raise InvalidValue("The name of the variable is missing", "write NAME=VALUE")
    return ((name.strip(), value or None),)
