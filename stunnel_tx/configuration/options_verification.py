"""The options that decide whom to trust: CAs, names, revocation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve

from stunnel_tx.configuration.option import NO_ENGINES, Group, NotYet, Option, Repeat
from stunnel_tx.configuration.values import (
    clearable_text,
    ip_address,
    ocsp_flag,
    one_text,
    responder_url,
    verify_level,
    yes_no,
)
from stunnel_tx.configuration.verification_values import (
    dns_pattern,
    key_pin,
    system_store,
    uri_pattern,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SUBJECT_CHECKS", "VERIFICATION_TABLE"]

SUBJECT_CHECKS = (
    *("checkEmail", "checkHost", "checkIP"),
    *("checkCN", "checkDNS", "checkO", "checkOU", "checkURI"),
)
"""Options of which one match of any kind lets a peer in; the first three are stunnel's."""

_tls = partial(Option, group=Group.TLS)

_OCSP = NotYet("OCSP")
_WITH_OCSP = NotYet("OCSP", harmless_alone=True)


def _rule(
    name: str, syntax: str, help_text: str, parse: Callable[[str], object] = one_text
) -> Option:
    """An access rule that stunnel does not have."""
    return _tls(
        *(name, syntax, help_text, parse),
        default=(),
        repeat=Repeat.LIST,
        beyond=True,
    )


VERIFICATION_TABLE = (
    _tls(
        *("CAengine", "ID", "CA certificate held by an engine", one_text),
        default=(),
        repeat=Repeat.LIST,
        support=evolve(NO_ENGINES, remedy="remove the line and use CAfile"),
    ),
    _tls(
        *("CAfile", "FILE", "trusted CA certificates; empty for none, system for the system's"),
        clearable_text,
    ),
    _tls("CApath", "DIR", "trusted CA certificates, named by their hashes", clearable_text),
    _tls(
        *("CAstore", "system", "trusted CA certificates of the system, beside CAfile and CApath"),
        system_store,
    ),
    _rule("checkCN", "TEXT", "common name the peer's certificate may have; * is any text"),
    _rule(
        *("checkDNS", "NAME", "DNS name the peer's certificate may have; * is one label"),
        dns_pattern,
    ),
    _tls(
        *("checkEmail", "ADDRESS", "e-mail address the peer's certificate may have", one_text),
        default=(),
        repeat=Repeat.LIST,
    ),
    _tls(
        *("checkHost", "NAME", "host name the peer's certificate may have", one_text),
        default=(),
        repeat=Repeat.LIST,
    ),
    _tls(
        *("checkIP", "IP", "IP address the peer's certificate may have", ip_address),
        default=(),
        repeat=Repeat.LIST,
    ),
    _tls(
        *("CRLcheckChain", "yes|no", "check CAs for revocation, not only the peer", yes_no),
        default=False,
    ),
    _rule("checkO", "TEXT", "organization the peer's certificate may have; * is any text"),
    _rule("checkOU", "TEXT", "unit the peer's certificate may have; * is any text"),
    _rule(
        *("checkURI", "URI", "URI (SPIFFE ID) the peer's certificate may have; * is one segment"),
        uri_pattern,
    ),
    _tls("CRLfile", "FILE", "revocation lists", clearable_text),
    _tls("CRLpath", "DIR", "revocation lists, named by their hashes", clearable_text),
    _tls("OCSP", "URL", "responder to ask about the peer", responder_url, support=_OCSP),
    _tls(
        *("OCSPaia", "yes|no", "ask the responder a certificate names", yes_no),
        default=False,
        support=_OCSP,
    ),
    _tls(
        *("OCSPflag", "FLAG", "how to verify a responder's answer", ocsp_flag),
        default=frozenset(),
        repeat=Repeat.UNION,
        support=_WITH_OCSP,
    ),
    _tls(
        *("OCSPnonce", "yes|no", "insist on a fresh answer", yes_no),
        default=False,
        support=_WITH_OCSP,
    ),
    _tls(
        *("OCSPrequire", "yes|no", "reject the peer when no responder can tell", yes_no),
        default=True,
        support=_WITH_OCSP,
    ),
    _tls(
        *("pinSHA256", "BASE64", "SHA-256 digest of a public key the peer may have", key_pin),
        default=(),
        repeat=Repeat.LIST,
        beyond=True,
    ),
    _tls(
        *("requireCert", "yes|no", "insist on a certificate, without verifying it", yes_no),
        default=False,
    ),
    _tls(
        *("verify", "0..4", "old form of the verify options", verify_level),
        version_lines=("none",),
    ),
    _tls("verifyChain", "yes|no", "verify the peer up to a trusted CA", yes_no, default=False),
    _tls(
        *("verifyPeer", "yes|no", "compare the peer with a local copy in CAfile or CApath"),
        yes_no,
        default=False,
    ),
)
