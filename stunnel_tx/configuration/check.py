"""What is allowed and still doubtful: the security warnings of ``stunnel-tx check``.

Every function here only looks; the mode of key files comes through a function that is
passed in.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from stunnel_tx.configuration.addresses import EndpointString, HostPort, is_ip
from stunnel_tx.configuration.model import Problem, Settings, Severity
from stunnel_tx.configuration.openssl_commands import Overrides, security_level_in
from stunnel_tx.configuration.option import Repeat, Scope
from stunnel_tx.configuration.option_flags import OPTION_FLAGS
from stunnel_tx.configuration.options import OPTIONS
from stunnel_tx.configuration.options_verification import SUBJECT_CHECKS
from stunnel_tx.configuration.protocol_warnings import doubtful_protocols, unused_credentials
from stunnel_tx.configuration.socket_options import SOCKET_OPTION_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stunnel_tx.configuration.model import Configuration, Place
    from stunnel_tx.configuration.option_flags import OptionFlags

__all__ = ["authentication_warnings", "file_permission_warnings", "security_warnings"]

TLS_1_2 = 0x0303
RECOMMENDED_SECURITY_LEVEL = 2
OTHER_USERS = 0o007
"""Permission bits of those who are neither the owner nor in the group."""

_WEAK_CIPHER = re.compile(
    r"NULL|ADH|AECDH|EXP|LOW|DES|RC2|RC4|MD5|SEED|IDEA|@SECLEVEL=[01]|(?:^|\+)(?:ALL|COMPLEMENTOFALL)$",
    re.IGNORECASE,
)

_OLD_VERSION = "TLS 1.0 and 1.1 are deprecated (RFC 8996)"

_WEAKENING_FLAGS = (
    *("ALLOW_UNSAFE_LEGACY_RENEGOTIATION", "ALLOW_CLIENT_RENEGOTIATION", "NO_ENCRYPT_THEN_MAC"),
    *("NO_EXTENDED_MASTER_SECRET", "LEGACY_SERVER_CONNECT", "CRYPTOPRO_TLSEXT_BUG"),
    "IGNORE_UNEXPECTED_EOF",
)

Finding = tuple[str, str, str | None] | tuple[str, str, str, "Place"]
"""Text, remedy, the option whose line it is about, and that line where there are several."""


@frozen(eq=False, repr=False)
class _Scope:
    """A service and what its warnings need to know of the rest."""

    settings: Settings
    globals: Settings
    inetd: bool

    def __getitem__(self, option: str) -> Any:
        return self.settings[option]

    @property
    def label(self) -> str:
        return "Inetd mode" if self.inetd else f"Service [{self.settings.name}]"

    def is_own(self, option: str) -> bool:
        """Say whether a line of the section itself gave the option."""
        places = self.settings.places(option)
        return not self.inetd and bool(places) and places != self.globals.places(option)


def security_warnings(
    configuration: Configuration, mode_of: Callable[[str], int] | None = None
) -> tuple[Problem, ...]:
    """Return every warning about a configuration, service by service.

    ``mode_of`` gives a file's permission bits or raises OSError; the default asks the
    file system.
    """
    warnings: list[Problem] = []
    services = configuration.services
    if configuration.inetd is not None:
        services = (configuration.inetd,)
    for settings in services:
        scope = _Scope(settings, configuration.globals, configuration.inetd is not None)
        for examine in _SERVICE_CHECKS:
            warnings += [_warning(settings, *finding) for finding in examine(scope)]
        warnings += file_permission_warnings(settings, mode_of or _mode_of)
    warnings += _shared_names(configuration.services)
    warnings += _shared_addresses(configuration.services)
    return tuple(warnings)


def authentication_warnings(
    settings: Settings, general: Settings | None = None, *, inetd: bool = False
) -> tuple[Problem, ...]:
    """Return what a service should say when it starts, as a client of stunnel does.

    ``general`` are the settings of the global part, where there is one.
    """
    scope = _Scope(settings, settings if general is None else general, inetd)
    findings = [*_authentication(scope), *unused_credentials(settings, scope.is_own)]
    return tuple(_warning(settings, *finding) for finding in findings)


def file_permission_warnings(
    settings: Settings, mode_of: Callable[[str], int]
) -> Iterator[Problem]:
    """Warn of private and shared keys that every user of the machine may read or write."""
    option = "key" if settings["key"] is not None else "cert"
    private = settings["key"] or (settings["cert"][0] if settings["cert"] else None)
    for name, path in ((option, private), ("PSKsecrets", settings["PSKsecrets"])):
        try:
            mode = 0 if path is None else mode_of(path)
        except OSError:
            continue
        if mode & OTHER_USERS:
            text = f"Insecure file permissions on {path}"
            yield _warning(settings, text, f"chmod o= {path}", name)


def _mode_of(path: str) -> int:
    return Path(path).stat().st_mode


def _warning(
    settings: Settings, text: str, remedy: str, option: str | None, place: Place | None = None
) -> Problem:
    if place is None:
        place = settings.declared if option is None else settings.place(option) or settings.declared
    return Problem(Severity.WARNING, text, place, settings.name, option, remedy)


def _authentication(scope: _Scope) -> Iterator[Finding]:
    if not scope["client"] or scope["PSKsecrets"]:
        return
    flags = scope["verification"]
    if not flags.authenticates and not scope["pinSHA256"]:
        yield (
            f"{scope.label} needs authentication to prevent MITM attacks",
            "add verifyChain = yes, CAfile and checkHost",
            None,
        )
    elif not (flags.pin or scope["pinSHA256"] or any(scope[name] for name in SUBJECT_CHECKS)):
        yield (
            f'{scope.label} uses "verifyChain" without subject checks',
            'Use "checkHost" or "checkIP" to restrict trusted certificates',
            None,
        )


def _peer_certificates(scope: _Scope) -> Iterator[Finding]:
    flags = scope["verification"]
    pinned = bool(scope["pinSHA256"])
    if flags.require and not (flags.authenticates or pinned) and not scope["client"]:
        yield (
            f"{scope.label} asks for certificates and accepts any",
            "add verifyChain = yes and CAfile",
            "requireCert",
        )
    if flags.request and (flags.authenticates or pinned) and not flags.require:
        yield (
            f"{scope.label} verifies certificates but lets in peers without one",
            "write verifyChain = yes instead, without requireCert = no",
            None,
        )
    if scope.settings.is_set("verify"):
        yield ("verify is obsolete", "write verifyChain or verifyPeer", "verify")
    for name in scope["checkHost"]:
        if is_ip(name):
            yield (f"checkHost = {name} never matches", f"write checkIP = {name}", "checkHost")


def _weak_tls(scope: _Scope) -> Iterator[Finding]:
    for option in ("sslVersionMin", "sslVersionMax"):
        if 0 < scope[option] < TLS_1_2:
            yield (_OLD_VERSION, f"write {option} = TLSv1.2", option)
    ciphers = Overrides.together(scope["config"]).ciphers or scope["ciphers"]
    if scope["securityLevel"] < RECOMMENDED_SECURITY_LEVEL and security_level_in(ciphers) is None:
        yield (
            f"securityLevel = {scope['securityLevel']} lets in short keys and weak hashes",
            f"write securityLevel = {RECOMMENDED_SECURITY_LEVEL}",
            "securityLevel",
        )
    for word in _weak_words(scope["ciphers"]):
        yield (f"ciphers admits weak ciphers by {word}", "leave it out", "ciphers")
    if scope["tlsProfile"] == "old":
        yield (
            "tlsProfile = old lets in TLS 1.0, CBC ciphers, RSA key exchange and SHA-1",
            "write tlsProfile = intermediate",
            "tlsProfile",
        )
    for name in _weakening_flags(scope["options"]):
        yield (f"options = {name} gives up protection", "remove the line", "options")
    if scope["keyLog"]:
        yield (
            f"whoever reads {scope['keyLog']} can decrypt every connection of the service",
            "remove the line when there is nothing left to debug",
            "keyLog",
        )


def _weak_words(ciphers: str) -> Iterator[str]:
    """The words of a cipher list that let in what nobody should use."""
    for word in re.split(r"[:;, ]+", ciphers):
        if not word.startswith(("!", "-")) and _WEAK_CIPHER.search(word):
            yield word


def _weakening_flags(flags: OptionFlags) -> Iterator[str]:
    for name in _WEAKENING_FLAGS:
        mask = OPTION_FLAGS[name]
        if flags.set & ~flags.clear & mask == mask:
            yield name


def _weak_commands(scope: _Scope) -> Iterator[Finding]:
    """The same weaknesses, let in by ``config`` commands."""
    for command, place in zip(scope["config"], scope.settings.places("config"), strict=False):
        for word in _weak_words(command.ciphers or ""):
            text = f"CipherString admits weak ciphers by {word}"
            yield (text, "leave it out", "config", place)
        for name, version in (
            ("MinProtocol", command.min_version),
            ("MaxProtocol", command.max_version),
        ):
            if version and version < TLS_1_2:
                yield (_OLD_VERSION, f"write config = {name}:TLSv1.2", "config", place)
        for name in _weakening_flags(command.flags):
            yield (f"the flag {name} gives up protection", "remove the word", "config", place)


def _life_of_connections(scope: _Scope) -> Iterator[Finding]:
    if not scope["reset"]:
        yield (
            "with reset = no a broken connection looks like a finished one",
            "write reset = yes, or remove the line",
            "reset",
        )
    for option in ("TIMEOUTbusy", "TIMEOUTconnect", "TIMEOUTidle"):
        if scope[option] < 0:
            yield (
                f"{option} = {scope[option]} lets a silent peer hold a connection for ever",
                "write a number of seconds",
                option,
            )


def _exposure(scope: _Scope) -> Iterator[Finding]:
    if not scope["client"]:
        return
    for address in scope["accept"]:
        if isinstance(address, HostPort) and address.host in {None, "::", "0.0.0.0"}:
            yield (
                f"{scope.label} takes plain connections from every network at {address}",
                f"write accept = localhost:{address.port} unless that is meant",
                "accept",
            )


def _lists_since_5_76(scope: _Scope) -> Iterator[Finding]:
    for option in OPTIONS:
        if option.repeat is not Repeat.LIST or option.scope is Scope.GLOBAL:
            continue
        if option.beyond or option.name == "sni":
            # stunnel never had a list of these.
            continue
        if scope.is_own(option.name) and scope.globals.is_set(option.name):
            yield (
                f"{option.name} replaces the global list, which it added to before stunnel 5.76",
                "repeat in the section what it needs",
                option.name,
            )


def _without_effect(scope: _Scope) -> Iterator[Finding]:
    role, mode = ("C", "client") if scope["client"] else ("S", "server")
    for option in OPTIONS:
        if role not in option.roles and scope.is_own(option.name):
            yield (f"{option.name} has no effect in a {mode} service", "remove it", option.name)
    protocol = scope["protocol"]
    chooses = protocol is not None and protocol.chooses_destination
    if scope.is_own("protocolAllow") and not (scope["client"] or chooses):
        yield (
            "protocolAllow has no effect where clients do not choose where to go",
            "remove it, or write protocol = socks",
            "protocolAllow",
        )
    if chooses and not scope["client"] and scope.is_own("connect"):
        yield ("connect has no effect: clients choose where to go", "remove it", "connect")
    for entry in scope["socket"]:
        if not SOCKET_OPTION_KINDS[entry.name].tcp and scope["transport"] == "tcp":
            yield (f"{entry.name} has no effect on tcp", "remove it", "socket")


def _protocols(scope: _Scope) -> Iterator[Finding]:
    yield from unused_credentials(scope.settings, scope.is_own)
    yield from doubtful_protocols(scope.settings, scope.is_own)


_SERVICE_CHECKS: tuple[Callable[[_Scope], Iterator[Finding]], ...] = (
    _authentication,
    _peer_certificates,
    _weak_tls,
    _weak_commands,
    _life_of_connections,
    _exposure,
    _lists_since_5_76,
    _without_effect,
    _protocols,
)


def _shared_names(services: tuple[Settings, ...]) -> Iterator[Problem]:
    seen: dict[str, Place | None] = {}
    for settings in services:
        if settings.name in seen:
            text = f"Service [{settings.name}] has the name of the one at {seen[settings.name]}"
            yield _warning(settings, text, "give each service its own name", None)
        seen.setdefault(settings.name, settings.declared)


def _shared_addresses(services: tuple[Settings, ...]) -> Iterator[Problem]:
    """Warn of services that listen at the same address: only the first can be bound."""
    users: dict[str, list[Settings]] = defaultdict(list)
    for settings in services:
        for address in settings["accept"]:
            shown = address.text if isinstance(address, EndpointString) else str(address)
            if shown != "0" and not shown.endswith(":0"):
                users[shown].append(settings)
    for shown, sharing in users.items():
        for settings in sharing[1:]:
            text = f"accept = {shown} is taken by service [{sharing[0].name}] already"
            yield _warning(settings, text, "give each service an address of its own", "accept")
