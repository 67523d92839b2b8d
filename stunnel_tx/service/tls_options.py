"""The TLS options of one service, put together to the values of its policy.

What wins where several options say the same: a ``config`` command, then the option itself, then
``tlsProfile``, then the default.
"""

from __future__ import annotations

import ipaddress
import posixpath
from typing import TYPE_CHECKING, Any, Final

from stunnel_tx.configuration.openssl_commands import COMMAND_FIELDS, Overrides
from stunnel_tx.configuration.option_flags import OPTION_FLAGS, OptionFlags
from stunnel_tx.configuration.verification_values import SYSTEM_STORE
from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.policy import (
    COMPATIBLE_CIPHERS,
    RevocationPolicy,
    TrustPolicy,
    VerificationPolicy,
)
from stunnel_tx.tls.profiles import PROFILES

if TYPE_CHECKING:
    from stunnel_tx.configuration.model import Place, Settings

__all__ = [
    "algorithms",
    "place_of_fault",
    "revocation_policy",
    "trust_policy",
    "verification_policy",
]

_TLS_1_2: Final = 0x0303
_SAFE_LEVEL: Final = 2

_SERVER_PREFERENCE: Final = OptionFlags(OPTION_FLAGS["CIPHER_SERVER_PREFERENCE"], 0)
_CHACHA_FOR_CLIENTS: Final = OptionFlags(OPTION_FLAGS["PRIORITIZE_CHACHA"], 0)

#: Options that name a file or directory of the TLS part.
_FILES: Final = (
    *("cert", "key", "CAfile", "CApath", "CRLfile", "CRLpath", "PSKsecrets", "keyLog"),
    "clientIdentity",
)
#: Options that name a directory, in which a single file may be to blame.
_DIRECTORIES: Final = ("CApath", "CRLpath")
#: Words of an error about a value, and the option they mean.
_WORDS: Final = (
    *("setuid", "setgid", "ciphersuites", "ciphers", "curves", "config", "sni"),
    "sslVersion",
)


def algorithms(settings: Settings) -> dict[str, Any]:
    """Versions, ciphers, groups and flags, as fields of a TLS policy."""
    profile = PROFILES.get(settings["tlsProfile"])
    commands = Overrides.together(settings["config"])
    flags: OptionFlags = settings["options"]
    fields: dict[str, Any] = {
        "min_version": settings["sslVersionMin"],
        "max_version": settings["sslVersionMax"],
        "ciphers": settings["ciphers"],
        "ciphersuites": settings["ciphersuites"],
        "groups": settings["curves"],
        "security_level": settings["securityLevel"],
    }
    if profile is not None:
        chosen = {
            "min_version": (profile.min_version, "sslVersionMin"),
            "ciphers": (profile.ciphers, "ciphers"),
            "ciphersuites": (profile.ciphersuites, "ciphersuites"),
            "groups": (profile.groups, "curves"),
            "security_level": (profile.security_level, "securityLevel"),
        }
        fields |= {
            name: value for name, (value, option) in chosen.items() if not settings.is_set(option)
        }
        if profile.server_preference and not settings["client"]:
            flags = flags | _SERVER_PREFERENCE
    elif not settings.is_set("ciphers") and commands.ciphers is None:
        if _old_peers(settings, commands):
            fields["ciphers"] = COMPATIBLE_CIPHERS
        elif not settings["client"]:
            # Scanners ask for it; a client that puts ChaCha20 first still gets it.
            flags = flags | _SERVER_PREFERENCE | _CHACHA_FOR_CLIENTS
    return fields | _overridden(commands, flags)


def _old_peers(settings: Settings, commands: Overrides) -> bool:
    """True where the operator lets in what the default ciphers are too new for."""
    bounds = commands.bounds(settings["sslVersionMin"], settings["sslVersionMax"])
    return settings["securityLevel"] < _SAFE_LEVEL or any(0 < each < _TLS_1_2 for each in bounds)


def _overridden(commands: Overrides, flags: OptionFlags) -> dict[str, Any]:
    """The fields that ``config`` *commands* change, and the flags of both kinds."""
    names = ("ciphers", "ciphersuites", "groups", "min_version", "max_version")
    more = ("signature_algorithms", "dh_file")
    given = {name: getattr(commands, name) for name in (*names, *more)}
    fields = {name: value for name, value in given.items() if value is not None}
    return fields | {
        "commanded": frozenset(fields),
        "options_set": (flags.set & ~commands.flags.clear) | commands.flags.set,
        "options_clear": (flags.clear & ~commands.flags.set) | commands.flags.clear,
    }


def verification_policy(settings: Settings) -> VerificationPolicy:
    """What is asked of the peer; ``pinSHA256`` alone asks for a certificate and insists on it."""
    flags = settings["verification"]
    pins = settings["pinSHA256"]
    optional = flags.request or settings.is_set("requireCert")
    return VerificationPolicy(
        request=flags.request or bool(pins),
        require=flags.require or (bool(pins) and not optional),
        chain=flags.chain,
        pin=flags.pin,
        hosts=settings["checkHost"],
        emails=settings["checkEmail"],
        addresses=tuple(ipaddress.ip_address(each) for each in settings["checkIP"]),
        common_names=settings["checkCN"],
        units=settings["checkOU"],
        organizations=settings["checkO"],
        dns_names=settings["checkDNS"],
        uris=settings["checkURI"],
        key_pins=pins,
    )


def trust_policy(settings: Settings, chroot: str | None = None) -> TrustPolicy:
    """Where trusted certificates are; *chroot* is the root directory still to be changed to."""
    bundle = settings["CAfile"] or None
    system = bundle == SYSTEM_STORE or settings["CAstore"] == SYSTEM_STORE
    return TrustPolicy(
        ca_file=None if bundle == SYSTEM_STORE else bundle,
        ca_path=settings["CApath"] or None,
        chroot=chroot,
        system=system,
    )


def revocation_policy(settings: Settings) -> RevocationPolicy:
    """Where revocation lists are, and how far up they are asked."""
    return RevocationPolicy(
        settings["CRLfile"] or None, settings["CRLpath"] or None, settings["CRLcheckChain"]
    )


def place_of_fault(settings: Settings, error: BaseException) -> Place | None:
    """The line of the configuration that *error* is about, as far as that can be told."""
    place = _place_of_file(settings, error)
    if place is not None:
        return place
    text = str(error)
    for command, name in COMMAND_FIELDS.items():
        if f"'config = {command}'" in text:
            return _place_of_command(settings, name)
    for word in _WORDS:
        if f"'{word}" in text or text.startswith(f"{word}:"):
            return settings.place(word)
    return settings.place("cert") if "Failed to initialize TLS context" in text else None


def _place_of_file(settings: Settings, error: BaseException) -> Place | None:
    """The line that names the file *error* is about, if it is about one."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, FileUnusable):
            for option in _FILES:
                value = settings[option]
                if cause.path == value:
                    return settings.place(option)
                if isinstance(value, tuple) and cause.path in value:
                    return settings.places(option)[value.index(cause.path)]
            if place := _place_of_command(settings, "dh_file", cause.path):
                return place
            for option in _DIRECTORIES:
                if settings[option] and _is_in(cause.path, settings[option]):
                    return settings.place(option)
        cause = cause.__cause__
    return None


def _is_in(path: str, directory: str) -> bool:
    """True when *path* is in *directory*, maybe below a root directory still to be changed to."""
    above = posixpath.dirname(path)
    plain = posixpath.normpath(directory)
    return above in {directory, plain} or above.endswith(f"/{plain.lstrip('/')}")


def _place_of_command(settings: Settings, name: str, value: object = None) -> Place | None:
    """The last ``config`` line that sets the field *name*, to *value* if that is given."""
    found = None
    for command, place in zip(settings["config"], settings.places("config"), strict=False):
        given = getattr(command, name)
        if given is not None and value in {None, given}:
            found = place
    return found
