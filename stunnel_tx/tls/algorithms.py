"""Versions, ciphers, groups, options and DH parameters of a context that is being built.

Most of these settings have two names: that of an option, and that of a ``config`` command that
replaces it. An error names the one that was written.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from OpenSSL import SSL

from stunnel_tx.telemetry.events import DH_PARAMETERS, OPTIONS_NOT_CLEARED, TLS_OPTIONS
from stunnel_tx.tls import profiles
from stunnel_tx.tls.binding.contexts import option_bits, set_groups, set_signature_algorithms
from stunnel_tx.tls.errors import ContextRefused, FileUnusable
from stunnel_tx.tls.faults import first_reason
from stunnel_tx.tls.memory_files import named_content
from stunnel_tx.tls.pem import blocks, read_file
from stunnel_tx.tls.policy import COMPATIBLE_CIPHERS, DEFAULT_CIPHERS, DEFAULT_GROUPS, Role

if TYPE_CHECKING:
    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.policy import TLSPolicy

__all__ = ["set_algorithms", "set_dh_parameters", "set_options", "set_versions"]

#: SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION of OpenSSL's public headers.
_NO_RESUMPTION_ON_RENEGOTIATION: Final = 0x10000

#: Groups of the older Diffie-Hellman (RFC 7919): OpenSSL 4 has DHE with no others, unless
#: parameters were loaded and the client names none of these.
_DHE_GROUPS: Final = "ffdhe2048:ffdhe3072"

#: The same of 2048 bits (RFC 7919 §A.1) as parameters, for clients that name no such group.
_FFDHE2048: Final = b"""\
-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""

#: Lists of our own, in which no cipher is of that kind.
_WITHOUT_DHE: Final = frozenset({DEFAULT_CIPHERS, COMPATIBLE_CIPHERS})

#: What each setting is called: as an option, and as a ``config`` command.
_NAMES: Final = {
    "ciphers": ("ciphers", "CipherString"),
    "ciphersuites": ("ciphersuites", "Ciphersuites"),
    "groups": ("curves", "Groups"),
    "signature_algorithms": ("config = SignatureAlgorithms", "SignatureAlgorithms"),
    "dh_file": ("config = DHParameters", "DHParameters"),
}


def set_versions(context: SSL.Context, policy: TLSPolicy) -> None:
    """Set the lowest and the highest version; raises :class:`ContextRefused`."""
    for setter, version in (
        (context.set_min_proto_version, policy.min_version),
        (context.set_max_proto_version, policy.max_version),
    ):
        try:
            setter(version)
        except SSL.Error as error:
            reason = f"Invalid protocol version: 0x{version:04X} is not in this OpenSSL"
            raise ContextRefused(policy.service, reason) from error


def set_algorithms(context: SSL.Context, policy: TLSPolicy) -> None:
    """Set level, ciphers, groups and signature algorithms; raises :class:`ContextRefused`."""
    if policy.security_level is not None:
        # Before the list of ciphers, which may name a level of its own.
        context.set_cipher_list(f"DEFAULT:@SECLEVEL={policy.security_level}".encode("ascii"))
    for setter, setting, value in (
        (context.set_cipher_list, "ciphers", policy.ciphers),
        (context.set_tls13_ciphersuites, "ciphersuites", _suites(policy)),
    ):
        try:
            if value:
                setter(value.encode("utf-8"))
        except SSL.Error as error:
            reason = f"{first_reason(error)} in {_written(policy, setting)}: {value}"
            raise ContextRefused(policy.service, reason) from error
    algorithms = policy.signature_algorithms
    if algorithms and not set_signature_algorithms(context, algorithms):
        written = _written(policy, "signature_algorithms")
        raise ContextRefused(policy.service, f"Invalid list in {written}: {algorithms}")
    _set_groups(context, policy)


def _written(policy: TLSPolicy, setting: str) -> str:
    """The name the operator has written for *setting*, in quotes."""
    option, command = _NAMES[setting]
    return f"'config = {command}'" if setting in policy.commanded else f"'{option}'"


def _suites(policy: TLSPolicy) -> str:
    """The TLS 1.3 suites, those that go with a pre-shared key (SHA-256) first if there is one."""
    if policy.psk_file is None:
        return policy.ciphersuites
    suites = policy.ciphersuites.split(":")
    return ":".join(sorted(suites, key=lambda suite: not suite.endswith("SHA256")))


def _set_groups(context: SSL.Context, policy: TLSPolicy) -> None:
    groups = policy.groups
    if not groups:
        return
    wanted = [groups]
    if groups in {DEFAULT_GROUPS, profiles.GROUPS}:
        # Our own lists begin with a group that OpenSSL before 3.5 does not know.
        wanted.append(groups.partition(":")[2])
        if _has_dhe(policy):
            wanted = [f"{each}:{_DHE_GROUPS}" for each in wanted] + wanted
    if not any(set_groups(context, each) for each in wanted):
        reason = f"Invalid groups list in {_written(policy, 'groups')}: {groups}"
        raise ContextRefused(policy.service, reason)


def _has_dhe(policy: TLSPolicy) -> bool:
    """True when the ciphers of *policy* include some with the older Diffie-Hellman."""
    if policy.ciphers in _WITHOUT_DHE:
        return False
    # A context that was asked cannot be set up any further.
    trial = SSL.Context(SSL.TLS_METHOD)
    trial.set_cipher_list((policy.ciphers or "DEFAULT").encode("utf-8"))
    keyed = policy.psk_file is not None
    names = SSL.Connection(trial).get_cipher_list()
    return any(
        each.startswith(("DHE-", "ADH-")) and (keyed or "-PSK-" not in each) for each in names
    )


def set_options(context: SSL.Context, policy: TLSPolicy, scope: Scope) -> None:
    """Set the option mask; bits that pyOpenSSL or the library set cannot be cleared."""
    wanted = policy.options_set | SSL.OP_NO_SSLv2 | SSL.OP_NO_SSLv3
    if not policy.renegotiation:
        wanted |= SSL.OP_NO_RENEGOTIATION
    if policy.role is Role.SERVER:
        wanted |= _NO_RESUMPTION_ON_RENEGOTIATION
        if not policy.resumes:
            wanted |= SSL.OP_NO_TICKET
        if policy.psk_file is not None:
            # Otherwise a client that has a key and no certificate could choose to need one.
            wanted |= SSL.OP_CIPHER_SERVER_PREFERENCE
    final = context.set_options(wanted & ~policy.options_clear)
    stuck = final & policy.options_clear
    if stuck:
        scope(OPTIONS_NOT_CLEARED, stuck)
    scope(TLS_OPTIONS, option_bits(context), policy.options_set, policy.options_clear)


def set_dh_parameters(context: SSL.Context, policy: TLSPolicy, scope: Scope) -> None:
    """Use the first DH parameters there are; without any, and with DHE ciphers, standard ones.

    Raises :class:`FileUnusable` for a file that should have some.
    """
    if policy.role is not Role.SERVER:
        return
    if policy.dh_file:
        data = read_file(policy.dh_file)
        if not _has_dh_parameters(data):
            remedy = "make some with: openssl dhparam 2048"
            raise FileUnusable(policy.dh_file, "no DH PARAMETERS block found", remedy)
        _load_dh_parameters(context, policy.dh_file, data, scope)
        return
    for path in policy.certificate_files:
        try:
            data = read_file(path, wait=False)
        except FileUnusable:  # a URI, or a pipe that has been read; the rest has been said before
            continue
        if _has_dh_parameters(data):
            _load_dh_parameters(context, path, data, scope)
            return
    if _has_dhe(policy):
        _load_standard_parameters(context)


def _load_standard_parameters(context: SSL.Context) -> None:
    """Have parameters for clients that name no group; OpenSSL takes them from files only."""
    if not hasattr(os, "memfd_create"):
        return
    fd = os.memfd_create("dh")
    try:
        os.write(fd, _FFDHE2048)
        context.load_tmp_dh(f"/proc/self/fd/{fd}".encode("ascii"))
    except SSL.Error:  # a root directory without /proc: such clients have to take other ciphers
        return
    finally:
        os.close(fd)


def _has_dh_parameters(data: bytes) -> bool:
    return any(block.label.endswith("DH PARAMETERS") for block in blocks(data))


def _load_dh_parameters(context: SSL.Context, path: str, data: bytes, scope: Scope) -> None:
    try:
        with named_content(path, data) as (name, _):
            context.load_tmp_dh(name.encode("utf-8", "surrogateescape"))
    except SSL.Error as error:
        raise FileUnusable(path, f"DH parameters: {first_reason(error)}") from error
    scope(DH_PARAMETERS, path)
