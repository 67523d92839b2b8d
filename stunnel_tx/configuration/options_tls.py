"""The TLS options but for verification and names: identity, versions, ciphers, sessions."""

from __future__ import annotations

from functools import partial

from stunnel_tx.configuration.addresses import HostPort, parse_host_port
from stunnel_tx.configuration.openssl_commands import parse_command
from stunnel_tx.configuration.option import NO_ENGINES, Group, Option, Refused, Repeat, Supported
from stunnel_tx.configuration.option_flags import DEFAULT_OPTION_FLAGS, parse_option_flag
from stunnel_tx.configuration.values import (
    choice,
    clearable_text,
    hex_key,
    integer,
    one_text,
    protocol_version,
    text,
    yes_no,
)

__all__ = ["TLS_OPTIONS"]

_tls = partial(Option, group=Group.TLS)

_CIPHERS = "kECDHEPSK+CHACHA20:ECDHE+AESGCM:ECDHE+CHACHA20"
_CIPHERSUITES = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
_CURVES = "X25519MLKEM768:X25519:P-256:X448:P-521:P-384"
_VERSIONS = "all|TLSv1|TLSv1.1|TLSv1.2|TLSv1.3"

_NO_TICKET_KEYS = Refused(
    "ticket keys can only be set through the system's OpenSSL, in a later release",
    "remove the line: each process makes ticket keys of its own",
)


def _session_cache_address(given: str) -> HostPort:
    return parse_host_port(given)


TLS_OPTIONS = (
    _tls(
        *("cert", "FILE", "certificate chain, PEM, DER or PKCS#12; further lines add to it"),
        one_text,
        default=(),
        repeat=Repeat.LIST,
    ),
    _tls(
        *("ciphers", "LIST", "ciphers for TLS 1.2 and below, in OpenSSL's notation", text),
        default=_CIPHERS,
        version_lines=(_CIPHERS,),
    ),
    _tls(
        *("ciphersuites", "LIST", "cipher suites for TLS 1.3", text),
        default=_CIPHERSUITES,
        version_lines=(f"{_CIPHERSUITES} (with TLSv1.3)",),
    ),
    _tls(
        *("config", "COMMAND[:PARAMETER]", "command of OpenSSL's own configuration", parse_command),
        default=(),
        repeat=Repeat.LIST,
    ),
    _tls(
        *("curves", "LIST", "groups for the key exchange, the best first", text),
        default=_CURVES,
        aliases=("curve",),
        version_lines=(_CURVES,),
    ),
    _tls("engineId", "ID", "engine that holds the key", text, support=NO_ENGINES),
    _tls(
        *("engineNum", "NUMBER", "engine that holds the key, by number"),
        integer("Illegal engine number", 1),
        support=NO_ENGINES,
    ),
    _tls(
        *("keyLog", "FILE", "write the secrets of all connections down, for debugging only", text),
        beyond=True,
    ),
    _tls("key", "FILE", "private key; without it, the one in the first cert file", clearable_text),
    _tls(
        *("options", "[-]NAME", "OpenSSL's SSL_OP_ flag to set, or with - to clear"),
        parse_option_flag,
        default=DEFAULT_OPTION_FLAGS,
        repeat=Repeat.UNION,
        version_lines=("NO_SSLv2", "NO_SSLv3"),
    ),
    _tls("PSKidentity", "TEXT", "identity to show", text, roles="C"),
    _tls("PSKsecrets", "FILE", "identities and their pre-shared keys", text),
    _tls(
        *("renew", "yes|no", "follow changes of certificate, key, CA, CRL and PSK files", yes_no),
        default=True,
        beyond=True,
    ),
    _tls("renegotiation", "yes|no", "let the peer renegotiate (TLS 1.2)", yes_no, default=True),
    _tls(
        *("securityLevel", "0..5", "OpenSSL's security level"),
        integer("Illegal security level", 0, 5),
        default=2,
        version_lines=("2",),
    ),
    _tls(
        *("sessionCacheSize", "NUMBER", "most sessions to remember"),
        integer("Illegal session cache size", 0),
        default=1000,
        roles="S",
        support=Supported("the library keeps at most 20480 sessions whatever the number is"),
        version_lines=("1000",),
    ),
    _tls(
        *("sessionCacheTimeout", "SECONDS", "how long a session can be resumed"),
        integer("Illegal session cache timeout", 0),
        default=300,
        aliases=("session",),
        version_lines=("300 seconds",),
    ),
    _tls(
        *("sessiond", "HOST:PORT", "cache of sessions shared by several machines"),
        _session_cache_address,
        roles="S",
        support=Refused(
            "sessiond needs session functions of the system's OpenSSL, in a later release",
            "remove the line: sessions are kept in the process and in tickets",
        ),
    ),
    _tls("sessionResume", "yes|no", "let sessions be resumed", yes_no, default=True),
    _tls(
        *("sslVersion", _VERSIONS, "the only TLS version", protocol_version),
        default=0,
        also_sets=("sslVersionMin", "sslVersionMax"),
    ),
    _tls("sslVersionMax", _VERSIONS, "highest TLS version", protocol_version, default=0),
    _tls("sslVersionMin", _VERSIONS, "lowest TLS version", protocol_version, default=0),
    _tls(
        *("ticketKeySecret", "HEX", "key to encrypt tickets with", hex_key("ticketKeySecret")),
        roles="S",
        support=_NO_TICKET_KEYS,
    ),
    _tls(
        *("ticketMacSecret", "HEX", "key to sign tickets with", hex_key("ticketMacSecret")),
        roles="S",
        support=_NO_TICKET_KEYS,
    ),
    _tls(
        *("tlsProfile", "modern|intermediate|old"),
        "versions, ciphers and groups after Mozilla's Server Side TLS 6.0 (old: 5.8)",
        choice("modern", "intermediate", "old"),
        beyond=True,
    ),
)
